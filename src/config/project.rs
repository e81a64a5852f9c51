use std::collections::{BTreeMap, BTreeSet};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::document::{Document, Step, TOML_LIMIT};
use super::error::{ConfigError, Wrong};
use super::site::{LEAST_LAYERS, MOST_LAYERS, MOST_MESSAGE_SIZE};
use super::values::is_host_name;
use super::{
    CREDENTIALS_ADVICE, Channel, DomainName, Files, Name, ReadError, Recipe, RecipeChannel, Repository, Role, Secret,
    Site, SiteName, Size, has_credentials, label, scripts, secrets, template,
};
use crate::similar::similar;

/// The file of a project that describes the site.
pub const SITE_FILE: &str = "mailimg.toml";

/// The file that runs the site, next to it.
pub const COMPOSE_FILE: &str = "compose.yaml";

/// A directory with `mailimg.toml`, `recipes/`, `images/` and `apk-locks/`, read and checked.
#[derive(Debug, Clone)]
pub struct Project {
    files: Files,
    site: Site,
    channel: Channel,
    recipes: BTreeMap<String, Recipe>,
    /// The site's switches, such as `antivirus.enabled`, and whether each is on. A list is one, too: it is on unless empty.
    switches: BTreeMap<String, bool>,
}

impl Project {
    /// Reads the project in `root` with the channel in its `mailimg.toml`.
    pub fn open(root: &Utf8Path) -> Result<Self, ConfigError> {
        Self::open_with(root, None)
    }

    /// Reads the project in `root` with another channel than the one in its `mailimg.toml`.
    pub fn open_with(root: &Utf8Path, channel: Option<&str>) -> Result<Self, ConfigError> {
        let none = || ConfigError::NoProject { directory: root.to_owned() };
        let files = match Files::open(root) {
            Err(ReadError::Io { source, .. }) if is_no_directory(&source) => return Err(none()),
            files => files?,
        };
        let document = Document::read_if_there(&files, &root.join(SITE_FILE))?.ok_or_else(none)?;
        let mut site: Site = document.parse()?;
        let switches = switches(&site);
        let recipes = read_recipes(&files, &switches)?;
        check_site(&document, &site, &recipes)?;
        let channel = match channel {
            Some(name) => {
                let channel = read_channel(&files, name)?;
                site.channel = name.parse().map_err(|_| unknown_channel(&files, name))?;
                channel
            }
            None => {
                read_channel(&files, &site.channel).map_err(|error| at(&document, &[Step::Key("channel")], error))?
            }
        };
        Ok(Self { files, site, channel, recipes, switches })
    }

    /// The project directory, as given.
    #[must_use]
    pub fn root(&self) -> &Utf8Path {
        self.files.root()
    }

    /// Its files.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// `mailimg.toml`.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The channel in use.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// `apk-locks/<channel>`, the directory of the channel's locks.
    #[must_use]
    pub fn channel_dir(&self) -> Utf8PathBuf {
        self.root().join("apk-locks").join(&self.channel.name)
    }

    /// `secrets`, which is never baked. It may not exist yet.
    #[must_use]
    pub fn secrets_dir(&self) -> Utf8PathBuf {
        self.root().join("secrets")
    }

    /// `oci`, the default layout of built images. It may not exist yet.
    #[must_use]
    pub fn layout_dir(&self) -> Utf8PathBuf {
        self.root().join("oci")
    }

    /// `mailimg.toml`, which describes the site.
    #[must_use]
    pub fn site_file(&self) -> Utf8PathBuf {
        self.root().join(SITE_FILE)
    }

    /// `compose.yaml`, which runs the site. It may not exist yet.
    #[must_use]
    pub fn compose_file(&self) -> Utf8PathBuf {
        self.root().join(COMPOSE_FILE)
    }

    /// The images in the site's list, in its order, except those whose feature is off.
    pub fn recipes(&self) -> impl Iterator<Item = &Recipe> {
        let is_on = |feature: &Name| self.switches.get(&enabled(feature)).copied().unwrap_or_default();
        self.listed().filter(move |recipe| recipe.feature.as_ref().is_none_or(is_on))
    }

