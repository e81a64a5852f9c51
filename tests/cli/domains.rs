//! The site's list of domains.

use crate::common::project::Project;
use crate::fake_engine::{project, run, succeed};

fn refused(project: &Project, args: &[&str]) -> String {
    let (code, out, said) = run(project, args, "");
    assert_eq!((code, out.as_str()), (Some(2), ""), "{said}");
    said
}

#[test]
fn a_domain_is_added_with_its_key_and_records() {
    let project = project();
    let before = project.read("mailimg.toml");
    let (out, said) = succeed(&project, &["domain", "add", "example.net"], "");
    let with = before.replace("domains = [\"example.org\"]", "domains = [\"example.org\", \"example.net\"]");
    assert_ne!(with, before);
    assert_eq!(project.read("mailimg.toml"), with);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "example.net. IN MX 10 mail.example.org.");
    assert!(lines[1].starts_with("mail._domainkey.example.net. IN TXT ( \"v=DKIM1;") && lines.len() == 2, "{out}");
    assert!(said.contains("created ./secrets/dkim/mail.example.net.pem"), "{said}");
    assert!(said.contains("The running server changes with the next `mailimg up`."), "{said}");

    let (again, said) = succeed(&project, &["domain", "add", "example.net"], "");
    assert_eq!(again, out);
    assert!(said.contains("example.net is already in mailimg.toml") && !said.contains("created"), "{said}");
    assert_eq!(project.read("mailimg.toml"), with);
    let (json, _) = succeed(&project, &["domain", "add", "example.net", "--json"], "");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["domain"], &json["added"]), (&"example.net".into(), &false.into()));
    assert_eq!(json["records"][0]["value"], "10 mail.example.org");
    assert_eq!((&json["records"][1]["type"], json["records"].as_array().unwrap().len()), (&"TXT".into(), 2));

    let (_, said) = succeed(&project, &["domain", "del", "example.net"], "");
    assert_eq!(project.read("mailimg.toml"), before);
    assert!(said.contains("Its users, aliases, mail and DKIM key stay"), "{said}");
    assert!(project.path().join("secrets/dkim/mail.example.net.pem").exists());
    let (_, said) = succeed(&project, &["domain", "del", "example.net"], "");
    assert!(said.contains("nothing to do"), "{said}");
}

#[test]
fn the_file_keeps_its_mode_and_stays_a_link() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = project();
    let (named, real) = (project.path().join("mailimg.toml"), project.path().join("real.toml"));
    fs_err::rename(&named, &real).unwrap();
    fs_err::os::unix::fs::symlink("real.toml", &named).unwrap();
    fs_err::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    succeed(&project, &["domain", "add", "example.net"], "");
    assert!(named.is_symlink() && project.read("real.toml").contains("example.net"));
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
}

#[test]
fn the_domains_that_the_server_needs_stay() {
    let project = project();
    let before = project.read("mailimg.toml");
    let said = refused(&project, &["domain", "del", "example.org"]);
    assert!(said.contains("example.org is the site's primary domain"), "{said}");
    assert_eq!(project.read("mailimg.toml"), before);
    succeed(&project, &["domain", "add", "example.net"], "");
    project.replace("mailimg.toml", "postmaster = \"admin@example.org\"", "postmaster = \"admin@example.net\"");
    let said = refused(&project, &["domain", "del", "example.net"]);
    assert!(said.contains("admin@example.net, who gets mail for postmaster@"), "{said}");
    let said = refused(&project, &["domain", "add", "Not a domain"]);
    assert!(said.contains("is not a full domain name"), "{said}");
}

#[test]
fn domains_are_listed_with_what_they_have() {
    let project = project();
    succeed(&project, &["domain", "add", "example.net"], "");
    project.write("answers/domains", "[\"example.org\", 3]\n[\"gone.example\", 1]\n");
    fs_err::remove_file(project.path().join("secrets/dkim/mail.example.net.pem")).unwrap();
    let (out, _) = succeed(&project, &["domain", "list"], "");
    assert_eq!(out, "example.org\t3\tprimary\nexample.net\t-\tno-dkim-key\n");
    let (out, _) = succeed(&project, &["domain", "list", "--json"], "");
    let domains: serde_json::Value = serde_json::from_str(&out).unwrap();
    let primary = serde_json::json!({ "domain": "example.org", "primary": true, "dkim_key": true, "users": 3 });
    assert_eq!(domains[0], primary);
    assert_eq!(domains[1]["users"], serde_json::Value::Null);

    // A workplace without the server has the list, too.
    fs_err::remove_file(project.path().join("compose.yaml")).unwrap();
    let (out, said) = succeed(&project, &["domain", "list"], "");
    assert!(out.starts_with("example.org\t-\tprimary\n"), "{out}");
    assert!(said.contains("users are not counted: there is no compose file"), "{said}");
}
