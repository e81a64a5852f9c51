//! The supported versions of TLS.

use openssl::ssl::SslVersion;

use crate::common::smtp::accepts_tls;
use crate::stack;

#[test]
fn tls_1_2_and_1_3_are_accepted_and_1_1_is_not() {
    let stack = stack::shared();
    for (port, starttls) in [(25, true), (587, true), (465, false), (993, false)] {
        for (version, wanted) in [
            (SslVersion::TLS1, false),
            (SslVersion::TLS1_1, false),
            (SslVersion::TLS1_2, true),
            (SslVersion::TLS1_3, true),
        ] {
            assert_eq!(accepts_tls(stack.address(port), starttls, version), wanted, "port {port}, {version:?}");
        }
    }
}
