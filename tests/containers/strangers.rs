//! Clients with addresses of their own: the server remembers who has behaved well, and counts connections per address.

use crate::stack;

/// Postscreen greets in two parts: only who waits for the second one is a mail server.
#[test]
fn a_client_that_talks_before_the_greeting_is_refused() {
    let stack = stack::shared();
    let answers = stack.run_elsewhere(
        r#"
import socket
server = socket.create_connection(("postfix", 25), timeout=30)
server.sendall(b"EHLO client.outside.test\r\nMAIL FROM:<a@outside.test>\r\nRCPT TO:<alice@example.test>\r\nQUIT\r\n")
while answer := server.recv(4096):
    print(answer.decode())
"#,
    );
    assert!(answers.contains("550 5.5.1 Protocol error"), "{answers}");
}
