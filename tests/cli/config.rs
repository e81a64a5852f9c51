//! Errors in a project's files name the file, line and key, and exit with 2.

use crate::common::project::Project;

fn project() -> Project {
    let project = Project::new();
    project.run(["init", "example.org"]);
    project
}

/// The output of `mailimg config check`.
fn complaint(project: &Project) -> String {
    let output = project.mailimg(["config", "check"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty());
    said
}

#[test]
fn a_new_project_is_in_order() {
    let project = project();
    let output = project.mailimg(["config", "check"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    for image in ["mysql", "clamav", "dovecot", "postfix"] {
        assert!(said.contains(&format!("{image}: ")), "{said}");
    }
}

#[test]
fn an_unknown_key_is_pointed_at() {
    let project = project();
    project.replace("mailimg.toml", "auth-on-25", "auth-on-24");
    let (said, line) = (complaint(&project), line(&project, "auth-on-24"));
    assert!(said.contains(&format!("./mailimg.toml:{line}:1: smtp.auth-on-24: unknown key \"auth-on-24\"")), "{said}");
    assert!(said.contains(&format!("{line} | auth-on-24 = false")), "{said}");
    assert!(said.contains("hint: did you mean auth-on-25?"), "{said}");
}

/// The number of the line of mailimg.toml that begins so.
fn line(project: &Project, start: &str) -> usize {
    1 + project.read("mailimg.toml").lines().position(|line| line.starts_with(start)).unwrap()
}

#[test]
fn an_ill_typed_value_is_pointed_at() {
    let project = project();
    project.replace("mailimg.toml", "message-size = \"25M\"", "message-size = true");
    let said = complaint(&project);
    let line = line(&project, "message-size = ");
    let expected =
        format!("./mailimg.toml:{line}:16: limits.message-size: invalid type: boolean `true`, expected a size");
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn name_servers_and_domains_are_checked() {
    let project = project();
    project.replace("mailimg.toml", "# forward = [\"192.0.2.53\"]", "forward = [\"192.0.2\"]");
    let said = complaint(&project);
    let line = line(&project, "forward = ");
    let wrong = format!("./mailimg.toml:{line}:12: dns.forward[0]: \"192.0.2\" is not a name server: an IP address");
    assert!(said.contains(&wrong), "{said}");
    project.replace("mailimg.toml", "\"192.0.2\"", "\"192.0.2.53\", \"2001:db8::53\", \"192.0.2.53:5353\"");
    project.replace("mailimg.toml", "# insecure = [\"corp.example\"]", "insecure = [\"corp.example\", \"\\nx.y\"]");
    let said = complaint(&project);
    assert!(said.contains(&format!("./mailimg.toml:{}:", line + 2)), "{said}");
    project.replace("mailimg.toml", ", \"\\nx.y\"", "");
    project.replace("mailimg.toml", "# exempt =", "exempt =");
    project.run(["config", "check"]);
}

#[test]
fn a_relay_host_and_trusted_networks_are_checked() {
    let project = project();
    let site = project.read("mailimg.toml");
    for (relay, is_right) in [
        ("host = \"smtp.example.net\"", true),
        ("host = \"smtp.example.net\"\nport = 465", true),
        ("host = \"smtp.example.net\"\nuser = \"me@example.net\"\nverify-certificate = false", true),
        ("user = \"me@example.net\"", false),
        ("host = \"smtp.example.net\"\nuser = \"me:you\"", false),
    ] {
        project.write("mailimg.toml", format!("{site}\n[relay]\n{relay}\n"));
        assert_eq!(project.mailimg(["config", "check"]).output().unwrap().status.success(), is_right, "{relay}");
    }
    project.write("mailimg.toml", site);
    project.replace("mailimg.toml", "# trusted-networks = [", "trusted-networks = [\"2001:db8::/32\", ");
    project.run(["config", "check"]);
    project.replace("mailimg.toml", "2001:db8::/32", "::/0");
    let said = complaint(&project);
    assert!(said.contains(":21: smtp.trusted-networks[0]: \"::/0\" is not a part of the Internet"), "{said}");
}

#[test]
fn networks_of_load_balancers_are_checked() {
    let project = project();
    project.replace("mailimg.toml", "# networks = [", "networks = [\"2001:db8::/32\", ");
    project.run(["config", "check"]);
    project.replace("mailimg.toml", "# ports = { 25 = 2525 }", "ports = { 20025 = 25, 25 = 2525 }");
    project.run(["config", "check"]);
    project.replace("mailimg.toml", "2001:db8::/32", "0.0.0.0/0");
    let said = complaint(&project);
    assert!(said.contains(": proxy.networks[0]: \"0.0.0.0/0\" is not a part of the Internet"), "{said}");
    // Nobody listens on their ports if none is named.
    project.replace("mailimg.toml", "networks = [\"0.0.0.0/0\", \"10.1.2.0/28\"]", "networks = []");
    let said = complaint(&project);
    assert!(said.contains(": publish.ports.20025: no image publishes this port"), "{said}");
}

#[test]
fn an_unknown_key_of_a_recipe_is_pointed_at() {
    let project = project();
    project.replace("recipes/postfix.toml", "stop-grace-period", "stop-grace-time");
    let said = complaint(&project);
    assert!(said.contains("./recipes/postfix.toml:"), "{said}");
    assert!(said.contains("service.stop-grace-time: unknown key"), "{said}");
}

#[test]
fn a_missing_template_value_is_pointed_at() {
    let project = project();
    project.write("images/postfix/rootfs/etc/more.hbs", "a = b\nc = {{site.limits.messagesize}}\n");
    let said = complaint(&project);
    assert!(
        said.contains("./images/postfix/rootfs/etc/more.hbs:2:5: site.limits.messagesize: no such value"),
        "{said}"
    );
    assert!(said.contains("hint: did you mean message-size?"), "{said}");
}

#[test]
fn a_directory_without_a_project_says_how_to_make_one() {
    let said = complaint(&Project::new());
    assert!(said.contains("mailimg init DOMAIN"), "{said}");
}

#[test]
fn editors_find_the_schema_of_each_file() {
    let project = project();
    for (file, schema) in [
        ("mailimg.toml", "schema/mailimg.json"),
        ("recipes/postfix.toml", "../schema/recipe.json"),
        ("apk-locks/debian-13/channel.toml", "../../schema/channel.json"),
        ("apk-locks/alpine-3.24/scripts.toml", "../../schema/scripts.json"),
    ] {
        assert_eq!(project.read(file).lines().next(), Some(format!("#:schema {schema}").as_str()), "{file}");
        let beside = project.path().join(file).parent().unwrap().join(schema);
        let schema: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(beside).unwrap()).unwrap();
        assert!(schema["properties"].is_object(), "{file}");
    }
}