    /// The images in the site's list, in its order, also those whose feature is off.
    pub fn listed(&self) -> impl Iterator<Item = &Recipe> {
        self.site.images.iter().filter_map(|name| self.recipes.get(name.as_str()))
    }

    /// The one image of the site with this role.
    pub fn image_with(&self, role: Role) -> Result<&Recipe, ConfigError> {
        let found: Vec<&Recipe> = self.recipes().filter(|recipe| recipe.service.role == Some(role)).collect();
        match found.as_slice() {
            [recipe] => Ok(recipe),
            found => Err(ConfigError::Role { role, found: found.iter().map(|recipe| recipe.name.clone()).collect() }),
        }
    }

    /// The secrets that the site's images ask for.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret<'_>> {
        secrets::table(self.recipes())
    }

    /// The site's name on its engine. `user` is what needs it, for the error where there is none.
    pub fn name(&self, user: &str) -> Result<&SiteName, ConfigError> {
        self.site.name.as_ref().ok_or_else(|| self.unset("name", user))
    }

    /// The site's host name. `user` is what needs it, for the error where there is none.
    pub fn hostname(&self, user: &str) -> Result<&DomainName, ConfigError> {
        self.site.hostname.as_ref().ok_or_else(|| self.unset("hostname", user))
    }

    /// The site's mail domains, at least one. `user` is what needs them, for the error where there are none.
    pub fn domains(&self, user: &str) -> Result<&[DomainName], ConfigError> {
        Some(self.site.domains.as_slice())
            .filter(|domains| !domains.is_empty())
            .ok_or_else(|| self.unset("domains", user))
    }

    fn unset(&self, key: &'static str, user: &str) -> ConfigError {
        ConfigError::Unset { path: self.site_file(), key, user: user.to_owned() }
    }

    /// A recipe's `service.hostname`, rendered.
    pub fn service_hostname(&self, recipe: &Recipe) -> Result<Option<String>, ConfigError> {
        let Some(text) = &recipe.service.hostname else { return Ok(None) };
        let path = self.root().join("recipes").join(&recipe.name).with_extension("toml");
        let name = template::render(&path, text, &template::Values::new(self, recipe)?).map_err(|wrong| *wrong);
        let (message, advice) = match name {
            Ok(name) if is_host_name(&name) => return Ok(Some(name)),
            Ok(name) => (format!("{name:?} is not a host name"), None),
            Err(Wrong { key: Some(key), message, advice, .. }) => (format!("{key}: {message}"), advice),
            Err(Wrong { message, advice, .. }) => (message, advice),
        };
        let steps = [Step::Key("service"), Step::Key("hostname")];
        Err(Document::read(&self.files, &path)?.wrong(&steps, message).advice(advice).into())
    }

    /// A recipe by name, whether or not the site lists it.
    pub fn recipe(&self, name: &str) -> Result<&Recipe, ConfigError> {
        self.recipes.get(name).ok_or_else(|| ConfigError::UnknownImage {
            name: name.to_owned(),
            known: self.recipes.keys().cloned().collect(),
        })
    }

    /// The section of `recipe` for the current channel. A recipe without such sections fits every channel.
    pub fn channel_of<'a>(&self, recipe: &'a Recipe) -> Result<Option<&'a RecipeChannel>, ConfigError> {
        match recipe.channel.get(&self.channel.name) {
            None if !recipe.channel.is_empty() => Err(ConfigError::ForeignChannel {
                recipe: recipe.name.clone(),
                channel: self.channel.name.clone(),
                known: recipe.channel.keys().cloned().collect(),
            }),
            share => Ok(share),
        }
    }
}

fn switches(site: &Site) -> BTreeMap<String, bool> {
    let site = serde_json::to_value(site).unwrap_or_default();
    let sections = site.as_object().into_iter().flatten();
    let keys = sections.flat_map(|(name, section)| section.as_object().into_iter().flatten().map(move |it| (name, it)));
    let is_on = |value: &Value| value.as_bool().or_else(|| value.as_array().map(|list| !list.is_empty()));
    keys.filter_map(|(name, (key, value))| Some((format!("{name}.{key}"), is_on(value)?))).collect()
}

