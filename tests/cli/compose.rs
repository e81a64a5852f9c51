use std::process::Command;

use crate::common::project::Project;

const IMAGES: [&str; 4] = ["clamav", "dovecot", "mysql", "postfix"];

/// A new project with an index of images that might have been built.
pub(super) fn project() -> Project {
    let project = Project::new();
    project.run(["init", "example.org"]);
    let manifests: Vec<_> = IMAGES
        .iter()
        .enumerate()
        .map(|(number, image)| {
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": format!("sha256:{number:064x}"),
                "size": 1,
                "annotations": { "org.opencontainers.image.ref.name": image },
            })
        })
        .collect();
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": manifests });
    project.write("oci/index.json", index.to_string());
    project
}

fn refused(project: &Project, args: &[&str], code: i32) -> String {
    let output = project.mailimg(args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!project.path().join("compose.yaml").exists());
    said
}

#[test]
fn the_file_is_the_same_each_time() {
    let project = project();
    project.run(["compose"]);
    let first = project.read("compose.yaml");
    project.run(["compose"]);
    assert_eq!(project.read("compose.yaml"), first);
    for (number, image) in IMAGES.iter().enumerate() {
        let reference = format!("image: mailimg/{image}:{}\n", &format!("{number:064x}")[..16]);
        assert!(first.contains(&reference), "{reference} in {first}");
    }
    assert!(first.contains("- 0.0.0.0:25:25\n") && first.contains("file: ./secrets/database-password"), "{first}");
    assert!(first.contains("\nname: example-org\n"), "{first}");
}

#[test]
fn the_file_does_not_depend_on_where_it_is_written() {
    let project = project();
    let printed = project.run(["compose", "--output", "-"]);
    assert!(!project.path().join("compose.yaml").exists());
    fs_err::create_dir(project.path().join("dist")).unwrap();
    project.run(["compose", "--output", "dist/compose.yaml"]);
    assert_eq!(project.read("dist/compose.yaml"), printed);
    let copy = project.root().join("copy");
    let copied = Command::new("cp").arg("-R").arg(project.path()).arg(&copy).status().unwrap();
    assert!(copied.success());
    let moved = project.run(["--project", copy.to_str().unwrap(), "compose", "--output", "-"]);
    assert_eq!(moved, printed);
    assert!(!printed.contains(project.root().to_str().unwrap()), "{printed}");
}

#[test]
fn ports_stay_where_the_site_publishes_them() {
    let project = project();
    let publish = "bind = [\"127.0.0.1\", \"::1\"]\nports = { 25 = 2525 }";
    project.replace("mailimg.toml", "bind = [\"0.0.0.0\"]", publish);
    let file = project.run(["compose", "--output", "-"]);
    let ports: Vec<&str> = file.lines().filter_map(|line| line.trim().strip_prefix("- ")).collect();
    let ports = ports.iter().map(|port| port.trim_matches('"'));
    let ports: Vec<&str> = ports.filter(|port| port.ends_with(":25") || port.ends_with(":993")).collect();
    assert_eq!(ports, ["127.0.0.1:993:993", "[::1]:993:993", "127.0.0.1:2525:25", "[::1]:2525:25"], "{file}");
    assert!(file.contains("\n# - the ports 2525, 465, 587, 993 of 127.0.0.1, ::1\n"), "{file}");
}

#[test]
fn all_memory_limits_fit_two_gigabytes() {
    let project = project();
    let sum = |file: &str| -> u32 {
        file.lines()
            .filter_map(|line| line.trim().strip_prefix("mem_limit: ")?.strip_suffix('m'))
            .map(|limit| limit.parse::<u32>().unwrap())
            .sum()
    };
    let with = project.run(["compose", "--output", "-"]);
    assert!((1024..=2048).contains(&sum(&with)), "{}", sum(&with));
    project.replace("mailimg.toml", "enabled = true # ClamAV", "enabled = false # ClamAV");
    let without = project.run(["compose", "--output", "-"]);
    assert!((256..=1024).contains(&sum(&without)), "{}", sum(&without));
    assert!(!without.contains("clamav:"), "{without}");
}

