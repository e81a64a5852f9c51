use std::collections::HashSet;

use super::graph::{Edge, From, Graph};

/// A line of the tree of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch<'a> {
    /// Whether it is the last at each level, from the top down to this line.
    pub last: Vec<bool>,
    /// What leads to the package, and the package.
    pub edge: &'a Edge,
    /// Whether what the package brings is left out here, because it stands below an earlier line.
    pub seen: bool,
}

impl Graph {
    /// The lines of the tree whose top is the world. What a package brings is below its first line only.
    #[must_use]
    pub fn branches(&self) -> Vec<Branch<'_>> {
        let mut branches = Vec::new();
        let mut seen = HashSet::new();
        // Lines to come, the next one last.
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

    /// The lines right below one, in reverse order.
    fn below(&self, from: From, above: &[bool]) -> Vec<(&Edge, Vec<bool>)> {
        let edges: Vec<&Edge> = self.from(from).collect();
        let level = |last: bool| above.iter().copied().chain([last]).collect();
        edges.into_iter().rev().enumerate().map(|(from_end, edge)| (edge, level(from_end == 0))).collect()
    }
}