/// The switch of a feature.
fn enabled(feature: &Name) -> String {
    format!("{feature}.enabled")
}

fn read_recipes(files: &Files, switches: &BTreeMap<String, bool>) -> Result<BTreeMap<String, Recipe>, ConfigError> {
    let mut recipes = BTreeMap::new();
    let mut documents = Vec::new();
    for path in files_in(files, "recipes")? {
        let (Some(name), Some("toml")) = (path.file_stem(), path.extension()) else { continue };
        let document = Document::read(files, &path)?;
        let mut recipe: Recipe = document.parse()?;
        name.clone_into(&mut recipe.name);
        check_recipe(&document, &recipe, switches)?;
        let is_on = |switch: &String| switches.get(switch) == Some(&true);
        let published = recipe.service.publish_if.iter().filter(|(switch, _)| is_on(switch));
        recipe.service.publish.extend(published.flat_map(|(_, ports)| ports));
        let folders = recipe.rootfs_if.iter().filter(|(switch, _)| is_on(switch));
        recipe.rootfs.extend(folders.flat_map(|(_, folders)| folders).cloned());
        recipes.insert(name.to_owned(), recipe);
        documents.push((name.to_owned(), document));
    }
    let mut secrets = secrets::Checked::default();
    for (name, document) in &documents {
        if let Some(recipe) = recipes.get(name) {
            check_dependencies(document, recipe, &recipes)?;
            secrets.check(document, recipe)?;
        }
    }
    Ok(recipes)
}

fn check_dependencies(
    document: &Document,
    recipe: &Recipe,
    recipes: &BTreeMap<String, Recipe>,
) -> Result<(), ConfigError> {
    let known: Vec<String> = recipes.keys().cloned().collect();
    for (index, name) in recipe.service.depends_on.iter().enumerate() {
        if !recipes.contains_key(name.as_str()) {
            let steps = [Step::Key("service"), Step::Key("depends-on"), Step::Index(index)];
            return Err(unknown_name(document, &steps, "recipe", name, &known).into());
        }
    }
    Ok(())
}

fn read_channel(files: &Files, name: &str) -> Result<Channel, ConfigError> {
    let path = files.root().join("apk-locks").join(name).join("channel.toml");
    let document = if name.contains('/') { None } else { Document::read_if_there(files, &path)? };
    let document = document.ok_or_else(|| unknown_channel(files, name))?;
    let mut channel: Channel = document.parse()?;
    check_channel(&document, &channel)?;
    name.clone_into(&mut channel.name);
    if let Some(scripts) = Document::read_if_there(files, &path.with_file_name("scripts.toml"))? {
        channel.scripts = scripts::rules(&scripts)?;
    }
    Ok(channel)
}

const CREDENTIALS: &str = "contains a user name or a password";

/// Every reader of the file would know the password, and it would be in the lock and the image.
fn check_channel(document: &Document, channel: &Channel) -> Result<(), ConfigError> {
    let url = |(index, repository): (usize, &Repository)| {
        has_credentials(&repository.url).then(|| vec![Step::Key("repository"), Step::Index(index), Step::Key("url")])
    };
    let keys_url =
        || channel.keys_url.as_deref().filter(|url| has_credentials(url)).map(|_| vec![Step::Key("keys-url")]);
    match channel.repositories.iter().enumerate().find_map(url).or_else(keys_url) {
        Some(steps) => {
            let wrong = document.wrong(&steps, CREDENTIALS);
            Err(wrong.advice(Some(CREDENTIALS_ADVICE.to_owned())).into())
        }
        None => Ok(()),
    }
}

fn unknown_channel(files: &Files, name: &str) -> ConfigError {
    let path = files.root().join("apk-locks").join(name).join("channel.toml");
    ConfigError::UnknownChannel { name: name.to_owned(), path, known: channels_of(files) }
}

