//! Other readers of images: skopeo and umoci, from Debian's packages.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Their view of an archive.
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

/// Copies an image of an OCI layout with skopeo and unpacks the copy with umoci, below `work`; returns where it is.
pub fn unpacked(layout: &Path, image: &str, work: &Path) -> PathBuf {
    let (copy, rootfs) = (work.join("layout").display().to_string(), work.join("rootfs"));
    skopeo(&["copy", "--quiet", &format!("oci:{}:{image}", layout.display()), &format!("oci:{copy}:copied")]);
    run(Command::new("umoci").args(["raw", "unpack", "--image", &format!("{copy}:copied")]).arg(&rootfs));
    rootfs
}

/// Ignores the machine's policy file: the images are not signed.
fn skopeo<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    run(Command::new("skopeo").arg("--insecure-policy").args(arguments))
}

/// Runs a program and returns its output. If it fails, panics with its messages.
pub fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}\nhint: `scripts/test` installs what the tests call"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
