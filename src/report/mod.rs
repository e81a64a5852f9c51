//! What an image contains, and why.
//!
//! [`Graph`] holds the packages of an image and why each of them is there. [`Graph::why`] finds the chains from the
//! world to a package, [`Graph::branches`] arranges all packages as a tree, and [`dot`] writes either for Graphviz.
//! [`layers()`] describes the layers of an image.

mod dot;
mod error;
mod graph;
mod layers;
#[cfg(test)]
mod tests;
mod totals;
mod tree;
mod why;

pub use dot::dot;
pub use error::ReportError;
pub use graph::{Edge, From, Graph, Kind, NodeId};
pub use layers::{LayerFacts, layers};
pub use totals::{Distinct, Totals};
pub use tree::Branch;
pub use why::{Chain, Chains};
