use std::fmt;

use serde_json::{Value, json};

use super::ImageError;

/// A processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// As OCI calls it: `arm64`.
    pub architecture: &'static str,
    /// The variant, if there are several: `v8`.
    pub variant: Option<&'static str>,
    /// As apk calls it: `aarch64`.
    pub arch: &'static str,
}

const PLATFORMS: [Platform; 9] = [
    Platform { architecture: "amd64", variant: None, arch: "x86_64" },
    Platform { architecture: "arm64", variant: Some("v8"), arch: "aarch64" },
    Platform { architecture: "arm", variant: Some("v7"), arch: "armv7" },
    Platform { architecture: "arm", variant: Some("v6"), arch: "armhf" },
    Platform { architecture: "386", variant: None, arch: "x86" },
    Platform { architecture: "ppc64le", variant: None, arch: "ppc64le" },
    Platform { architecture: "s390x", variant: None, arch: "s390x" },
    Platform { architecture: "riscv64", variant: None, arch: "riscv64" },
    Platform { architecture: "loong64", variant: None, arch: "loongarch64" },
];

impl Platform {
    /// The platform of apk's architecture `arch`.
    pub fn of(arch: &str) -> Result<Self, ImageError> {
        PLATFORMS.into_iter().find(|platform| platform.arch == arch).ok_or_else(|| ImageError::Architecture {
            arch: arch.to_owned(),
            known: PLATFORMS.map(|platform| platform.arch).join(", "),
        })
    }

    /// The platform with OCI's name. Without a variant it is the usual one.
    pub(super) fn of_oci(architecture: &str, variant: Option<&str>) -> Option<Self> {
        let is_meant = |platform: &Self| {
            platform.architecture == architecture && (variant.is_none() || variant == platform.variant)
        };
        PLATFORMS.into_iter().find(is_meant)
    }

    pub(super) fn of_json(json: &Value) -> Option<Self> {
        Self::of_oci(json.get("architecture")?.as_str()?, json.get("variant").and_then(Value::as_str))
    }

    pub(super) fn to_json(self) -> Value {
        let mut json = json!({ "architecture": self.architecture, "os": "linux" });
        if let (Some(object), Some(variant)) = (json.as_object_mut(), self.variant) {
            object.insert("variant".to_owned(), variant.into());
        }
        json
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.arch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_platform_is_found_again_by_what_is_written_of_it() {
        for platform in PLATFORMS {
            assert_eq!(Platform::of(platform.arch).unwrap(), platform);
            assert_eq!(Platform::of_json(&platform.to_json()), Some(platform));
        }
        assert_eq!(Platform::of_json(&json!({ "architecture": "arm64", "os": "linux" })).unwrap().arch, "aarch64");
        assert_eq!(Platform::of_json(&json!({ "architecture": "arm", "variant": "v5" })), None);
    }

    #[test]
    fn unknown_architectures_are_refused() {
        assert!(Platform::of("vax").unwrap_err().to_string().starts_with(r#""vax" is not a supported architecture"#));
    }
}
