//! The images' archives, read by other tools.

use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;

use crate::common::foreign;
use crate::stack::{self, SERVICES};

#[test]
fn others_read_the_archives_of_all_images() {
    let stack = stack::shared();
    let work = tempfile::tempdir().unwrap();
    let output = work.path().join("oci");
    let arguments = ["build", "--archive", "--offline", "--json", "--output", output.to_str().unwrap()];
    let built: serde_json::Value = serde_json::from_str(&stack.project.run(arguments)).unwrap();
    let built = built.as_array().unwrap();
    assert_eq!(built.len(), SERVICES.len());
    for image in built {
        let name = image["image"].as_str().unwrap();
        let directory = work.path().join(name);
        fs_err::create_dir(&directory).unwrap();
        let copied = foreign::copied_and_unpacked(&output.join(format!("{name}.tar")), &directory);
        assert_eq!(copied.digest, image["digest"].as_str().unwrap(), "{name}");

        let database = fs_err::read_to_string(copied.files.join("lib/apk/db/installed")).unwrap();
        let (mut directory, mut found) = (Utf8Path::new(""), 0);
        for line in database.lines() {
            match line.split_once(':') {
                Some(("F", path)) => directory = Utf8Path::new(path),
                Some(("R", file)) => {
                    let path = copied.files.join(directory).join(file);
                    assert!(path.symlink_metadata().is_ok(), "{name}: {} is not there", path.display());
                    found += 1;
                }
                _ => {}
            }
        }
        assert!(found > 500, "{name}: {found} files");
        if name == "postfix" {
            let postdrop = fs_err::symlink_metadata(copied.files.join("usr/sbin/postdrop")).unwrap();
            assert_eq!((postdrop.mode() & 0o7777, postdrop.uid(), postdrop.gid()), (0o2755, 0, 208));
        }
    }
}
