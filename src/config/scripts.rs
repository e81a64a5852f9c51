use serde::Deserialize;

use super::document::{Document, Step};
use super::error::ConfigError;

/// The scripts that an apk v2 package can contain, as named in `scripts.toml` and locks.
pub const SCRIPT_NAMES: &[&str] =
    &["pre-install", "post-install", "pre-upgrade", "post-upgrade", "pre-deinstall", "post-deinstall", "trigger"];

/// `apk-locks/<channel>/scripts.toml` accounts for packages' scripts, which never run: each rule says what replaces
/// some scripts in an image, or why images don't need them.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptsFile {
    /// The rules. Every script of every locked package needs one.
    #[serde(default)]
    script: Vec<ScriptRule>,
}

/// A rule for some scripts. Give either `replaced-by` or `ignored-because`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ScriptRule {
    /// Name of the package, or `*` for all packages.
    pub package: String,
    /// Which of its scripts.
    #[cfg_attr(test, schemars(extend("items" = serde_json::json!({ "enum": SCRIPT_NAMES }))))]
    pub scripts: Vec<String>,
    /// What replaces them in an image.
    #[serde(default)]
    pub replaced_by: Option<String>,
    /// Why images don't need them.
    #[serde(default)]
    pub ignored_because: Option<String>,
}

impl ScriptRule {
    /// Whether the rule covers this script of this package.
    #[must_use]
    pub fn covers(&self, package: &str, script: &str) -> bool {
        (self.package == "*" || self.package == package) && self.scripts.iter().any(|name| name == script)
    }
}

/// Reads and checks the rules.
pub(super) fn rules(document: &Document) -> Result<Vec<ScriptRule>, ConfigError> {
    let file: ScriptsFile = document.parse()?;
    for (index, rule) in file.script.iter().enumerate() {
        let at = |key| [Step::Key("script"), Step::Index(index), Step::Key(key)];
        if rule.replaced_by.is_some() == rule.ignored_because.is_some() {
            let message = "set either `replaced-by` (what replaces the scripts) or `ignored-because` (why images don't \
                           need them)";
            return Err(document.wrong(&at("package"), message).into());
        }
        if let Some(name) = rule.scripts.iter().find(|name| !SCRIPT_NAMES.contains(&name.as_str())) {
            let message = format!("there is no script {name:?}");
            let advice = format!("the scripts of packages are {}", SCRIPT_NAMES.join(", "));
            return Err(document.wrong(&at("scripts"), message).advice(Some(advice)).into());
        }
    }
    Ok(file.script)
}
