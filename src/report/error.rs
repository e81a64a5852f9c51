/// Why a question about an image has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The image has no package of that name, nor one that provides it.
    #[error("{image} has no package {package:?}, and none that provides it{}", it_has(near))]
    NotInImage {
        /// The image.
        image: String,
        /// What was asked for.
        package: String,
        /// Names of its packages that look like it.
        near: Vec<String>,
    },
    /// The image was not made of these layers.
    #[error("{image} has {found} layers, and not the {planned} that are planned for it")]
    OtherLayers {
        /// The image.
        image: String,
        /// How many are planned.
        planned: usize,
        /// How many it has.
        found: usize,
    },
}

fn it_has(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; it has {}", near.join(", ")) }
}
