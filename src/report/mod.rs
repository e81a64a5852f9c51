//! What an image holds, and why.
//!
//! [`Graph`] is the packages of an image and what makes each of them be there. [`Graph::why`] finds the chains from the
//! world to one package, [`Graph::branches`] orders all of them as a tree. [`dot`] shows either for Graphviz. [`layers()`] tells what each layer of an image is.

mod dot;
mod error;
mod graph;
mod layers;
#[cfg(test)]
mod tests;
mod tree;
mod why;

pub use dot::dot;
pub use error::ReportError;
pub use graph::{Edge, From, Graph, Kind, NodeId};
pub use layers::{LayerFacts, layers};
pub use tree::Branch;
pub use why::{Chain, Chains};
