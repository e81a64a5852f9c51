use indicatif::DecimalBytes;
use serde_json::{Value, json};

use super::images::ImageArgs;
use super::{Context, Failure};
use crate::build::drafts;
use crate::lock::LockedPackage;
use crate::oci::Image;
use crate::report::{Distinct, LayerFacts, Totals, layers};

/// Show what is in each layer of an image, and which images share it.
///
/// Lists layers from the bottom up: compressed and uncompressed size, contents, which other images have the same layer,
/// and whether it is verbatim. A verbatim layer is a package's own data, byte for byte, so its digest is the datahash
/// in the package's signed metadata. If a layer with a single package is not verbatim, the reason is shown.
///
/// Packages are grouped by the images in mailimg.toml that contain them; the largest get layers of their own, as far as
/// `layers` in mailimg.toml allows. The top layer contains what belongs to the image itself: accounts, the package
/// database, links and baked files. Layers missing from the store are built.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    images: ImageArgs,
    /// Print a JSON object with the images, their layers, and the total of distinct layers
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let selection = args.images.open(context)?;
    let supply = args.images.supply(context)?;
    let (surroundings, fetching) = (supply.surroundings(selection.project()), supply.fetching(context)?);
    let images = selection.build(surroundings, fetching)?;
    let jobs = selection.jobs(selection.inputs()?, surroundings, fetching)?;
    let others = [images.clone(), selection.others(supply.store())].concat();
    let (mut distinct, mut text, mut objects) = (Distinct::default(), String::new(), Vec::new());
    for (job, image) in jobs.iter().zip(&images) {
        let drafts = drafts(job)?;
        let facts = layers(job, &drafts, image, &others)?;
        distinct.add(&facts);
        if args.json {
            objects.push(object(image, &facts));
        } else {
            text.push_str(&block(image, &facts));
        }
    }
    if args.json {
        return context.ui().json(&json!({ "images": objects, "total": total_object(&distinct) }));
    }
    if images.len() > 1 {
        text.push_str(&total_line(&distinct, images.len()));
    }
    context.ui().write(text.as_bytes())
}

fn line(totals: Totals) -> String {
    let Totals { layers, size, unpacked, verbatim } = totals;
    let share = (verbatim * 1000).checked_div(size).unwrap_or_default();
    let (size, unpacked) = (DecimalBytes(size), DecimalBytes(unpacked));
    format!("{layers} layers, {size}, uncompressed {unpacked}; {}.{} % verbatim", share / 10, share % 10)
}

fn total_line(distinct: &Distinct, images: usize) -> String {
    let (count, size) = distinct.packages();
    let (total, size) = (line(distinct.totals()), DecimalBytes(size));
    format!("{images} images together: {total}\n  of {count} packages with {size} of data\n")
}

fn total_object(distinct: &Distinct) -> Value {
    let (Totals { layers, size, unpacked, verbatim }, (packages, packages_size)) =
        (distinct.totals(), distinct.packages());
    json!({
        "layers": layers,
        "size": size,
        "unpacked": unpacked,
        "verbatim": verbatim,
        "packages": packages,
        "packages_size": packages_size,
    })
}

fn object(image: &Image, facts: &[LayerFacts<'_>]) -> Value {
    let package = |package: &&LockedPackage| json!({ "package": package.name, "version": package.version.as_str(), "size": package.data.size });
    let layers = facts.iter().map(|layer| {
        json!({
            "digest": layer.digest.to_oci(),
            "diff_id": layer.diff_id.to_oci(),
            "size": layer.size,
            "unpacked": layer.unpacked,
            "title": layer.title,
            "packages": layer.packages.iter().map(package).collect::<Vec<_>>(),
            "shared_with": layer.shared_with,
            "verbatim": layer.reason.is_none(),
            "reason": layer.reason,
        })
    });
    let layers: Vec<Value> = layers.collect();
    let Totals { size, unpacked, verbatim, .. } = Totals::of(facts);
    json!({
        "image": image.name,
        "digest": image.manifest.digest.to_oci(),
        "layers": layers,
        "size": size,
        "unpacked": unpacked,
        "verbatim": verbatim,
    })
}

fn block(image: &Image, facts: &[LayerFacts<'_>]) -> String {
    let mut out = format!("{}: {}\n", image.name, line(Totals::of(facts)));
    for (number, layer) in facts.iter().enumerate() {
        let verbatim = if layer.reason.is_none() { "verbatim" } else { "" };
        let (size, unpacked) = (DecimalBytes(layer.size).to_string(), DecimalBytes(layer.unpacked).to_string());
        let line = format!("{:>4}  {size:>10} {unpacked:>10}  {verbatim:8}  {}\n", number + 1, layer.title);
        out.push_str(&line);
        if layer.packages.len() > 1 {
            let names: Vec<String> = layer.packages.iter().map(|it| format!("{}-{}", it.name, it.version)).collect();
            out.push_str(&detail(&names.join(" ")));
        }
        if !layer.shared_with.is_empty() {
            out.push_str(&detail(&format!("also in {}", layer.shared_with.join(", "))));
        }
        if let (Some(reason), 0..=1) = (&layer.reason, layer.packages.len()) {
            out.push_str(&detail(&format!("not verbatim: {reason}")));
        }
    }
    out
}

/// Widest line of details.
const WIDTH: usize = 110;

/// Words below a layer's line, wrapped.
fn detail(words: &str) -> String {
    const INDENT: &str = "                                     ";
    let mut lines = vec![INDENT.to_owned()];
    for word in words.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() == INDENT.len() => line.push_str(word),
            Some(line) if line.len() + word.len() < WIDTH => line.extend([" ", word]),
            _ => lines.push([INDENT, word].concat()),
        }
    }
    lines.join("\n") + "\n"
}
