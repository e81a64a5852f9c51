//! Made-up packages with everything that is hard to layer, and four images that share them in different combinations.

use std::path::PathBuf;
use std::process::Command;

use mailimg::apk::Dependency;
use mailimg::apk::tar::{self, Entry, EntryKind};

use crate::common::packages::{BUILT, Made, MadeRepository, channel, key, write_key};
use crate::common::project::Project;

/// The images, by name.
pub const IMAGES: [&str; 4] = ["everything", "most", "some", "least"];

/// The packages in each image in addition to `base`.
fn world(image: &str) -> Vec<&'static str> {
    let least =
        ["big", "empty", "empty-too", "hidden", "hosts", "names", "plain", "same-data", "same-data-too", "small"];
    let some = ["caps", "directories", "ended-late", "hardlinks", "old", "pieces", "shared", "svc", "twice"];
    let most = ["directories-too", "gnu", "keeper", "liars", "modes", "shared-too", "through", "unended"];
    let everything = ["directories-three", "headless", "kept-out", "new", "pax", "sticky"];
    let mut world = least.to_vec();
    for (more, images) in [(some.as_slice(), &IMAGES[..3]), (&most, &IMAGES[..2]), (&everything, &IMAGES[..1])] {
        if images.contains(&image) {
            world.extend(more);
        }
    }
    world
}

/// `svc` has different ids in each image. Only in `some` are they the ids in the packages' headers.
fn recipe(image: &str) -> String {
    let list: Vec<_> = ["base"].into_iter().chain(world(image)).collect();
    let id = match image {
        "everything" => Some(700),
        "most" => Some(800),
        "some" => Some(300),
        _ => None,
    };
    let account = id.map_or_else(String::new, |id| {
        format!(
            "[[group]]\nname = \"svc\"\ngid = {id}\n\n\
             [[user]]\nname = \"svc\"\nuid = {id}\ngroup = \"svc\"\nhome = \"/srv/svc\"\n"
        )
    });
    let rules = match image {
        "everything" => RULES,
        "most" => "[[file]]\npath = \"/usr/share/links/three-b\"\nmode = \"0600\"\nowner = \"svc\"\n",
        _ => "",
    };
    format!(
        "description = \"hard\"\nworld = {list:?}\n\n{account}\n{rules}\n\
         [image]\nentrypoint = [\"/usr/bin/base\"]\n\n[service]\nmemory = 10\n"
    )
}

/// A recipe's changes to packages' files.
const RULES: &str = r#"
[[directory]]
path = "/srv/svc"
mode = "2770"
owner = "svc"
group = "svc"

[[directory]]
path = "/usr/share/directories/own"
mode = "1750"
group = "svc"

[[directory]]
path = "/usr/share/recipe/below/it"
mode = "0700"

[[file]]
path = "/usr/share/links/two-a"
mode = "4710"
owner = "svc"
group = "svc"

[[file]]
path = "/usr/share/caps/alone"
mode = "0700"

[[link]]
path = "/usr/share/plain/link"
target = "../elsewhere"

[[link]]
path = "/usr/share/small"
target = "plain"
"#;

/// The project's setting for layers: as many as engines support.
pub const LAYERS: &str = "layers = 120";

/// A project of the four images, locked.
pub fn project() -> Project {
    let project = Project::new();
    MadeRepository::new(project.path().join("repository"), &packages());
    project.write("apk-locks/made-up/channel.toml", channel("repository"));
    project.write(
        "mailimg.toml",
        format!(
            "hostname = \"mail.example.org\"\ndomains = [\"example.org\"]\npostmaster = \"admin@example.org\"\n\
             channel = \"made-up\"\nimages = {IMAGES:?}\n{LAYERS}\n"
        ),
    );
    for image in IMAGES {
        project.write(format!("recipes/{image}.toml"), recipe(image));
        project.write(format!("images/{image}/rootfs/etc/image"), image);
    }
    // Over a package's file, over one of a file's two names, and behind a package's link.
    project.write("images/everything/rootfs/etc/plain", "baked");
    project.write("images/everything/rootfs/usr/share/links/other-a", "baked");
    project.write("images/everything/rootfs/bin/baked", "baked");
    let keys = project.root().join("keys");
    write_key(&keys, key());
    project.run(["lock", "--keys-dir", keys.to_str().unwrap()]);
    project
}

