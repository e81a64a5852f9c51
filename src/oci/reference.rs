use crate::digest::Sha256;

/// The name under which an image is loaded into a local engine: `mailimg/<image>:<tag>`.
///
/// The tag comes from the digest of the image's manifest, so that another build never has the same name, and a compose
/// file that names it never runs anything else.
#[must_use]
pub fn local_reference(image: &str, manifest: Sha256) -> String {
    let digits = manifest.to_string();
    format!("mailimg/{image}:{}", digits.get(..16).unwrap_or(&digits))
}

/// The name of an image in a registry, pinned by the digest of its manifest: `<prefix>/<image>@sha256:…`.
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
