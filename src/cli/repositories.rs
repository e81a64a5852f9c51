use std::collections::BTreeMap;

/// Where repositories are read from, for commands that read packages.
#[derive(Debug, clap::Args)]
pub(super) struct RepositoryArgs {
    /// Read the channel's repository NAME from elsewhere: a mirror, or a directory. Everything is checked all the same
    #[arg(long = "repository", value_name = "NAME=URL_OR_DIR", value_parser = name_and_place)]
    repositories: Vec<(String, String)>,
}

impl RepositoryArgs {
    /// Places by the repositories' names; of two for one name the last counts.
    pub(super) fn overrides(&self) -> BTreeMap<String, String> {
        self.repositories.iter().cloned().collect()
    }
}

fn name_and_place(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, place)) if !name.is_empty() && !place.is_empty() => Ok((name.to_owned(), place.to_owned())),
        _ => Err("expected NAME=URL_OR_DIR, as in main=/srv/alpine/v3.24/main".to_owned()),
    }
}