/// An entry owned by root.
fn entry(path: impl Into<Vec<u8>>, kind: EntryKind, mode: u32) -> Entry {
    Entry { mtime: BUILT.cast_signed(), ..Entry::new(path, kind, mode) }
}

fn file(path: &str, mode: u32) -> Entry {
    entry(path, EntryKind::File, mode)
}

fn directory(path: &str, mode: u32) -> Entry {
    entry(path, EntryKind::Directory, mode)
}

fn symlink(path: &str, target: &str) -> Entry {
    entry(path, EntryKind::Symlink(target.into()), 0o777)
}

fn hardlink(path: &str, target: &str, mode: u32) -> Entry {
    entry(path, EntryKind::Hardlink(target.into()), mode)
}

/// An entry owned by `svc`. Its ids in the header match those in an image only by chance.
fn of_svc(entry: Entry) -> Entry {
    Entry { uid: 300, gid: 300, user: "svc".to_owned(), group: "svc".to_owned(), ..entry }
}

/// `cap_net_bind_service` as Linux stores it on a file.
fn capable(mut entry: Entry) -> Entry {
    let value = [1, 0, 0, 2, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    entry.xattrs.insert("security.capability".to_owned(), value.to_vec());
    entry
}

fn at(mtime: i64, entry: Entry) -> Entry {
    Entry { mtime, ..entry }
}

/// Bytes that don't compress.
fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend((state ^ (state >> 29)).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn after(name: &str) -> Vec<Dependency> {
    Dependency::parse_list(name).unwrap()
}

fn packages() -> Vec<Made> {
    let base_first = |package: Made| {
        package.with(|it| {
            if it.name != "base" {
                it.depends.extend(after("base"));
            }
        })
    };
    [basics(), takeovers(), shapes(), trees()].concat().into_iter().map(base_first).collect()
}

/// The size of a package that gets its own layer if there are enough layers.
const HEAVY: usize = 140_000;

/// A package that is large enough for its own layer.
fn heavy(name: &str, version: &str) -> Made {
    let seed = name.bytes().fold(1, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    Made::bare(name, version).file(&format!("usr/share/ballast/{name}"), noise(HEAVY, seed))
}

/// Simple packages, and packages with difficult entries.
fn basics() -> Vec<Made> {
    let long = |part: &str, count: usize| part.repeat(count);
    let base = heavy("base", "1.0-r0")
        .entry(directory("usr/bin", 0o755), "")
        .entry(directory("usr/sbin", 0o755), "")
        .entry(symlink("bin", "usr/bin"), "")
        .entry(symlink("sbin", "/usr/sbin"), "")
        .entry(directory("run", 0o755), "")
        .entry(directory("tmp", 0o1777), "")
        .entry(directory("var/tmp", 0o1777), "")
        .entry(symlink("var/run", "../run"), "")
        .entry(at(1, directory("srv", 0o755)), "")
        .entry(file("usr/bin/base", 0o755), "#!/bin/sh\n")
        .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        .file("etc/group", "root:x:0:\n");
    let names = heavy("names", "1.0-r0")
        .file(&format!("usr/share/names/{}", long("l", 255)), "255 bytes in one component")
        .file(&format!("usr/share/names/{}/{}", long("d", 200), long("f", 200)), "more than 400")
        .entry(directory(&format!("usr/share/names/{}", long("e", 83)), 0o750), "99 and a slash")
        .entry(directory(&format!("usr/share/names/{}", long("g", 84)), 0o750), "100 and a slash")
        .file(&format!("usr/share/names/{}", long("h", 84)), "100 bytes")
        .entry(symlink("usr/share/names/far", &long("target/", 20)), "")
        .entry(symlink("usr/share/names/hundred", &long("t", 100)), "")
        .file("usr/share/names/größe/日本語", "UTF-8")
        .entry(entry(&b"usr/share/names/caf\xe9"[..], EntryKind::File, 0o644), "Latin-1")
        .entry(entry([b"usr/share/names/\xe9".as_slice(), &[b'x'; 120]].concat(), EntryKind::File, 0o644), "both")
        .file("usr/share/names/with space \\ and * \"quotes\" 'too' #;$`~", "odd")
        .file("usr/share/names/-rf", "an option")
        .file("usr/share/names/ends with a space ", "so it does")
        .file("usr/share/names/wh.not", "no whiteout")
        .file("usr/share/names/..double", "no parent")
        .file("usr/share/names/.hidden", "below the top");
    let modes = heavy("modes", "1.0-r0")
        .entry(file("usr/bin/setuid", 0o4755), "s")
        .entry(file("usr/bin/setgid", 0o2755), "s")
        .entry(file("usr/bin/both", 0o6711), "s")
        .entry(file("usr/bin/nobody", 0), "x")
        .entry(directory("usr/share/modes", 0o2755), "")
        .entry(file("usr/share/modes/inside", 0o644), "of root's group, though the directory gives its own")
        .entry(directory("usr/share/modes/closed", 0), "")
        .entry(file("usr/share/modes/closed/inside", 0o600), "x")
        .entry(directory("usr/share/modes/read-only", 0o555), "")
        .entry(file("usr/share/modes/read-only/inside", 0o444), "x")
        .entry(directory("usr/share/modes/sticky", 0o3777), "")
        .entry(at(0, file("usr/share/modes/epoch", 0o644)), "of 1970")
        .entry(entry("usr/share/modes/pipe", EntryKind::Fifo, 0o620), "")
        .entry(file("usr/share/modes/empty", 0o644), "")
        .entry(at(77, symlink("usr/share/modes/link", "nowhere")), "");
    let svc = heavy("svc", "1.0-r0")
        .entry(of_svc(file("usr/bin/svc", 0o2755)), "setgid")
        .entry(of_svc(file("usr/bin/svc-root", 0o4750)), "setuid")
        .entry(of_svc(directory("srv/svc", 0o2750)), "")
        .entry(file("srv/svc/of-root", 0o640), "root's in svc's")
        .entry(of_svc(file("srv/svc/own", 0o600)), "svc's")
        .entry(of_svc(symlink("srv/svc/link", "own")), "")
        .entry(of_svc(entry("srv/svc/pipe", EntryKind::Fifo, 0o600)), "");
    let links = "usr/share/links";
    let hardlinks = heavy("hardlinks", "1.0-r0")
        .entry(file(&format!("{links}/two-a"), 0o644), "two names")
        .entry(hardlink(&format!("{links}/two-b"), &format!("{links}/two-a"), 0o644), "")
        .entry(file(&format!("{links}/z-three"), 0o4755), "three names")
        .entry(hardlink(&format!("{links}/three-b"), &format!("{links}/z-three"), 0o4755), "")
        .entry(hardlink(&format!("{links}/below/three-c"), &format!("{links}/z-three"), 0o4755), "")
        .entry(file(&format!("{links}/other-a"), 0o644), "one of them is baked over")
        .entry(hardlink(&format!("{links}/other-b"), &format!("{links}/other-a"), 0o644), "")
        .entry(hardlink(&format!("{links}/other-c"), &format!("{links}/other-a"), 0o644), "");
    // Engines apply the header of a hard link to its file; packages mean the file's own header.
    let liars = heavy("liars", "1.0-r0")
        .entry(file("usr/share/liars/a", 0o644), "mode and time")
        .entry(at(5, hardlink("usr/share/liars/b", "usr/share/liars/a", 0o600)), "")
        .entry(file("usr/share/liars/c", 0o4755), "owner")
        .entry(Entry { uid: 55, ..hardlink("usr/share/liars/d", "usr/share/liars/c", 0o4755) }, "");
    let caps = heavy("caps", "1.0-r0")
        .entry(capable(file("usr/share/caps/alone", 0o755)), "by itself")
        .entry(
            capable(file("usr/share/caps/first", 0o755)),
            "giving the second name an owner takes the capability away",
        )
        .entry(hardlink("usr/share/caps/second", "usr/share/caps/first", 0o755), "");
    vec![base, names, modes, svc, hardlinks, liars, caps]
}

/// Packages with files in common.
fn takeovers() -> Vec<Made> {
    let both = "usr/share/taken";
    let old = heavy("old", "1.0-r0")
        .file(&format!("{both}/file"), "old")
        .file(&format!("{both}/pair-a"), "old pair")
        .entry(hardlink(&format!("{both}/pair-b"), &format!("{both}/pair-a"), 0o644), "")
        .file(&format!("{both}/becomes-link"), "old file")
        .entry(symlink(&format!("{both}/becomes-file"), "nowhere"), "")
        .file(&format!("{both}/becomes-pipe"), "old file");
    let new = heavy("new", "2.0-r0")
        .with(|it| (it.depends, it.replaces) = (after("old"), after("old")))
        .file(&format!("{both}/file"), "new content")
        .file(&format!("{both}/pair-a"), "no longer of the pair")
        .entry(symlink(&format!("{both}/becomes-link"), "file"), "")
        .entry(file(&format!("{both}/becomes-file"), 0o600), "new file")
        .entry(entry(format!("{both}/becomes-pipe"), EntryKind::Fifo, 0o600), "");
    let keeper = heavy("keeper", "1.0-r0")
        .with(|it| it.replaces = after("kept-out"))
        .file("usr/share/kept/file", "the earlier one's")
        .file("usr/share/kept/first", "the earlier one's");
    let kept_out = heavy("kept-out", "1.0-r0")
        .with(|it| it.depends = after("keeper"))
        .file("usr/share/kept/file", "the later one's")
        .file("usr/share/kept/first", "the later one's")
        .file("usr/share/kept/third", "another")
        .entry(hardlink("usr/share/kept/fourth", "usr/share/kept/third", 0o644), "");
    let shared = |name| heavy(name, "1.0-r0").file("usr/share/shared/licence", "the same in both");
    let same_data = |name| Made::bare(name, "1.0-r0").file("usr/share/same", noise(HEAVY, 9));
    vec![
        old,
        new,
        keeper,
        kept_out,
        shared("shared"),
        shared("shared-too").with(|it| it.depends = after("shared")),
        same_data("same-data"),
        same_data("same-data-too"),
    ]
}

/// Archives unlike those that our writer makes.
fn shapes() -> Vec<Made> {
    let empty = |name| Made::bare(name, "1.0-r0");
    let hidden = heavy("hidden", "1.0-r0").file(".dummy", "never installed").file(".more/of/it", "neither");
    let pieces = heavy("pieces", "1.0-r0").file("usr/share/pieced/a", noise(100_000, 3)).reshaped(|archive| {
        let (head, tail) = archive.split_at(30_001);
        let (middle, end) = tail.split_at(40_000);
        [head, middle, end].map(<[u8]>::to_vec).to_vec()
    });
    let unended = heavy("unended", "1.0-r0").reshaped(|archive| vec![archive[..archive.len() - 1024].to_vec()]);
    let ended_late = heavy("ended-late", "1.0-r0").reshaped(|mut archive| {
        archive.resize(archive.len().next_multiple_of(20 * tar::BLOCK) + 20 * tar::BLOCK, 0);
        vec![archive]
    });
    // The second time counts.
    let twice = heavy("twice", "1.0-r0").file("usr/share/listed/file", "x").reshaped(|mut archive| {
        archive.truncate(archive.len() - 1024);
        archive.extend(tar::header(&at(9, directory("usr/share/listed", 0o750))));
        tar::end(&mut archive);
        vec![archive]
    });
    // The parents of its directory belong to another package.
    let headless = Made::bare("headless", "1.0-r0").reshaped(|_| {
        let mut archive = tar::header(&directory("usr/share/headless", 0o711));
        let content = noise(HEAVY, 5);
        let file = Entry { size: content.len() as u64, ..file("usr/share/headless/file", 0o640) };
        tar::append(&mut archive, &file, &mut content.as_slice()).unwrap();
        tar::end(&mut archive);
        vec![archive]
    });
    vec![
        empty("empty"),
        empty("empty-too"),
        hidden,
        pieces,
        unended,
        ended_late,
        twice,
        headless,
        Made::bare("gnu", "1.0-r0").reshaped(|_| vec![by_gnu_tar("gnu", &["--format=gnu", "--sparse"])]),
        Made::bare("pax", "1.0-r0").reshaped(|_| vec![by_gnu_tar("pax", &["--format=pax"])]),
    ]
}

/// Shared directories, and files reached by several paths.
fn trees() -> Vec<Made> {
    let directories = |name, own, mode, mtime| {
        heavy(name, "1.0-r0")
            .entry(at(mtime, directory("usr/share/directories", mode)), "")
            .entry(at(mtime + 1, of_svc(directory("usr/share/directories/of-svc", mode))), "")
            .entry(at(mtime + 2, directory("usr/share/directories/own", own)), "")
            .file(&format!("usr/share/directories/of-svc/{name}"), name)
    };
    let plain = heavy("plain", "1.0-r0")
        .file("etc/plain", "plain")
        .file("usr/share/plain/file", "plain")
        .entry(symlink("usr/share/plain/link", "file"), "");
    let through = heavy("through", "1.0-r0")
        .entry(file("bin/through", 0o755), "to usr/bin")
        .entry(file("sbin/through", 0o755), "to usr/sbin, by an absolute link")
        .entry(hardlink("bin/through-too", "bin/through", 0o755), "")
        .entry(directory("var/run/through", 0o750), "")
        .entry(file("var/run/through/file", 0o640), "to run");
    let sticky = heavy("sticky", "1.0-r0")
        .entry(directory("tmp", 0o755), "")
        .entry(directory("var/tmp", 0o755), "")
        .entry(file("tmp/left", 0o644), "over");
    let hosts = Made::bare("hosts", "1.0-r0")
        .file("etc/hosts", "127.0.0.1 localhost\n")
        .entry(symlink("etc/mtab", "/proc/self/mounts"), "")
        .entry(directory("proc", 0o755), "")
        .entry(directory("sys", 0o555), "");
    vec![
        directories("directories", 0o755, 0o755, 1_000_000_000),
        directories("directories-too", 0o700, 0o1777, 900_000_000),
        directories("directories-three", 0o755, 0o755, 1_100_000_000),
        plain,
        through,
        sticky,
        hosts,
        Made::new("small", "1.0-r0"),
        heavy("big", "1.0-r0").file("usr/share/big/noise", noise(3 << 20, 1)).file("usr/share/big/more", noise(3, 2)),
    ]
}

/// A data archive written by GNU tar, with its own way of writing long names, fractions of seconds and holes.
fn by_gnu_tar(name: &str, options: &[&str]) -> Vec<u8> {
    let work = tempfile::tempdir().unwrap();
    let below: PathBuf = ["usr", "share", name, &"long".repeat(40), &"er".repeat(60)].iter().collect();
    let root = work.path().join("root");
    fs_err::create_dir_all(root.join(&below)).unwrap();
    fs_err::write(root.join(&below).join("file"), name).unwrap();
    std::os::unix::fs::symlink("target/".repeat(30), root.join(&below).join("link")).unwrap();
    fs_err::hard_link(root.join(&below).join("file"), root.join("usr/share").join(name).join("short")).unwrap();
    fs_err::write(root.join("usr/share").join(name).join("noise"), noise(HEAVY, 6)).unwrap();
    let holes = fs_err::File::create(root.join("usr/share").join(name).join("holes")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(holes.file(), b"after a hole", 3 << 20).unwrap();
    let mut command = Command::new("tar");
    command.args(["--create", "--sort=name", "--owner=root:0", "--group=root:0", "--mode=u=rwX,go=rX"]);
    command.args(["--mtime=2024-02-29 12:00:00.75 UTC"]).args(options).arg("--directory").arg(&root).arg("usr");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
