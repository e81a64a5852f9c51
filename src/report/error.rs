/// Why a question about an image can't be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The image has no package of that name and none that provides it.
    #[error("{image} has no package {package:?} and none that provides it{}", it_has(near))]
    NotInImage { image: String, package: String, near: Vec<String> },
    /// The image was not made of these layers.
    #[error("{image} has {found} layers instead of the planned {planned}")]
    OtherLayers { image: String, planned: usize, found: usize },
}

fn it_has(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; it has {}", near.join(", ")) }
}
