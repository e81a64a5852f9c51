use std::fmt;

use crate::apk::package::Script;
use crate::config::ScriptRule;
use crate::printable;

/// A script without a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclassified {
    pub package: String,
    pub script: Script,
}

/// The scripts that no rule covers.
pub(super) fn unclassified(rules: &[ScriptRule], package: &str, scripts: &[Script]) -> Vec<Unclassified> {
    let covered = |script: &Script| rules.iter().any(|rule| rule.covers(package, script.kind.as_str()));
    let open = scripts.iter().filter(|script| !covered(script));
    open.map(|script| Unclassified { package: package.to_owned(), script: script.clone() }).collect()
}

fn indented(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    printable::text(&text).lines().flat_map(|line| ["    ", line, "\n"]).collect()
}

impl fmt::Display for Unclassified {
    /// The script, and the lines of a rule for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { package, script } = self;
        write!(f, "{package} has a {} script:\n\n{}\n", script.kind, indented(&script.text))?;
        write!(
            f,
            "[[script]]\npackage = {package:?}\nscripts = [\"{}\"]\nignored-because = \"…\" # or: replaced-by = \"…\"\n",
            script.kind
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apk::package::ScriptKind;
    use crate::config::SCRIPT_NAMES;

    #[test]
    fn the_channel_knows_the_scripts_that_packages_have() {
        let mut names = ScriptKind::ALL.map(ScriptKind::as_str);
        let mut known: Vec<_> = SCRIPT_NAMES.to_vec();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, names);
    }

    #[test]
    fn shows_what_to_write_down() {
        let script = Script { kind: ScriptKind::PostInstall, text: b"#!/bin/sh\n\techo \x1b[2J\n".to_vec() };
        let rule = |scripts: &[&str]| ScriptRule {
            package: "a".to_owned(),
            scripts: scripts.iter().map(|name| (*name).to_owned()).collect(),
            replaced_by: None,
            ignored_because: Some("x".to_owned()),
        };
        assert_eq!(unclassified(&[rule(&["post-install"])], "a", std::slice::from_ref(&script)), []);
        let open = unclassified(&[rule(&["trigger"])], "a", &[script]);
        let shown = "\
a has a post-install script:

    #!/bin/sh
    \techo \\u{1b}[2J

[[script]]
package = \"a\"
scripts = [\"post-install\"]
ignored-because = \"…\" # or: replaced-by = \"…\"
";
        assert_eq!(open.first().unwrap().to_string(), shown);
    }
}
