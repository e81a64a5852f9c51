use std::collections::HashMap;

use super::repositories::RepositoryArgs;
use crate::apk::package::{PackageError, PackageReader};
use crate::cli::{Context, Failure};
use crate::digest::{Hashing, Sha256};
use crate::fetch::Fetched;
use crate::printable;
use crate::rootfs::{ApkState, Content, EntryId, Node, NodeKind, PackageId, Source, Tree, as_installed};
use crate::table::Table;

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Prints a line for each path, in byte order. Fields are separated by tabs: path, type (d directory, f file, l link, p \
pipe), octal mode, uid, gid, size, modification time, number of links, and the content's SHA-256 or the link's target. \
Fields that don't apply are \"-\". Nothing is unpacked and no script is run.")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    repositories: RepositoryArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let offer = args.repositories.read(context)?;
    let plan = offer.solve()?;
    let (packages, contents): (Vec<_>, Vec<_>) = offer.read(&plan, contents, context)?.into_iter().unzip();
    let contents = Table::from(contents);
    let apk = ApkState { world: &offer.world, repositories: args.repositories.lines(), arch: &offer.arch };
    let time = packages.iter().filter_map(|files| files.package().build_time).max().unwrap_or(0);
    let tree = as_installed(packages, &apk, time.cast_signed())?.tree;
    context.ui().write(&listing(&tree, &contents))
}

/// SHA-256 of each entry's content.
type Contents = Table<EntryId, Sha256>;

fn contents(package: &mut Fetched) -> Result<Contents, PackageError> {
    let mut reader = PackageReader::new(package)?;
    let mut contents = Table::new();
    while reader.next_entry()?.is_some() {
        let mut content = Hashing::new(reader.content());
        std::io::copy(&mut content, &mut std::io::sink()).map_err(PackageError::Read)?;
        contents.push(content.finish().0);
    }
    Ok(contents)
}

fn listing(tree: &Tree, contents: &Table<PackageId, Contents>) -> Vec<u8> {
    let links = tree.link_counts();
    let mut out = Vec::new();
    for (path, node) in tree.iter() {
        out.extend_from_slice(path.as_bytes());
        out.extend_from_slice(&fields(node, &links, contents));
        out.push(b'\n');
    }
    out
}

/// All fields of a line except the path.
fn fields(node: &Node, links: &HashMap<Source, u64>, contents: &Table<PackageId, Contents>) -> Vec<u8> {
    let count = node.source().and_then(|source| links.get(&source)).copied().unwrap_or(1);
    let (kind, size, mtime, count, content) = match &node.kind {
        NodeKind::Directory => ('d', None, None, None, b"-".to_vec()),
        NodeKind::File { size, content } => {
            let sha256 = match content {
                Content::Inline(bytes) => Sha256::of(bytes),
                Content::Package(source) => contents[source.package][source.entry],
            };
            ('f', Some(*size), Some(node.mtime), Some(count), sha256.to_string().into_bytes())
        }
        NodeKind::Symlink(target) => {
            ('l', None, None, None, printable::field(&String::from_utf8_lossy(target)).into_owned().into_bytes())
        }
        NodeKind::Fifo => ('p', None, None, None, b"-".to_vec()),
    };
    let text = format!(
        "\t{kind}\t{:o}\t{}\t{}\t{}\t{}\t{}\t",
        node.mode,
        node.uid,
        node.gid,
        column(size),
        column(mtime),
        column(count)
    );
    [text.as_bytes(), &content].concat()
}

fn column(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}
