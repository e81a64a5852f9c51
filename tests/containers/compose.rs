//! The compose file.

use std::process::{Command, Stdio};

use crate::stack::{self, SERVICES};

#[test]
#[ignore = "needs docker-compose 1.29, named by MAILIMG_DOCKER_COMPOSE_1"]
fn docker_compose_1_accepts_the_file() {
    let program =
        std::env::var("MAILIMG_DOCKER_COMPOSE_1").expect("MAILIMG_DOCKER_COMPOSE_1 names docker-compose 1.29");
    let stack = stack::shared();
    let run = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(args).current_dir(stack.project.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (_, version, _) = run(&["--version"]);
    assert!(version.contains(" 1.29."), "{version}");
    let (accepted, _, said) = run(&["-f", "compose.yaml", "config", "--quiet"]);
    assert!(accepted && said.is_empty(), "{said}");
    let (_, services, _) = run(&["-f", "compose.yaml", "config", "--services"]);
    let mut services: Vec<_> = services.lines().collect();
    services.sort_unstable();
    let mut expected = SERVICES;
    expected.sort_unstable();
    assert_eq!(services, expected);
}

#[test]
fn only_postfix_and_dovecot_publish_ports() {
    let stack = stack::shared();
    let file = stack.compose_file();
    for service in SERVICES {
        let ports = file["services"][service]["ports"].as_array().map_or(0, Vec::len);
        let expected = match service {
            "postfix" => 3,
            "dovecot" => 1,
            _ => 0,
        };
        assert_eq!(ports, expected, "{service}");
    }
}

#[test]
fn memory_limits_fit_a_machine_of_2_gb() {
    let stack = stack::shared();
    let file = stack.compose_file();
    let limit = |service: &str| {
        let limit = &file["services"][service]["mem_limit"];
        limit.as_str().map_or_else(|| limit.as_u64(), |text| text.parse().ok()).expect("a limit")
    };
    let total: u64 = SERVICES.iter().map(|service| limit(service)).sum();
    assert!(total <= 2 << 30, "{total}");
}
