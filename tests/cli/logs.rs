//! The services' logs, with a fake engine program.

use crate::fake_engine::{calls, project, run, succeed};

const PRINTED: &str = "\
postfix-1  | 2026-11-26T10:48:55.200000000Z from=<a@example.org>
postfix-1  | 2026-11-26T10:48:55.400000000Z status=sent
\u{1b}[2Kdovecot-1  | 2026-11-26T10:48:55.300000000Z stored mail
";

#[test]
fn lines_of_all_services_come_in_one_order() {
    let project = project();
    project.write("answers/logs", PRINTED);
    let (out, said) = succeed(&project, &["logs", "--since", "1h", "postfix", "dovecot"], "");
    assert_eq!(
        out,
        "2026-11-26T10:48:55.200000000Z postfix from=<a@example.org>\n\
         2026-11-26T10:48:55.300000000Z dovecot stored mail\n\
         2026-11-26T10:48:55.400000000Z postfix status=sent\n"
    );
    assert_eq!(said, "");
    let called = "compose --file compose.yaml logs --no-color --timestamps --since 1h postfix dovecot \n";
    assert_eq!(calls(&project), called);
}

#[test]
fn compose_follows_the_logs() {
    let project = project();
    project.write("answers/logs", PRINTED);
    let (out, _) = succeed(&project, &["logs", "--follow"], "");
    assert_eq!(out, PRINTED);
    assert!(calls(&project).ends_with("logs --no-color --timestamps --follow \n"), "{}", calls(&project));
}

#[test]
fn no_logs_have_a_reason() {
    let project = project();
    let (code, _, said) = run(&project, &["logs", "posfix"], "");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("there is no image \"posfix\"") && said.contains("postfix"), "{said}");
    assert_eq!(calls(&project), "");
    project.write("answers/logs.error", "unknown flag: --since\n");
    let (code, out, said) = run(&project, &["logs", "--since", "1h"], "");
    assert_eq!((code, out.as_str()), (Some(4), ""), "{said}");
    assert!(said.contains("can't read the logs: unknown flag: --since"), "{said}");
}
