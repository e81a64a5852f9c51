//! The flat oracle, with engines: every tool that unpacks an image finds the tree that was merged in memory.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::flat::{Exception, Expected, FlatTree, archive, assert_none, differences, hard, reference};
use crate::common::project::Project;
use crate::common::{engine, foreign, wait_for};
use crate::stack::{self, SERVICES};

/// What Docker creates in a container before anything runs in it. It may not create or change anything else.
const BY_DOCKER: [Exception; 11] = [
    // Tells programs that they run in a container.
    (".dockerenv", Expected::Made),
    // Mount points for devices, terminals and shared memory, as is `dev` itself.
    ("dev/console", Expected::Made),
    ("dev/pts", Expected::Made),
    ("dev/shm", Expected::Made),
    ("dev", Expected::Touched),
    // Mount points for each container's own files.
    ("etc/hostname", Expected::Replaced),
    ("etc/hosts", Expected::Replaced),
    ("etc/resolv.conf", Expected::Replaced),
    // A link to the kernel's list of mounts.
    ("etc/mtab", Expected::Replaced),
    ("etc", Expected::Touched),
    // The mount point of sysfs. (`proc` is in every image.)
    ("sys", Expected::Made),
];

#[test]
fn whoever_unpacks_the_four_images_finds_their_merged_trees() {
    let _machine = stack::machine();
    let project = stack::built_project("http://127.0.0.1:9", (Ipv4Addr::LOCALHOST, 53).into(), &[].into());
    let trees = reference::trees(&project);
    assert_eq!(trees.len(), SERVICES.len());
    compare(&project, &trees);
}

#[test]
fn whoever_unpacks_made_up_images_finds_their_merged_trees() {
    let _machine = stack::machine();
    let project = hard::project();
    project.run(["build"]);
    compare(&project, &reference::trees(&project));
}

/// Unpacks all images of a project with each tool, all at the same time.
fn compare(project: &Project, trees: &BTreeMap<String, FlatTree>) {
    engine::require();
    let owner = fs_err::metadata("/proc/self").map(|it| std::os::unix::fs::MetadataExt::uid(&it)).unwrap();
    assert_eq!(owner, 0, "files get their owners only where root unpacks them: run this test as root");
    let compare = |unpack: &(dyn Fn(&str) -> FlatTree + Sync), exceptions: &[Exception]| {
        let mut lines = Vec::new();
        for (image, tree) in trees {
            assert!(tree.len() > 10, "{image}: {}", tree.len());
            let found = differences(tree, &unpack(image), exceptions);
            lines.extend(found.into_iter().map(|line| format!("{image}: {line}")));
        }
        lines
    };
    let work = tempfile::tempdir().unwrap();
    let directory = |name: &str| {
        let path = work.path().join(name);
        fs_err::create_dir(&path).unwrap();
        path
    };
    let (by_umoci, by_containerd) = (directory("umoci"), directory("containerd"));
    let layout = project.path().join("oci");
    std::thread::scope(|scope| {
        let docker = scope.spawn(|| {
            let loaded = Loaded::of(project);
            compare(&|image| loaded.export(image), &BY_DOCKER)
        });
        let umoci = scope.spawn(|| {
            compare(
                &|image| {
                    let directory = by_umoci.join(image);
                    fs_err::create_dir(&directory).unwrap();
                    archive::of_command(
                        Command::new("tar")
                            .args(archive::tar_arguments(&foreign::unpacked(&layout, image, &directory))),
                    )
                },
                &[],
            )
        });
        let containerd = scope.spawn(|| {
            let containerd = Containerd::start(&by_containerd);
            containerd.import(&layout);
            compare(&|image| containerd.tree(image), &[])
        });
        let results = [("docker", docker.join()), ("umoci", umoci.join()), ("containerd", containerd.join())];
        let mut failed = Vec::new();
        for (tool, result) in results {
            match result {
                Ok(lines) => failed.extend(lines.into_iter().map(|line| format!("{tool}: {line}"))),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        assert_none(&failed, "unpacked images");
    });
}

/// Images in the engine, under their names there. They are removed when this process ends: the shared stack may be
/// about to use some of them.
struct Loaded(BTreeMap<String, String>);

impl Loaded {
    fn of(project: &Project) -> Self {
        let names = project.run(["load"]);
        engine::when_process_ends(&format!(
            "docker image rm {}",
            names.split_whitespace().collect::<Vec<_>>().join(" ")
        ));
        let name_of = |reference: &str| {
            let (repository, _) = reference.rsplit_once(':').unwrap();
            (repository.rsplit('/').next().unwrap().to_owned(), reference.to_owned())
        };
        Self(names.lines().map(name_of).collect())
    }

    /// The tree of a container that was never started.
    fn export(&self, image: &str) -> FlatTree {
        let label = format!("{}={}", engine::LABEL, engine::run());
        let id = engine::docker(["create", "--network", "none", "--label", &label, &self.0[image]]);
        let container = Container(id.trim().to_owned());
        archive::of_command(Command::new("docker").args(["export", &container.0]))
    }
}

/// A container. It is removed when this value is dropped.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        engine::try_docker(["rm", "--force", "--volumes", &self.0]);
    }
}

