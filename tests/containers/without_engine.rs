//! Tests without a container engine.

use std::process::Command;

/// Runs one of this program's own tests against an engine that doesn't exist.
#[test]
fn tests_fail_and_say_how_to_get_an_engine() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tls::tls_1_2_and_1_3_are_accepted_and_1_1_is_not"])
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("1 failed"), "{said}");
    assert!(said.contains("this test needs a container engine, and none answers"), "{said}");
    assert!(said.contains("scripts/engine start"), "{said}");
}
