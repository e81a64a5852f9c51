//! Dovecot's metrics, for a site that turns them on.

use std::net::TcpStream;
use std::time::Duration;

use crate::common::{engine, wait_for};
use crate::stack::{self, ALICE, deliver, mark};

#[test]
fn the_sites_own_networks_can_read_metrics() {
    let stack = stack::exclusive();
    let before = stack.set([("imap", "metrics", true.into())]);
    let mark = mark("counted");
    deliver(&stack, ALICE.0, &mark);
    stack.mailbox(ALICE).wait_for_message(&mark);
    assert!(!stack.mailbox((ALICE.0, "wrong")).can_login());
    let ask = "import urllib.request as u; print(u.urlopen('http://dovecot:9900/metrics', timeout=10).read().decode())";
    let read = || stack.run_elsewhere(ask);
    // They are counted a moment after they happen.
    let metrics = wait_for("counted logins", Duration::from_mins(1), || {
        let metrics = read();
        counts(&metrics, "dovecot_auth_failure_total").then_some(metrics)
    });
    let ports = engine::inspect(&stack.container("dovecot"), "{{json .HostConfig.PortBindings}}");
    stack.restore(&before);
    for counted in
        ["dovecot_auth_success_total", "dovecot_imap_command_total{cmd_name=\"SELECT\"}", "dovecot_delivery_total"]
    {
        assert!(counts(&metrics, counted), "{counted} in {metrics}");
    }
    assert!(ports.contains("993/tcp") && !ports.contains("9900"), "{ports}");
    // By default, nobody listens there.
    let address = engine::inspect(
        &stack.container("dovecot"),
        "{{range .NetworkSettings.Networks}}{{println .IPAddress}}{{end}}",
    );
    for address in address.split_whitespace() {
        assert!(TcpStream::connect((address, 9900)).is_err(), "{address}");
    }
}

/// Whether a counter has counted something.
fn counts(metrics: &str, counter: &str) -> bool {
    let value = metrics.lines().find_map(|line| line.strip_prefix(counter)?.trim().parse::<u64>().ok());
    value.is_some_and(|value| value > 0)
}
