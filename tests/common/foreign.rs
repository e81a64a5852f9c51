//! Readers of images that are not ours: skopeo and umoci, Debian's packages of those names.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What they make of an archive.
pub struct Copied {
    /// The image's digest, `sha256:` and hexadecimal digits.
    pub digest: String,
    /// The image's files, with their owners if this is root.
    pub files: PathBuf,
}

/// Copies the image of an archive (`oci-archive:` to skopeo) into a directory of blobs, and into an OCI layout, which is
/// unpacked; all of it in new directories below `work`.
pub fn copied_and_unpacked(archive: &Path, work: &Path) -> Copied {
    let path = |name: &str| work.join(name).display().to_string();
    let source = format!("oci-archive:{}", archive.display());
    let (directory, layout, bundle) = (path("directory"), path("layout"), path("bundle"));
    skopeo(&["copy", "--quiet", &source, &format!("dir:{directory}")]);
    skopeo(&["copy", "--quiet", &source, &format!("oci:{layout}:copied")]);
    let digest = skopeo(&["inspect", "--format", "{{.Digest}}", &format!("dir:{directory}")]).trim().to_owned();
    assert_eq!(skopeo(&["inspect", "--format", "{{.Digest}}", &format!("oci:{layout}:copied")]).trim(), digest);
    let mut umoci = Command::new("umoci");
    run(umoci.args(["unpack", "--image", &format!("{layout}:copied"), &bundle]));
    Copied { digest, files: Path::new(&bundle).join("rootfs") }
}

/// Without a policy file of the machine: the images are not signed.
fn skopeo<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    run(Command::new("skopeo").arg("--insecure-policy").args(arguments))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}\nhint: `apt-get install skopeo umoci`; `scripts/test` does it")
    });
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
