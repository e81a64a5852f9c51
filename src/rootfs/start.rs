//! What an engine looks up in an image when it starts it: the program and the account.

use camino::Utf8Path;

use super::accounts::Accounts;
use super::merge::Merged;
use super::tree::{NodeKind, names_a_directory};
use super::{RootfsError, assemble::kept_content};
use crate::config::ImageConfig;
use crate::similar::similar;

/// Largest number of an account: Docker's limit.
const LARGEST_ID: u32 = i32::MAX.cast_unsigned();

/// Refuses a tree without the programs and the account that the recipe `name` names: an engine would refuse to start it.
pub fn check_start(merged: &Merged, name: &str, image: &ImageConfig) -> Result<(), RootfsError> {
    let start = Start { merged, recipe: format!("recipes/{name}.toml"), image };
    start.program("image.entrypoint", image.entrypoint.first())?;
    start.program("image.healthcheck.command", image.healthcheck.iter().find_map(|check| check.command.first()))?;
    start.account()
}

struct Start<'a> {
    merged: &'a Merged,
    recipe: String,
    image: &'a ImageConfig,
}

impl Start<'_> {
    fn program(&self, key: &'static str, program: Option<&String>) -> Result<(), RootfsError> {
        let Some(program) = program else { return Ok(()) };
        let is_name = !program.contains('/');
        let directories: Vec<&str> = match (is_name, program.starts_with('/')) {
            (true, _) => self.image.search_path().split(':').collect(),
            (false, true) => vec![""],
            (false, false) => vec![self.image.working_dir.as_deref().unwrap_or_default()],
        };
        let places: Vec<String> = directories.iter().map(|directory| format!("{directory}/{program}")).collect();
        if places.iter().any(|place| self.is_file(place) || self.is_on_a_volume(place)) {
            return Ok(());
        }
        let found = match places.as_slice() {
            [place] if !is_name => self.instead(place),
            _ => format!(" in {}", self.image.search_path()),
        };
        let (recipe, program, near) = (self.recipe.clone(), program.clone(), self.like(&places));
        Err(RootfsError::NoProgram { recipe, key, program, found, near })
    }

    fn is_file(&self, path: &str) -> bool {
        self.merged.tree.find(path).is_some_and(|node| matches!(node.kind, NodeKind::File { .. }))
    }

    /// Describes what is at a path instead of a program.
    fn instead(&self, path: &str) -> String {
        let tree = &self.merged.tree;
        match (tree.find(path), tree.find_itself(path)) {
            (Some(node), _) if node.is_directory() => ", which is a directory".to_owned(),
            (None, Some(_)) if names_a_directory(path) => ": written like this, it is a directory".to_owned(),
            (None, Some(_)) => ", which is a link that leads to nothing".to_owned(),
            _ => String::new(),
        }
    }

    /// The content of a volume is unknown until it is mounted.
    fn is_on_a_volume(&self, path: &str) -> bool {
        self.image.volumes.iter().any(|volume| Utf8Path::new(path).starts_with(volume.as_str()))
    }

    /// Files next to these paths whose names look like theirs.
    fn like(&self, paths: &[String]) -> Vec<String> {
        let Some(name) = paths.iter().find_map(|path| path.rsplit('/').next()) else { return Vec::new() };
        let directories: Vec<&str> = paths
            .iter()
            .filter_map(|path| path.rsplit_once('/'))
            .map(|(directory, _)| directory.trim_matches('/'))
            .collect();
        let files = self.merged.tree.iter().filter(|(_, node)| !node.is_directory()).map(|(path, _)| path.to_string());
        let names = files
            .filter_map(|path| path.rsplit_once('/').map(|(directory, name)| (directory.to_owned(), name.to_owned())));
        let names: Vec<(String, String)> =
            names.filter(|(directory, _)| directories.contains(&directory.as_str())).collect();
        let similar = similar(name, names.iter().map(|(_, name)| name.as_str()).filter(|other| *other != name));
        let path = |similar: &str| {
            let found = names.iter().find(|(_, name)| name == similar);
            found.map(|(directory, name)| format!("/{directory}/{name}"))
        };
        similar.into_iter().filter_map(path).collect()
    }

    fn account(&self) -> Result<(), RootfsError> {
        let Some(user) = &self.image.user else { return Ok(()) };
        let (user, group) = user.split_once(':').map_or((user.as_str(), None), |(user, group)| (user, Some(group)));
        self.known("user", user, "etc/passwd")?;
        group.map_or(Ok(()), |group| self.known("group", group, "etc/group"))
    }

    /// Whether the image has an account of this name. A number needs none.
    fn known(&self, what: &'static str, name: &str, file: &str) -> Result<(), RootfsError> {
        if name.parse::<u32>().is_ok_and(|id| id <= LARGEST_ID) {
            return Ok(());
        }
        let content = match self.merged.tree.find(file) {
            None => Vec::new(),
            Some(node) => match kept_content(&self.merged.packages, node) {
                Some(content) => content,
                // A package's file by another name has not been read: who is in it is not known.
                None => return Ok(()),
            },
        };
        let mut accounts = Accounts::default();
        accounts.read(file.as_bytes(), &content);
        let names: Vec<&str> = if what == "user" { accounts.users().collect() } else { accounts.groups().collect() };
        if names.contains(&name) {
            return Ok(());
        }
        let near = similar(name, names).into_iter().map(ToOwned::to_owned).collect();
        Err(RootfsError::NoAccount { recipe: self.recipe.clone(), what, name: name.to_owned(), near })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apk::package::PackageEntry;
    use crate::apk::package::fixture::{entry, package};
    use crate::apk::tar::EntryKind;
    use crate::rootfs::merge;

    fn file(path: &str, content: &str) -> PackageEntry {
        let mut file = entry(path, EntryKind::File, 0o755);
        (file.header.size, file.content) = (content.len() as u64, Some(content.into()));
        file
    }

    fn link(path: &str, target: &str) -> PackageEntry {
        entry(path, EntryKind::Symlink(target.into()), 0o777)
    }

    fn dir(path: &str) -> PackageEntry {
        entry(path, EntryKind::Directory, 0o755)
    }

    /// The error about this `[image]`, if any.
    fn checked(image: &str) -> Result<(), String> {
        let entries = vec![
            dir("etc"),
            file("etc/group", "root:x:0:\nmail:x:12:\n"),
            file("etc/passwd", "root:x:0:0::/root:/bin/sh\npostfix:x:100:12::/:/sbin/nologin\n"),
            dir("srv"),
            dir("usr"),
            dir("usr/bin"),
            link("usr/bin/away", "/nowhere"),
            link("usr/bin/relative", "web"),
            link("usr/bin/absolute", "/bin/relative"),
            file("usr/bin/web", ""),
            link("bin", "usr/bin"),
        ];
        let merged = merge(vec![package("all", entries)], &Accounts::default()).unwrap();
        check_start(&merged, "web", &toml::from_str(image).unwrap()).map_err(|error| error.to_string())
    }

    fn entrypoint(program: &str) -> Result<(), String> {
        checked(&format!("entrypoint = [{program:?}]"))
    }

    #[test]
    fn programs_are_found_as_an_engine_finds_them() {
        for program in [
            "/usr/bin/web",
            "/bin/web",
            "/bin/.././bin//web",
            "/usr/bin/relative",
            "/usr/bin/absolute",
            "web",
            "usr/bin/web",
            "./usr/bin/web",
        ] {
            assert_eq!(entrypoint(program), Ok(()), "{program}");
        }
        assert_eq!(checked("entrypoint = [\"bin/web\"]\nworking-dir = \"/usr\""), Ok(()));
        assert_eq!(checked("entrypoint = [\"web\"]\nenv = { PATH = \"/srv:/bin\" }"), Ok(()));
        assert_eq!(checked("entrypoint = [\"/data/bin/web\"]\nvolumes = [\"/data\"]"), Ok(()), "it may be there");
    }

    #[test]
    fn a_program_that_the_image_lacks_is_told() {
        let missing = |program: &str| entrypoint(program).unwrap_err();
        assert_eq!(
            missing("/usr/bin/wbe"),
            r#"recipes/web.toml: image.entrypoint: the image has no file "/usr/bin/wbe"; did you mean /usr/bin/web?"#
        );
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        assert_eq!(
            missing("httpd"),
            format!("recipes/web.toml: image.entrypoint: the image has no file \"httpd\" in {path}")
        );
        assert!(missing("/bin/away").ends_with(r#"no file "/bin/away", which is a link that leads to nothing"#));
        assert!(missing("/usr/bin").ends_with(r#"no file "/usr/bin", which is a directory"#));
        for program in ["/usr/bin/web/", "/usr/bin/web/.", "usr/bin/web//", "/usr/bin/relative/"] {
            let told = missing(program);
            assert!(told.ends_with(": written like this, it is a directory"), "{told}");
        }
        for program in ["away", "bin", "bin/nothing", "./web", "", "/etc/passwd/web"] {
            assert!(missing(program).contains("the image has no file"), "{program}");
        }
        let path = checked("entrypoint = [\"web\"]\nenv = { PATH = \"/srv\" }").unwrap_err();
        assert!(path.ends_with(r#"the image has no file "web" in /srv"#), "{path}");
        let health = "entrypoint = [\"web\"]\n[healthcheck]\ncommand = [\"curl\", \"-f\"]\n\
                      interval = 1\ntimeout = 1\nstart-period = 1\nretries = 1";
        let health = checked(health).unwrap_err();
        assert!(health.starts_with("recipes/web.toml: image.healthcheck.command: "), "{health}");
    }

    #[test]
    fn an_account_that_the_image_lacks_is_told() {
        let user = |user: &str| checked(&format!("entrypoint = [\"web\"]\nuser = {user:?}"));
        for known in ["root", "postfix", "postfix:mail", "0", "4711", "4711:4712", "postfix:4712", "4711:mail"] {
            assert_eq!(user(known), Ok(()), "{known}");
        }
        let start = "recipes/web.toml: image.user: the image has no";
        for (unknown, what) in [
            ("postfx", r#"user "postfx"; did you mean postfix?"#),
            ("mail", r#"user "mail""#),
            ("postfix:postfix", r#"group "postfix""#),
            ("postfix:", r#"group """#),
            ("", r#"user """#),
            (":mail", r#"user """#),
            ("-1", r#"user "-1""#),
            ("2147483648", r#"user "2147483648""#),
        ] {
            assert_eq!(user(unknown).unwrap_err(), format!("{start} {what}"), "{unknown}");
        }
    }
}
