use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::graph::{Edge, From, Graph, Kind};
use crate::table::Id as _;

/// Edges of a graph and the packages at their ends, in Graphviz's language. A requirement is an arrow; an `install_if`
/// condition is a dashed one. Arrows are labelled with the dependency unless it is just the package's name.
#[must_use]
pub fn dot<'a>(graph: &Graph, edges: impl IntoIterator<Item = &'a Edge>) -> String {
    let edges: Vec<&Edge> = edges.into_iter().collect();
    let mut out = format!("digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n", quoted(graph.image()));
    // Writing to a string doesn't fail.
    let _ = writeln!(out, "  world [label={} shape=ellipse];", quoted(&format!("world of {}", graph.image())));
    let ends = edges.iter().flat_map(|edge| {
        let from = if let From::Package(from) = edge.from { Some(from) } else { None };
        from.into_iter().chain([edge.to])
    });
    for id in ends.collect::<BTreeSet<_>>() {
        let package = graph.package(id);
        let label = format!("{}\n{}", package.name, package.version);
        let _ = writeln!(out, "  p{} [label={}];", id.number(), quoted(&label));
    }
    for edge in edges {
        let from = match edge.from {
            From::World => "world".to_owned(),
            From::Package(id) => format!("p{}", id.number()),
        };
        let style = if edge.kind == Kind::InstallIf { " style=dashed" } else { "" };
        let label = graph.reasons(edge).map(|reasons| format!("label={}", quoted(&reasons))).unwrap_or_default();
        let attributes = format!("{label}{style}");
        let attributes = attributes.trim_start();
        let attributes = if attributes.is_empty() { String::new() } else { format!(" [{attributes}]") };
        let _ = writeln!(out, "  {from} -> p{}{attributes};", edge.to.number());
    }
    out.push_str("}\n");
    out
}

/// A string of Graphviz's language.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