/// The channels of the project in `root`, whether or not its other files are right.
#[must_use]
pub fn channels(root: &Utf8Path) -> Vec<String> {
    Files::open(root).map(|files| channels_of(&files)).unwrap_or_default()
}

fn channels_of(files: &Files) -> Vec<String> {
    let directories = files_in(files, "apk-locks").unwrap_or_default().into_iter();
    let channels = directories.filter(|path| files.read(&path.join("channel.toml"), TOML_LIMIT).is_ok());
    channels.filter_map(|path| path.file_name().map(str::to_owned)).collect()
}

/// The entries of a directory of the project, sorted; none if it doesn't exist.
fn files_in(files: &Files, directory: &str) -> Result<Vec<Utf8PathBuf>, ConfigError> {
    match files.list(&files.root().join(directory)) {
        Err(error) if error.is_missing() => Ok(Vec::new()),
        listed => Ok(listed?.into_iter().map(|(path, _)| path).collect()),
    }
}

fn is_no_directory(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn at(document: &Document, steps: &[Step<'_>], error: ConfigError) -> ConfigError {
    match error {
        ConfigError::UnknownChannel { name, known, .. } => {
            unknown_name(document, steps, "channel", &name, &known).into()
        }
        other => other,
    }
}

fn unknown_name(document: &Document, steps: &[Step<'_>], kind: &str, name: &str, known: &[String]) -> Box<Wrong> {
    let advice = similar(name, known.iter().map(String::as_str))
        .first()
        .map_or_else(|| format!("known: {}", known.join(", ")), |name| format!("did you mean {name}?"));
    document.wrong(steps, format!("there is no {kind} {name:?}")).advice(Some(advice))
}

fn check_site(document: &Document, site: &Site, recipes: &BTreeMap<String, Recipe>) -> Result<(), ConfigError> {
    if !(LEAST_LAYERS..=MOST_LAYERS).contains(&site.layers) {
        let message = format!(
            "must be from {LEAST_LAYERS} to {MOST_LAYERS}: an image has at least one layer with packages and one of \
             its own, and engines mount no more than {MOST_LAYERS}"
        );
        return Err(document.wrong(&[Step::Key("layers")], message).into());
    }
    if !(Size::new(1)..=MOST_MESSAGE_SIZE).contains(&site.limits.message_size) {
        let message = format!("must be from 1 to {MOST_MESSAGE_SIZE}: larger messages can't be scanned for viruses");
        return Err(document.wrong(&[Step::Key("limits"), Step::Key("message-size")], message).into());
    }
    for (name, urls) in [("mirrors", &site.antivirus.mirrors), ("databases", &site.antivirus.databases)] {
        if let Some(index) = urls.iter().position(|url| has_credentials(url.as_str())) {
            let steps = [Step::Key("antivirus"), Step::Key(name), Step::Index(index)];
            let advice = "it would be in the image, which others may read: use a server in your own network";
            return Err(document.wrong(&steps, CREDENTIALS).advice(Some(advice.to_owned())).into());
        }
    }
    if let Some(relay) = &site.relay
        && relay.user.as_ref().is_some_and(|user| user.as_str().contains(':'))
    {
        // Postfix reads "user:password".
        return Err(document.wrong(&[Step::Key("relay"), Step::Key("user")], "can't contain a colon").into());
    }
    check_unique(document, "domains", None, site.domains.iter().map(DomainName::as_str))?;
    check_unique(document, "images", None, site.images.iter().map(|name| &**name))?;
    let known: Vec<String> = recipes.keys().cloned().collect();
    for (index, name) in site.images.iter().enumerate() {
        if !recipes.contains_key(name.as_str()) {
            let steps = [Step::Key("images"), Step::Index(index)];
            return Err(unknown_name(document, &steps, "recipe", name, &known).into());
        }
    }
    check_ports(document, site, recipes)
}

/// Every port in `publish.ports` belongs to an image, and none of the host is published twice.
fn check_ports(document: &Document, site: &Site, recipes: &BTreeMap<String, Recipe>) -> Result<(), ConfigError> {
    let images = site.images.iter().filter_map(|name| recipes.get(name.as_str()));
    let known: BTreeSet<u16> = images.flat_map(|recipe| recipe.service.publish.iter().copied()).collect();
    let wrong = |port: &str, message: String| {
        document.wrong(&[Step::Key("publish"), Step::Key("ports"), Step::Key(port)], message)
    };
    for (port, outside) in &site.publish.ports {
        let name = port.to_string();
        if !known.contains(&port.number()) {
            let known: Vec<String> = known.iter().map(u16::to_string).collect();
            let advice = format!("the images publish {}", known.join(", "));
            return Err(wrong(&name, "no image publishes this port".to_owned()).advice(Some(advice)).into());
        }
        let twice = |other: &&u16| **other != port.number() && site.publish.host_port(**other) == outside.get();
        if let Some(other) = known.iter().find(twice) {
            return Err(wrong(&name, format!("port {outside} of the host is already that of port {other}")).into());
        }
    }
    Ok(())
}

fn check_recipe(document: &Document, recipe: &Recipe, switches: &BTreeMap<String, bool>) -> Result<(), ConfigError> {
    if let Some(name) = recipe.feature.as_ref().filter(|name| !switches.contains_key(&enabled(name))) {
        let known = switches.keys().filter_map(|switch| switch.strip_suffix(".enabled")).map(str::to_owned);
        let known: Vec<String> = known.collect();
        return Err(unknown_name(document, &[Step::Key("feature")], "feature", name, &known).into());
    }
    let folders = recipe.rootfs_if.keys().map(|name| (name, vec![Step::Key("rootfs-if")]));
    let ports =
        recipe.service.publish_if.keys().map(|name| (name, vec![Step::Key("service"), Step::Key("publish-if")]));
    if let Some((name, mut steps)) = folders.chain(ports).find(|(name, _)| !switches.contains_key(*name)) {
        let known: Vec<String> = switches.keys().cloned().collect();
        steps.push(Step::Key(name));
        return Err(unknown_name(document, &steps, "switch", name, &known).into());
    }
    check_unique(document, "user", Some("name"), recipe.users.iter().map(|user| user.name.as_str()))?;
    check_unique(document, "user", Some("uid"), recipe.users.iter().map(|user| user.uid))?;
    check_unique(document, "group", Some("name"), recipe.groups.iter().map(|group| group.name.as_str()))?;
    check_unique(document, "group", Some("gid"), recipe.groups.iter().map(|group| group.gid))?;
    check_unique(document, "directory", Some("path"), recipe.directories.iter().map(|entry| &entry.path))?;
    check_unique(document, "file", Some("path"), recipe.files.iter().map(|entry| &entry.path))?;
    check_unique(document, "link", Some("path"), recipe.links.iter().map(|entry| &entry.path))?;
    for (name, entries) in [("labels", &recipe.image.labels), ("annotations", &recipe.image.annotations)] {
        for (key, value) in entries {
            let steps = [Step::Key("image"), Step::Key(name), Step::Key(key)];
            label::check(key, value).map_err(|error| document.wrong(&steps, error.to_string()))?;
        }
    }
    if recipe.image.entrypoint.is_empty() {
        let steps = [Step::Key("image"), Step::Key("entrypoint")];
        return Err(document.wrong(&steps, "needs at least the program").into());
    }
    Ok(())
}

/// Rejects duplicate values in the list at `list`, or in the field `field` of its tables.
fn check_unique<T: Ord>(
    document: &Document,
    list: &str,
    field: Option<&str>,
    values: impl Iterator<Item = T>,
) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for (index, value) in values.enumerate() {
        if !seen.insert(value) {
            let mut steps = vec![Step::Key(list), Step::Index(index)];
            steps.extend(field.map(Step::Key));
            return Err(document.wrong(&steps, "is a duplicate of an earlier entry").into());
        }
    }
    Ok(())
}
