use super::ReportError;
use crate::apk::tar;
use crate::build::Job;
use crate::digest::Sha256;
use crate::layer::{Draft, DraftContent};
use crate::lock::LockedPackage;
use crate::oci::Image;

/// Facts about a layer of an image.
#[derive(Debug, Clone)]
pub struct LayerFacts<'a> {
    /// SHA-256 of the compressed layer.
    pub digest: Sha256,
    /// SHA-256 of the uncompressed layer.
    pub diff_id: Sha256,
    /// Compressed bytes.
    pub size: u64,
    /// Uncompressed bytes.
    pub unpacked: u64,
    pub title: &'a str,
    /// Its packages, in install order; none in the top layer.
    pub packages: Vec<&'a LockedPackage>,
    /// The other images that have the same layer.
    pub shared_with: Vec<&'a str>,
    /// Why it is not verbatim; none if it is.
    pub reason: Option<String>,
}

/// Facts about the layers of an image, bottom to top. `drafts` are those of `job`; `image` was built from them.
/// `others` are the known images of the project; for unknown ones, the plan is reported.
pub fn layers<'a>(
    job: &'a Job<'_>,
    drafts: &'a [Draft],
    image: &Image,
    others: &[Image],
) -> Result<Vec<LayerFacts<'a>>, ReportError> {
    if drafts.len() != image.layers.len() {
        let (image, planned, found) = (image.name.clone(), drafts.len(), image.layers.len());
        return Err(ReportError::OtherLayers { image, planned, found });
    }
    let mut facts = Vec::new();
    for (draft, layer) in drafts.iter().zip(&image.layers) {
        let packages: Vec<&LockedPackage> = draft.packages.iter().map(|id| job.packages[*id].package).collect();
        let is_shared = |name: &&str| {
            let known = others.iter().find(|other| other.name == *name);
            *name != image.name
                && known.is_none_or(|other| other.layers.iter().any(|theirs| theirs.digest == layer.digest))
        };
        facts.push(LayerFacts {
            digest: layer.digest,
            diff_id: layer.diff_id,
            size: layer.size,
            unpacked: unpacked(draft, &packages),
            title: &draft.title,
            shared_with: draft.images.iter().map(String::as_str).filter(is_shared).collect(),
            reason: reason(draft),
            packages,
        });
    }
    Ok(facts)
}

fn unpacked(draft: &Draft, packages: &[&LockedPackage]) -> u64 {
    match &draft.content {
        DraftContent::Member(_) => packages.iter().map(|package| package.unpacked).sum(),
        DraftContent::Segments { segments, .. } => {
            let mut end = Vec::new();
            tar::end(&mut end);
            segments.iter().map(crate::layer::Segment::unpacked).sum::<u64>() + end.len() as u64
        }
    }
}

fn reason(draft: &Draft) -> Option<String> {
    match (&draft.content, draft.packages.len()) {
        (DraftContent::Member(_), _) => None,
        (DraftContent::Segments { reason: Some(reason), .. }, _) => Some(reason.to_string()),
        (_, 0) => Some("no package contains it".to_owned()),
        (_, count) => Some(format!("it contains {count} packages")),
    }
}
