//! Several processes of one command, on the same project and cache.

use std::process::Stdio;

use super::ALL;
use crate::common::count;

#[test]
fn several_at_once_lead_to_what_one_leads_to() {
    for case in ALL {
        let (template, expected) = case.undisturbed();
        for processes in [4, 2].into_iter().take(count(1, 2)) {
            let project = template.duplicate();
            let start = |_| {
                let mut command = project.command(case.args);
                command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            };
            let running: Vec<_> = (0..processes).map(start).collect();
            let mut succeeded = 0;
            for process in running {
                let output = process.wait_with_output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                let is_refused = case.once && said.contains("already exists");
                assert!(output.status.success() || is_refused, "{}: {}: {said}", case.name(), output.status);
                succeeded += usize::from(output.status.success());
            }
            assert!(succeeded == if case.once { 1 } else { processes }, "{}", case.name());
            assert_eq!(case.files(&project), expected, "{processes} of {}", case.name());
            case.is_consistent(&project, "several at once");
        }
    }
}