#[test]
fn what_is_missing_or_wrong_is_told() {
    let project = project();
    let said = refused(&project, &["compose", "--layout", "elsewhere"], 4);
    assert!(said.contains("elsewhere/index.json does not exist") && said.contains("mailimg build"), "{said}");
    project.replace("mailimg.toml", "name = \"example-org\"", "");
    let said = refused(&project, &["compose"], 2);
    assert!(said.contains("./mailimg.toml doesn't set `name`, which the compose file needs"), "{said}");
    assert!(said.contains("If the site already runs, give it the name it has"), "{said}");
    project.replace("mailimg.toml", "hostname = ", "name = \"example-org\"\nhostname = ");
    project.write("oci/index.json", "{}");
    refused(&project, &["compose"], 3);
    project.write("oci/index.json", r#"{"schemaVersion":2,"manifests":[]}"#);
    let said = refused(&project, &["compose"], 4);
    assert!(said.contains("has not been built"), "{said}");
}

/// `docker compose config` needs the program, but no engine.
#[test]
fn docker_compose_accepts_the_file() {
    let project = project();
    project.run(["secrets", "init"]);
    let publish = "bind = [\"127.0.0.1\", \"::1\"]\nports = { 25 = 2525 }";
    project.replace("mailimg.toml", "bind = [\"0.0.0.0\"]", publish);
    project.run(["compose"]);
    let output = Command::new("docker")
        .args(["compose", "config", "--format", "json"])
        .current_dir(project.path())
        .output()
        .expect("`docker compose` has to be installed: scripts/engine does it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let file: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let postfix = &file["services"]["postfix"];
    assert_eq!(postfix["depends_on"]["mysql"]["condition"], "service_healthy");
    assert_eq!(file["name"], "example-org");
    assert_eq!(postfix["hostname"], "mail.example.org");
    assert_eq!(postfix["ports"][0]["published"], "2525");
    assert_eq!(postfix["ports"][1]["host_ip"], "::1");
    assert_eq!(file["networks"]["internal"]["internal"], true);
    for image in IMAGES {
        let service = &file["services"][image];
        assert_eq!(service["read_only"], true, "{image}");
        assert_eq!(service["cap_drop"][0], "ALL", "{image}");
        assert_eq!(service["logging"]["options"]["max-size"], "10m", "{image}");
    }
}

#[test]
fn devices_and_streams_stay_what_they_are() {
    let project = project();
    let printed = project.run(["compose", "--output", "-"]);
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        assert_eq!(project.run(["compose", "--output", name]), printed, "{name}");
        // Standard output may be a file, which isn't replaced either.
        let out = project.root().join("out");
        let file = fs_err::File::create(&out).unwrap().into_parts().0;
        let mut command = Command::new(env!("CARGO_BIN_EXE_mailimg"));
        command.args(["compose", "--output", name]).current_dir(project.path()).stdout(file);
        assert!(command.status().unwrap().success());
        assert_eq!(fs_err::read_to_string(&out).unwrap(), printed, "{name}");
    }
    project.run(["compose", "--output", "/dev/null"]);
    assert!(!fs_err::metadata("/dev/null").unwrap().is_file());
    let fifo = project.root().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs_err::read_to_string(fifo).unwrap()
    });
    project.run(["compose", "--output", fifo.to_str().unwrap()]);
    assert_eq!(reader.join().unwrap(), printed);
}

#[test]
fn links_are_replaced_and_a_fifo_in_the_project_is_refused() {
    let project = project();
    let victim = project.root().join("victim");
    fs_err::write(&victim, "precious").unwrap();
    let file = project.path().join("compose.yaml");
    std::os::unix::fs::symlink(&victim, &file).unwrap();
    project.run(["compose"]);
    assert_eq!(fs_err::read_to_string(&victim).unwrap(), "precious");
    assert!(fs_err::symlink_metadata(&file).unwrap().is_file());
    fs_err::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let output = project.mailimg(["compose"]).timeout(std::time::Duration::from_secs(50)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("something that isn't a file has that name"), "{said}");
}
