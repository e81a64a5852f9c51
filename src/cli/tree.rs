use serde_json::{Value, json};

use super::locked::LockedImage;
use super::{Context, Failure};
use crate::report::{Branch, Edge, From, Graph, Kind, dot};

/// Show an image's packages as a tree of dependencies.
///
/// The top level shows the packages of the image's world; below each are the packages that it brings in. A dependency
/// is shown in brackets unless it is just the package's name. "installed if" marks a package that installs itself
/// because of others. A package's dependencies are shown only once; "..." stands for them elsewhere. Dependencies are
/// read from the locked packages, which are fetched if the store doesn't have them.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg tree postfix
  mailimg tree postfix --dot | dot -Tsvg >postfix.svg")]
pub(super) struct Args {
    #[command(flatten)]
    image: LockedImage,
    /// Print a JSON object with image, world and packages
    #[arg(long, conflicts_with = "dot")]
    json: bool,
    /// Print a graph in Graphviz's dot language
    #[arg(long)]
    dot: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let graph = args.image.graph(context)?;
    if args.dot {
        return context.ui().write(dot(&graph, graph.edges()).as_bytes());
    }
    if args.json {
        return context.ui().json(&object(&graph));
    }
    let lines: String = graph.branches().iter().map(|branch| line(&graph, branch)).collect();
    context.ui().write(format!("{}: {} packages\n{lines}", graph.image(), graph.packages().len()).as_bytes())
}

fn object(graph: &Graph) -> Value {
    let brings = |from| graph.from(from).map(|edge| link(graph, edge)).collect::<Vec<_>>();
    let packages = graph.packages().iter().map(|(id, package)| {
        json!({
            "package": package.name,
            "version": package.version.as_str(),
            "brings": brings(From::Package(id)),
        })
    });
    json!({ "image": graph.image(), "world": brings(From::World), "packages": packages.collect::<Vec<_>>() })
}

fn link(graph: &Graph, edge: &Edge) -> Value {
    json!({
        "package": graph.package(edge.to).name,
        "kind": if edge.kind == Kind::Requires { "requires" } else { "install_if" },
        "by": edge.by,
    })
}

fn line(graph: &Graph, branch: &Branch<'_>) -> String {
    let package = graph.package(branch.edge.to);
    let Some((last, above)) = branch.last.split_last() else { return String::new() };
    let mut out: String = above.iter().map(|last| if *last { "    " } else { "│   " }).collect();
    out.push_str(if *last { "└── " } else { "├── " });
    let reasons = graph.reasons(branch.edge).map(|reasons| format!(" ({reasons})")).unwrap_or_default();
    let seen = if branch.seen { " ..." } else { "" };
    format!("{out}{} {}{reasons}{seen}\n", package.name, package.version)
}
