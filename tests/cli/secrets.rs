use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, getrlimit};

use crate::common::project::Project;
use crate::fake_engine;

fn project() -> Project {
    let project = Project::new();
    project.run(["init", "example.org"]);
    project
}

/// All files below the secrets directory: path to mode and content.
fn secrets(project: &Project) -> BTreeMap<String, (u32, Vec<u8>)> {
    fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, (u32, Vec<u8>)>) {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
            if path.is_dir() {
                collect(root, &path, files);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, (mode, fs_err::read(&path).unwrap()));
            }
        }
    }
    let root = project.path().join("secrets");
    let mut files = BTreeMap::new();
    collect(&root, &root, &mut files);
    files.remove(".lock");
    assert_eq!(files.remove(".gitignore").unwrap().1, b"*\n");
    files
}

fn openssl(project: &Project, arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).current_dir(project.path().join("secrets")).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Checks that the services' certificates are the authority's, whenever they are valid.
pub(super) fn authority_signed_all(project: &Project) {
    let files = ["dovecot.pem", "mysql.pem", "postfix.pem"];
    openssl(project, &[&["verify", "-no_check_time", "-CAfile", "internal-ca.pem"][..], &files].concat());
}

#[test]
fn secrets_are_made_once_and_never_shown() {
    let project = project();
    let output = project.mailimg(["secrets", "init"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = secrets(&project);
    let names: Vec<&str> = made.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "database-password",
            "dkim/mail.example.org.pem",
            "dovecot.pem",
            "internal-ca.key",
            "internal-ca.pem",
            "mysql.pem",
            "postfix.pem",
            "relay-password",
            "srs-keys",
            "tls/fullchain.pem",
            "tls/privkey.pem",
        ]
    );
    let directory = project.path().join("secrets").metadata().unwrap().permissions().mode();
    assert_eq!(directory & 0o7777, 0o700);
    for (name, (mode, _)) in &made {
        assert_eq!(*mode, if name == "internal-ca.key" { 0o400 } else { 0o444 }, "{name}");
    }
    let password = String::from_utf8(made["database-password"].1.clone()).unwrap();
    assert!(password.len() >= 32 && password.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{password:?}");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("database-password") && !said.contains(&password) && !said.contains("BEGIN"), "{said}");

    let again = project.mailimg(["secrets", "init"]).output().unwrap();
    assert!(String::from_utf8_lossy(&again.stderr).contains("all secrets exist"));
    assert_eq!(secrets(&project), made);
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    let project = project();
    let script = format!("umask 077; exec '{}' secrets init", env!("CARGO_BIN_EXE_mailimg"));
    let status = Command::new("sh").args(["-c", &script]).current_dir(project.path()).status().unwrap();
    assert!(status.success());
    assert_eq!(secrets(&project)["mysql.pem"].0, 0o444);
    let dkim = project.path().join("secrets/dkim").metadata().unwrap().permissions().mode();
    assert_eq!(dkim & 0o777, 0o755);
}

#[test]
fn certificates_are_what_openssl_accepts() {
    let project = project();
    project.run(["secrets", "init"]);
    for service in ["mysql", "dovecot", "postfix"] {
        let file = format!("{service}.pem");
        openssl(
            &project,
            &["verify", "-CAfile", "internal-ca.pem", "-verify_hostname", service, "-purpose", "sslserver", &file],
        );
        // The key and the certificate in the file belong together.
        let key = openssl(&project, &["pkey", "-in", &file, "-pubout"]);
        let certificate = openssl(&project, &["x509", "-in", &file, "-pubkey", "-noout"]);
        assert_eq!(key, certificate, "{service}");
    }
    openssl(
        &project,
        &["verify", "-CAfile", "tls/fullchain.pem", "-verify_hostname", "mail.example.org", "tls/fullchain.pem"],
    );
    assert_eq!(
        openssl(&project, &["pkey", "-in", "tls/privkey.pem", "-pubout"]),
        openssl(&project, &["x509", "-in", "tls/fullchain.pem", "-pubkey", "-noout"])
    );
}

#[test]
fn a_lost_authority_is_replaced_with_all_that_it_signed() {
    let project = project();
    project.run(["secrets", "init"]);
    let before = secrets(&project);
    fs_err::remove_file(project.path().join("secrets/internal-ca.key")).unwrap();
    project.run(["secrets", "init"]);
    let after = secrets(&project);
    openssl(&project, &["verify", "-CAfile", "internal-ca.pem", "mysql.pem"]);
    let changed: Vec<&str> = before.keys().filter(|name| before[*name] != after[*name]).map(String::as_str).collect();
    assert_eq!(changed, ["dovecot.pem", "internal-ca.key", "internal-ca.pem", "mysql.pem", "postfix.pem"]);
}

/// The secrets that differ after `secrets rotate` with these arguments, and what it said.
fn rotated(project: &Project, args: &[&str]) -> (Vec<String>, String) {
    let before = secrets(project);
    let output = project.mailimg(["secrets", "rotate"]).args(args).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    let after = secrets(project);
    assert!(before.keys().eq(after.keys()), "{:?}", after.keys());
    for (name, (mode, content)) in &after {
        assert_eq!(*mode, before[name].0, "{name}");
        assert!(content.is_empty() || !said.contains(str::from_utf8(content).unwrap().trim_end()), "{said}");
    }
    let changed = before.keys().filter(|name| before[*name] != after[*name]);
    (changed.cloned().collect(), said)
}

#[test]
fn one_secret_or_all_are_replaced() {
    let project = project();
    project.run(["secrets", "init"]);
    let (changed, said) = rotated(&project, &["database-password"]);
    assert_eq!(changed, ["database-password"]);
    assert_eq!(
        said,
        "replaced ./secrets/database-password\n\
         next: `mailimg up` restarts the services that use them: dovecot, mysql, postfix\n"
    );
    let (changed, said) = rotated(&project, &["mysql.pem"]);
    assert_eq!(changed, ["mysql.pem"]);
    assert!(said.ends_with("restarts the services that use them: mysql\n"), "{said}");
    openssl(&project, &["verify", "-CAfile", "internal-ca.pem", "-verify_hostname", "mysql", "mysql.pem"]);

    let signed = ["dovecot.pem", "internal-ca.key", "internal-ca.pem", "mysql.pem", "postfix.pem"];
    assert_eq!(rotated(&project, &["internal-ca.pem"]).0, signed);
    openssl(&project, &["verify", "-CAfile", "internal-ca.pem", "-verify_hostname", "dovecot", "dovecot.pem"]);
    let all: Vec<&str> = ["database-password"].into_iter().chain(signed).chain(["srs-keys"]).collect();
    assert_eq!(rotated(&project, &[]).0, all, "keys that others know stay");
}

#[test]
fn new_keys_come_first_and_two_old_ones_stay() {
    let project = project();
    project.run(["secrets", "init"]);
    let keys = || -> Vec<String> { project.read("secrets/srs-keys").lines().map(str::to_owned).collect() };
    let first = keys();
    assert_eq!(first.len(), 1);
    assert!(first[0].len() >= 32 && first[0].bytes().all(|byte| byte.is_ascii_alphanumeric()), "{first:?}");
    let (changed, said) = rotated(&project, &["srs-keys"]);
    assert_eq!(changed, ["srs-keys"]);
    assert!(said.ends_with("restarts the services that use them: postfix\n"), "{said}");
    let second = keys();
    assert_eq!((second.len(), &second[1..]), (2, &first[..]));
    rotated(&project, &["srs-keys"]);
    let third = keys();
    rotated(&project, &["srs-keys"]);
    let fourth = keys();
    assert_eq!((third.len(), &third[1..]), (3, &second[..]));
    assert_eq!((fourth.len(), &fourth[1..]), (3, &third[..2]));
    assert!(fourth[0] != third[0]);
}

#[test]
fn a_secret_that_does_not_exist_cannot_be_replaced() {
    let project = project();
    project.run(["secrets", "init"]);
    let before = secrets(&project);
    let output = project.mailimg(["secrets", "rotate", "dkim"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no recipe has a secret \"dkim\"") && said.contains("database-password"), "{said}");
    assert_eq!(secrets(&project), before);
}

#[test]
fn a_password_from_others_is_stored_and_kept() {
    let project = project();
    let set = |name: &str, password: &str| {
        let mut command = project.mailimg(["secrets", "set", name, "--password-stdin"]);
        let output = command.write_stdin(password.to_owned()).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    project.run(["secrets", "init"]);
    assert_eq!(secrets(&project)["relay-password"], (0o444, Vec::new()));
    let (code, said) = set("relay-password", "a: $b #\"\\ \u{fc}\n");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stored ./secrets/relay-password") && !said.contains("$b"), "{said}");
    let stored = (0o444, "a: $b #\"\\ \u{fc}".as_bytes().to_vec());
    assert_eq!(secrets(&project)["relay-password"], stored);
    for unusable in ["", " a", "a ", "a\tb"] {
        let (code, said) = set("relay-password", unusable);
        assert_eq!(code, Some(2), "{unusable:?}: {said}");
    }
    let (code, said) = set("database-password", "guess");
    assert_eq!(code, Some(2));
    assert!(said.contains("mailimg creates") && said.contains("secrets rotate database-password"), "{said}");
    assert_eq!(set("nothing", "x").0, Some(2));

    let output = project.mailimg(["secrets", "rotate", "relay-password"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("secrets set relay-password"));
    project.run(["secrets", "rotate"]);
    project.run(["secrets", "init"]);
    assert_eq!(secrets(&project)["relay-password"], stored);
}

#[test]
fn no_certificate_is_made_where_there_is_one() {
    let project = project();
    project.replace("mailimg.toml", "# directory = ", "directory = ");
    project.run(["secrets", "init"]);
    assert!(!secrets(&project).keys().any(|name| name.starts_with("tls/")));
}

#[test]
fn dkim_prints_the_record_of_the_key() {
    let project = project();
    let record = project.run(["dkim"]);
    assert!(record.starts_with("mail._domainkey.example.org. IN TXT ( \"v=DKIM1; h=sha256; k=rsa; p="), "{record}");
    let strings: Vec<&str> = record.split('"').skip(1).step_by(2).collect();
    assert!(strings.len() == 2 && strings.iter().all(|string| string.len() <= 255), "{strings:?}");
    let published = strings.concat().split_once("p=").unwrap().1.to_owned();
    let public = openssl(&project, &["pkey", "-in", "dkim/mail.example.org.pem", "-pubout"]);
    let public: String = public.lines().filter(|line| !line.starts_with("-----")).collect();
    assert_eq!(published, public);
    assert_eq!(project.run(["dkim", "example.org"]), record, "the key stays");

    let output = project.mailimg(["dkim", "example.com"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("example.com is not one of the domains in mailimg.toml"));
}

#[test]
fn what_a_secret_needs_is_named() {
    let refused = |change: &dyn Fn(&Project)| {
        let project = project();
        change(&project);
        let output = project.mailimg(["secrets", "init"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        said
    };
    let said = refused(&|project| {
        project.replace("recipes/postfix.toml", "\"postfix.pem\" = \"certificate\"", "postfix = \"magic\"");
    });
    assert!(said.contains("service.secrets.postfix: unknown variant `magic`, expected one of"), "{said}");
    let said = refused(&|project| {
        for image in ["mysql", "dovecot", "postfix"] {
            project.replace(format!("recipes/{image}.toml"), "\"internal-ca.pem\" = \"authority\"\n", "");
        }
    });
    assert!(said.contains("nothing can sign mysql.pem, the certificate of mysql"), "{said}");
    let said = refused(&|project| project.replace("mailimg.toml", "hostname = ", "# "));
    assert!(said.contains("./mailimg.toml doesn't set `hostname`, which its certificate needs"), "{said}");
    let said = refused(&|project| project.replace("mailimg.toml", "domains = ", "# "));
    assert!(said.contains("./mailimg.toml doesn't set `domains`, which a DKIM key needs"), "{said}");
}

#[test]
fn the_authority_is_the_file_that_the_recipes_name() {
    let project = project();
    for image in ["mysql", "dovecot", "postfix"] {
        project.replace(format!("recipes/{image}.toml"), "internal-ca.pem", "ours.crt");
    }
    project.run(["secrets", "init"]);
    let made = secrets(&project);
    assert!(made.contains_key("ours.key") && !made.contains_key("internal-ca.pem"), "{:?}", made.keys());
    openssl(&project, &["verify", "-CAfile", "ours.crt", "-verify_hostname", "mysql", "mysql.pem"]);
}

/// Whoever puts something else there would decide what the secret is, or learn it.
#[test]
fn only_real_files_in_a_real_directory_are_secrets() {
    let outside = |project: &Project| project.root().join("outside");
    let refused = |project: &Project, place: &str| {
        let output = project.mailimg(["secrets", "init"]).timeout(std::time::Duration::from_secs(50)).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{place}: {said}");
        assert!(said.contains(place) && said.contains("hint: secrets are regular files"), "{place}: {said}");
    };
    for place in ["secrets", "secrets/tls", "secrets/dkim"] {
        let project = project();
        fs_err::create_dir(outside(&project)).unwrap();
        fs_err::set_permissions(outside(&project), std::fs::Permissions::from_mode(0o750)).unwrap();
        let place_of = project.path().join(place);
        fs_err::create_dir_all(place_of.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(outside(&project), &place_of).unwrap();
        refused(&project, place);
        let mode = fs_err::metadata(outside(&project)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o750, "unchanged");
    }
    for place in ["secrets/.lock", "secrets/.gitignore", "secrets/database-password", "secrets/tls/fullchain.pem"] {
        let project = project();
        fs_err::write(outside(&project), "precious").unwrap();
        let place_of = project.path().join(place);
        fs_err::create_dir_all(place_of.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(outside(&project), &place_of).unwrap();
        refused(&project, place);
        assert_eq!(fs_err::read_to_string(outside(&project)).unwrap(), "precious", "{place}");
        fs_err::remove_file(&place_of).unwrap();
        assert!(Command::new("mkfifo").arg(&place_of).status().unwrap().success());
        refused(&project, place);
    }
}

#[test]
fn as_root_secrets_of_another_user_are_refused() {
    for place in ["secrets", "secrets/database-password"] {
        let project = project();
        project.run(["secrets", "init"]);
        std::os::unix::fs::chown(project.path().join(place), Some(4242), None).unwrap();
        let output = project.mailimg(["secrets", "init"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("{place} belongs to another user")), "{said}");
    }
}

/// The engine that mailimg runs looks at mailimg's own limits.
#[test]
fn a_crash_leaves_no_copy_of_secrets_behind() {
    assert_ne!(getrlimit(Resource::Core).maximum, Some(0), "no program could dump core here, so this shows nothing");
    let project = fake_engine::project();
    let engine = project.read("bin/docker");
    let with_look = "#!/bin/sh\ncat /proc/$PPID/comm /proc/$PPID/limits >\"${0%/*}/../limits\"\n";
    project.write("bin/docker", engine.replacen("#!/bin/sh\n", with_look, 1));
    fake_engine::succeed(&project, &["queue", "list"], "");
    let limits = project.read("limits");
    assert!(limits.starts_with("mailimg\n"), "{limits}");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
}
