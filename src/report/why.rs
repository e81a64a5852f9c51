use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use super::graph::{Edge, From, Graph, NodeId};
use crate::table::Table;

/// The most partial chains to follow. Only packages with many circular dependencies come close to it.
const EFFORT: usize = 20_000;

/// A chain from the world to a package: each edge starts where the previous one ends.
pub type Chain<'a> = Vec<&'a Edge>;

/// Why a package is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chains<'a> {
    /// Sorted by length, then by name. No chain contains a package twice.
    pub chains: Vec<Chain<'a>>,
    /// Whether these are all.
    pub complete: bool,
}

/// A partial chain: edges backwards from the package in question. Those that can become the shortest go first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Partial<'a> {
    /// A lower bound of its length once it reaches the world.
    length: usize,
    backwards: Vec<&'a Edge>,
}

impl Graph {
    /// Why the package `target` is there: the chains from the world to it, at most `limit`.
    #[must_use]
    pub fn why(&self, target: NodeId, limit: usize) -> Chains<'_> {
        let (incoming, distances) = (self.incoming(), self.distances());
        let distance = |from: From| match from {
            From::World => Some(0),
            From::Package(position) => distances[position],
        };
        let (mut queue, mut chains, mut effort) = (BinaryHeap::new(), Vec::new(), 0);
        queue.push(Reverse(Partial { length: 0, backwards: Vec::new() }));
        let mut complete = true;
        while let Some(Reverse(Partial { backwards, .. })) = queue.pop() {
            effort += 1;
            if chains.len() == limit || effort > EFFORT {
                complete = false;
                break;
            }
            let from = backwards.last().map_or(From::Package(target), |edge| edge.from);
            let From::Package(position) = from else {
                chains.push(backwards.into_iter().rev().collect());
                continue;
            };
            for edge in incoming[position].iter().copied() {
                let again = edge.from == From::Package(target) || backwards.iter().any(|it| it.from == edge.from);
                if let Some(distance) = distance(edge.from).filter(|_| !again) {
                    let mut backwards = backwards.clone();
                    backwards.push(edge);
                    queue.push(Reverse(Partial { length: backwards.len() + distance, backwards }));
                }
            }
        }
        chains.sort_by(|a: &Chain<'_>, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        Chains { chains, complete }
    }

    /// The edges that lie on some way from the world to the packages `targets`.
    #[must_use]
    pub fn ways_to(&self, targets: &[NodeId]) -> Vec<&Edge> {
        let incoming = self.incoming();
        let mut seen: BTreeSet<NodeId> = targets.iter().copied().collect();
        let mut queue: VecDeque<NodeId> = seen.iter().copied().collect();
        let mut edges = BTreeSet::new();
        while let Some(position) = queue.pop_front() {
            for edge in incoming[position].iter().copied() {
                edges.insert(edge);
                if let From::Package(from) = edge.from
                    && seen.insert(from)
                {
                    queue.push_back(from);
                }
            }
        }
        edges.into_iter().collect()
    }

    /// The edges that lead to each package.
    fn incoming(&self) -> Table<NodeId, Vec<&Edge>> {
        let mut incoming = Table::filled(Vec::new(), self.packages().len());
        for edge in self.edges() {
            incoming[edge.to].push(edge);
        }
        incoming
    }

    /// The number of edges on the shortest path from the world to each package.
    fn distances(&self) -> Table<NodeId, Option<usize>> {
        let mut distances = Table::filled(None, self.packages().len());
        let mut queue = VecDeque::from([(From::World, 0)]);
        while let Some((from, distance)) = queue.pop_front() {
            for edge in self.from(from) {
                if distances[edge.to].is_none() {
                    distances[edge.to] = Some(distance + 1);
                    queue.push_back((From::Package(edge.to), distance + 1));
                }
            }
        }
        distances
    }
}
