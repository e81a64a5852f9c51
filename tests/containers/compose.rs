//! The compose file.

use crate::stack::{self, SERVICES};

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
