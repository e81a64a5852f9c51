use serde_json::{Value, json};

use super::locked::LockedImage;
use super::{Context, Failure};
use crate::report::{Chain, Chains, Edge, Graph, Kind, NodeId, dot};

/// Show why a package is in an image.
///
/// Each line is a chain of dependencies from the image's world to the package, the shortest first. A dependency is
/// shown in brackets unless it is just the package's name. "installed if" marks a package that installs itself because
/// of others. Dependencies are read from the locked packages, which are fetched if the store doesn't have them.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg why dovecot libsodium
  mailimg why postfix so:libcrypto.so.3 --limit 1")]
pub(super) struct Args {
    #[command(flatten)]
    image: LockedImage,
    /// A package, or a name that packages provide, such as so:libcrypto.so.3
    #[arg(value_name = "PKG")]
    package: String,
    /// The maximum number of chains per package
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print a JSON array of objects with package, version and chains
    #[arg(long, conflicts_with = "dot")]
    json: bool,
    /// Print everything that leads to the package as a graph in Graphviz's dot language
    #[arg(long)]
    dot: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let graph = args.image.graph(context)?;
    let targets = graph.find(&args.package)?;
    if args.dot {
        return context.ui().write(dot(&graph, graph.ways_to(&targets)).as_bytes());
    }
    let limit = args.limit.try_into().unwrap_or(usize::MAX);
    let answers = targets.into_iter().map(|target| (target, graph.why(target, limit)));
    if args.json {
        let objects: Vec<Value> = answers.map(|(target, chains)| object(&graph, target, &chains)).collect();
        return context.ui().json(&objects);
    }
    for (target, chains) in answers {
        show(&graph, target, &chains, context)?;
    }
    Ok(())
}

fn object(graph: &Graph, target: NodeId, Chains { chains, complete }: &Chains<'_>) -> Value {
    let package = graph.package(target);
    let chains: Vec<Vec<Value>> =
        chains.iter().map(|chain| chain.iter().map(|edge| link(graph, edge)).collect()).collect();
    json!({
        "image": graph.image(),
        "package": package.name,
        "version": package.version.as_str(),
        "chains": chains,
        "complete": complete,
    })
}

/// A step of a chain: the next package, and the dependencies that lead to it.
fn link(graph: &Graph, edge: &Edge) -> Value {
    let package = graph.package(edge.to);
    json!({
        "package": package.name,
        "version": package.version.as_str(),
        "kind": if edge.kind == Kind::Requires { "requires" } else { "install_if" },
        "by": edge.by,
    })
}

fn show(
    graph: &Graph,
    target: NodeId,
    Chains { chains, complete }: &Chains<'_>,
    context: &Context,
) -> Result<(), Failure> {
    let package = graph.package(target);
    context.ui().line(format!("{} {}", package.name, package.version))?;
    for chain in chains {
        context.ui().line(format!("  {}", line(graph, chain)))?;
    }
    if chains.is_empty() {
        context.ui().line("  nothing in the world leads to it: the lock was made from different dependencies")?;
    }
    if !complete {
        context.ui().line("  ... and more: raise --limit, or use --dot to see all of them")?;
    }
    Ok(())
}

fn line(graph: &Graph, chain: &Chain<'_>) -> String {
    let step = |edge: &&Edge| {
        let name = &graph.package(edge.to).name;
        let reasons = graph.reasons(edge).map(|reasons| format!(" ({reasons})")).unwrap_or_default();
        format!(" -> {name}{reasons}")
    };
    format!("world{}", chain.iter().map(step).collect::<Vec<_>>().concat())
}
