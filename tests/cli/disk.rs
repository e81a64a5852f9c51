//! A disk that fills up quickly. Mounting one needs root, so the names of such tests begin with `as_root`.

use std::path::PathBuf;
use std::process::Command;

/// A small file system. It is unmounted when this value is dropped.
pub(crate) struct SmallDisk {
    pub(crate) path: PathBuf,
}

impl SmallDisk {
    pub(crate) fn mount(path: PathBuf, size: &str) -> Self {
        fs_err::create_dir_all(&path).unwrap();
        let disk = Self { path };
        disk.run("mount", &["-t", "tmpfs", "-o", &format!("mode=0755,size={size}"), "mailimg-test"]);
        disk
    }

    pub(crate) fn grow(&self, size: &str) {
        self.run("mount", &["-o", &format!("remount,size={size}")]);
    }

    fn run(&self, program: &str, args: &[&str]) {
        let output = Command::new(program).args(args).arg(&self.path).output().unwrap();
        assert!(
            output.status.success(),
            "this test needs root, to mount a small file system: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).status();
    }
}
