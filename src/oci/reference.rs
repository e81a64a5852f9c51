use crate::digest::Sha256;

/// The name of an image in a local engine: `mailimg/<image>:<tag>`.
///
/// Different builds have different names, so a compose file always runs the same image.
#[must_use]
pub fn local_reference(image: &str, manifest: Sha256) -> String {
    format!("mailimg/{image}:{}", tag(manifest))
}

/// The tag for a manifest: the first 16 digits of its digest.
#[must_use]
pub fn tag(manifest: Sha256) -> String {
    manifest.to_string().chars().take(16).collect()
}

/// The name of an image in a registry, pinned by its manifest's digest: `<prefix>/<image>@sha256:…`.
#[must_use]
pub fn registry_reference(prefix: &str, image: &str, manifest: Sha256) -> String {
    format!("{}/{image}@{}", prefix.trim_end_matches('/'), manifest.to_oci())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_pinned_by_the_manifest() {
        let digest = Sha256::of("manifest");
        assert_eq!(local_reference("postfix", digest), format!("mailimg/postfix:{}", &digest.to_string()[..16]));
        assert_eq!(
            registry_reference("registry.example.org/mail/", "postfix", digest),
            format!("registry.example.org/mail/postfix@sha256:{digest}")
        );
    }
}
