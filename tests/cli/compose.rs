use std::process::Command;

use crate::common::project::Project;

const IMAGES: [&str; 4] = ["clamav", "dovecot", "mysql", "postfix"];

/// A new project with an index of images that might have been built.
fn project() -> Project {
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
}

#[test]
fn another_place_has_absolute_secrets() {
    let project = project();
    let root = project.path().canonicalize().unwrap();
    let printed = project.run(["compose", "--output", "-"]);
    assert!(printed.contains(&format!("file: {}/secrets/database-password", root.display())), "{printed}");
    assert!(!project.path().join("compose.yaml").exists());
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
    let said = refused(&project, &["compose", "--port", "26=2626"], 2);
    assert!(said.contains("no image publishes port 26: the published ports are 25, 465, 587, 993"), "{said}");
    let said = refused(&project, &["compose", "--port", "25=993"], 2);
    assert!(said.contains("host port 993 would be published twice"), "{said}");
    for (option, value) in [("--port", "25"), ("--port", "25=0"), ("--port", "25=70000"), ("--bind", "here")] {
        refused(&project, &["compose", option, value], 2);
    }
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
    project.run(["compose", "--bind", "127.0.0.1", "--bind", "::1", "--port", "25=2525"]);
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
