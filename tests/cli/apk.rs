use mailimg::apk::SigningKey;
use mailimg::apk::index::{Index, parse};
use mailimg::digest::Sha256;

use crate::common::http::HttpServer;
use crate::common::packages::{BUILT, Made, MadeRepository, key, write_key};
use crate::common::project::Project;

const MAIN: &str = "P:app\nV:2-r0\nA:x86_64\nD:lib>=1 so:crypto\n\nP:lib\nV:1-r0\nA:noarch\n\n\
    P:tls\nV:3-r1\nA:x86_64\np:so:crypto=3\n\n";
const EDGE: &str = "P:lib\nV:2-r0\nA:x86_64\n\nP:extra\nV:1-r0\nA:x86_64\nD:lib>=2\n\n";

/// Writes signed repositories `main` and `edge` and, in `keys`, the key that signed them.
fn repositories() -> Project {
    let project = Project::new();
    let key = SigningKey::generate("test.rsa.pub").unwrap();
    project.write("keys/test.rsa.pub", key.public_pem().unwrap());
    for (name, text) in [("main", MAIN), ("edge", EDGE)] {
        let index = Index::new("test", parse(text.as_bytes()).packages);
        project.write(format!("{name}/x86_64/APKINDEX.tar.gz"), index.write(Some(&key)).unwrap());
    }
    project
}

#[test]
fn solve_prints_packages_in_order_of_installation() {
    let arguments = "apk solve --repository main --keys-dir keys --arch x86_64 -- app";
    assert_eq!(repositories().run(arguments.split(' ')), "lib-1-r0\ntls-3-r1\napp-2-r0\n");
}

#[test]
fn solve_needs_no_cache() {
    let project = repositories();
    let temporary = project.root().join("tmp");
    fs_err::create_dir(&temporary).unwrap();
    let mut command = project.mailimg("apk solve --repository main --keys-dir keys app".split(' '));
    command.env_remove("HOME").env_remove("MAILIMG_CACHE_DIR").env("TMPDIR", &temporary);
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "lib-1-r0\ntls-3-r1\napp-2-r0\n");
    assert_eq!(fs_err::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn solve_takes_a_tagged_repository_in_apks_notation() {
    let project = repositories();
    let arguments = ["apk", "solve", "--keys-dir", "keys", "--repository", "main", "--repository", "@edge edge", "--"];
    let solve = |world: &[&str]| project.mailimg(arguments.iter().chain(world)).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&solve(&["app", "extra@edge"]).stdout),
        "lib-2-r0\ntls-3-r1\napp-2-r0\nextra-1-r0\n"
    );
    assert_eq!(solve(&["extra"]).status.code(), Some(5));
}

#[test]
fn solve_refuses_an_index_that_no_given_key_has_signed() {
    let project = repositories();
    let other = SigningKey::generate("other.rsa.pub").unwrap();
    project.write("others/other.rsa.pub", other.public_pem().unwrap());
    let output = project.mailimg("apk solve --repository main --keys-dir others app".split(' ')).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
    let said = String::from_utf8_lossy(&output.stderr);
    for text in ["the index main/x86_64/APKINDEX.tar.gz was rejected", "test.rsa.pub", "those in others"] {
        assert!(said.contains(text), "{text:?} is not in:\n{said}");
    }
}

#[test]
fn tree_is_the_same_from_a_directory_and_a_server_and_only_of_the_packages_in_the_index() {
    let project = Project::new();
    let packages = [Made::new("web", "1.0-r0").depends("libc").file("etc/web", "x"), Made::new("libc", "2-r0")];
    let repository = MadeRepository::new(project.root().join("repository"), &packages);
    write_key(&project.root().join("keys"), key());
    let server = HttpServer::directory(repository.path());
    let tree = |place: &str| {
        let keys = project.root().join("keys");
        let mut command = project.mailimg(["apk", "tree", "--repository", place, "web", "--keys-dir"]);
        command.arg(keys).output().unwrap()
    };
    let output = tree(repository.path().to_str().unwrap());
    let text = String::from_utf8(output.stdout).unwrap();
    let file = format!("etc/web\tf\t644\t0\t0\t1\t{BUILT}\t1\t{}\n", Sha256::of("x"));
    assert!(text.contains(&file) && text.contains("usr/share/libc\t"), "{text}");
    let keys = project.root().join("keys");
    let mut homeless = project.mailimg(["apk", "tree", "--repository", repository.path().to_str().unwrap(), "web"]);
    homeless.arg("--keys-dir").arg(keys).env_remove("HOME").env_remove("MAILIMG_CACHE_DIR");
    assert_eq!(String::from_utf8(homeless.output().unwrap().stdout).unwrap(), text);
    let output = tree(&server.url());
    // Only apk's own list of repositories differs.
    let lines = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("etc/apk/repositories\t"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&String::from_utf8(output.stdout).unwrap()), lines(&text));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");

    let length = fs_err::metadata(repository.file("libc-2-r0.apk")).unwrap().len();
    let other = format!("C:Q1{}=\nP:web\nV:1.0-r0\nA:x86_64\nS:{length}\n\n", "A".repeat(27));
    let index = Index::new("test", parse(other.as_bytes()).packages).write(Some(key())).unwrap();
    fs_err::write(repository.index(), index).unwrap();
    fs_err::copy(repository.file("libc-2-r0.apk"), repository.file("web-1.0-r0.apk")).unwrap();
    let output = tree(&server.url());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("web-1.0-r0.apk doesn't match the index: its checksum is "), "{said}");
}

#[test]
fn version_compares() {
    for (a, b, relation) in
        [("1.2-r1", "1.10-r0", "<\n"), ("1.0_rc1", "1.0", "<\n"), ("1.0-r01", "1.0-r1", "=\n"), ("2", "1_p1", ">\n")]
    {
        assert_eq!(Project::new().run(["apk", "version", "-t", a, b]), relation, "{a} {b}");
    }
}

#[test]
fn version_checks() {
    let check = |versions: &[&str]| {
        let output = Project::new().mailimg(["apk", "version", "--check"].iter().chain(versions)).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check(&["1.0", "1.2.3_git20240101~af12-r3"]), (Some(0), String::new(), String::new()));
    let (code, out, err) = check(&["1.0", "1.0+dfsg", "v2", "0.1a1"]);
    assert_eq!((code, &*out), (Some(1), "1.0+dfsg\nv2\n0.1a1\n"));
    assert!(err.contains(r#"unexpected "+dfsg" after "1.0""#), "{err}");
}
