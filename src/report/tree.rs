use std::collections::HashSet;

use super::graph::{Edge, From, Graph};

/// A line of the tree of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch<'a> {
    /// Whether it is the last one on each level, from the top down to this line.
    pub last: Vec<bool>,
    /// The edge to the package.
    pub edge: &'a Edge,
    /// Whether the package's dependencies are omitted because an earlier line shows them.
    pub seen: bool,
}

impl Graph {
    /// The lines of the tree, starting from the world. A package's dependencies are below its first line only.
    #[must_use]
    pub fn branches(&self) -> Vec<Branch<'_>> {
        let mut branches = Vec::new();
        let mut seen = HashSet::new();
        // Pending lines, the next one last.
        let mut stack = self.below(From::World, &[]);
        while let Some((edge, last)) = stack.pop() {
            let first = seen.insert(edge.to);
            let below = self.below(From::Package(edge.to), &last);
            branches.push(Branch { last, edge, seen: !first && !below.is_empty() });
            if first {
                stack.extend(below);
            }
        }
        branches
    }

    /// The lines directly below a line, in reverse order.
    fn below(&self, from: From, above: &[bool]) -> Vec<(&Edge, Vec<bool>)> {
        let edges: Vec<&Edge> = self.from(from).collect();
        let level = |last: bool| above.iter().copied().chain([last]).collect();
        edges.into_iter().rev().enumerate().map(|(from_end, edge)| (edge, level(from_end == 0))).collect()
    }
}