/// A containerd independent of the one that the engine uses. It ends when this value is dropped, or with the thread.
struct Containerd<'a> {
    process: Child,
    directory: &'a Path,
    snapshotter: &'static str,
}

impl<'a> Containerd<'a> {
    fn start(directory: &'a Path) -> Self {
        let path = |name: &str| directory.join(name).display().to_string();
        // Its Kubernetes plugin is not needed, and takes a second to give up.
        let config = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
        fs_err::write(path("config.toml"), config).unwrap();
        let log = fs_err::File::create(path("log")).unwrap();
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "containerd", "--config", &path("config.toml"), "--root", &path("root")])
            .args(["--state", &path("state"), "--address", &path("socket")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.into_parts().0)
            .spawn()
            .unwrap();
        let mut containerd = Self { process, directory, snapshotter: "overlayfs" };
        wait_for(
            "containerd to answer (Debian's containerd; `scripts/test` installs it)",
            Duration::from_secs(20),
            || containerd.ctr(&["version"]).output().unwrap().status.success().then_some(()),
        );
        let plugins = foreign::run(&mut containerd.ctr(&["plugins", "list"]));
        let works = |line: &str| line.contains("overlayfs") && line.trim_end().ends_with("ok");
        if !plugins.lines().any(works) {
            // If overlayfs can't use a directory's file system, each snapshot is a copy.
            containerd.snapshotter = "native";
        }
        containerd
    }

    fn ctr(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.directory.join("socket")).args(arguments);
        command
    }

    /// Imports all images of a layout.
    fn import(&self, layout: &Path) {
        let mut tar = Command::new("tar")
            .args(["--create", "--directory"])
            .arg(layout)
            .args(["oci-layout", "index.json", "blobs"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let arguments = ["images", "import", "--base-name", "image", "--snapshotter", self.snapshotter, "-"];
        foreign::run(self.ctr(&arguments).stdin(tar.stdout.take().unwrap()));
        assert!(tar.wait().unwrap().success());
    }

    /// The tree that containerd mounts for an image, in a mount namespace that disappears by itself.
    fn tree(&self, image: &str) -> FlatTree {
        let target = self.directory.join(image);
        fs_err::create_dir(&target).unwrap();
        let script =
            "ctr --address \"$1\" images mount --snapshotter \"$2\" \"$3\" \"$4\" >/dev/null && shift 4 && tar \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", script, "mounted"])
            .arg(self.directory.join("socket"))
            .args([self.snapshotter, &format!("image:{image}")])
            .arg(&target)
            .args(archive::tar_arguments(&target));
        archive::of_command(&mut command)
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
