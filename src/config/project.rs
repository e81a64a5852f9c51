use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::document::{Document, Step};
use super::error::{ConfigError, Wrong};
use super::site::{LEAST_LAYERS, MOST_LAYERS};
use super::{Channel, DomainName, Recipe, RecipeChannel, Site, scripts};
use crate::similar::similar;

/// A directory with `mailimg.toml`, `recipes/`, `images/` and `apk-locks/`, read and checked.
#[derive(Debug, Clone)]
pub struct Project {
    root: Utf8PathBuf,
    site: Site,
    channel: Channel,
    recipes: BTreeMap<String, Recipe>,
}

impl Project {
    /// Reads the project in `root` with the channel that its `mailimg.toml` names.
    pub fn open(root: &Utf8Path) -> Result<Self, ConfigError> {
        Self::open_with(root, None)
    }

    /// Reads the project in `root` with another channel than its `mailimg.toml` names.
    pub fn open_with(root: &Utf8Path, channel: Option<&str>) -> Result<Self, ConfigError> {
        let path = root.join("mailimg.toml");
        if !path.exists() {
            return Err(ConfigError::NoProject { directory: root.to_owned() });
        }
        let document = Document::read(&path)?;
        let mut site: Site = document.parse()?;
        let recipes = read_recipes(&root.join("recipes"))?;
        check_site(&document, &site, &recipes)?;
        let channel = match channel {
            Some(name) => {
                let channel = read_channel(root, name)?;
                site.channel = name.parse().map_err(|_| unknown_channel(root, name))?;
                channel
            }
            None => read_channel(root, &site.channel).map_err(|error| at(&document, &[Step::Key("channel")], error))?,
        };
        Ok(Self { root: root.to_owned(), site, channel, recipes })
    }

    /// The project's directory, as it was given.
    #[must_use]
    pub fn root(&self) -> &Utf8Path {
        &self.root
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

    /// `apk-locks/<channel>`, where the channel's locks are.
    #[must_use]
    pub fn channel_dir(&self) -> Utf8PathBuf {
        self.root.join("apk-locks").join(&self.channel.name)
    }

    /// `secrets`: what is never baked. It may not exist yet.
    #[must_use]
    pub fn secrets_dir(&self) -> Utf8PathBuf {
        self.root.join("secrets")
    }

    /// `oci`: the layout that the images are built into. It may not exist yet.
    #[must_use]
    pub fn layout_dir(&self) -> Utf8PathBuf {
        self.root.join("oci")
    }

    /// The images that the site wants, in its order, without those whose feature is off.
    pub fn recipes(&self) -> impl Iterator<Item = &Recipe> {
        self.site
            .images
            .iter()
            .filter_map(|name| self.recipes.get(name.as_str()))
            .filter(|recipe| recipe.feature.is_none_or(|feature| self.site.has(feature)))
    }

    /// One recipe by name, whether or not the site wants it.
    pub fn recipe(&self, name: &str) -> Result<&Recipe, ConfigError> {
        self.recipes.get(name).ok_or_else(|| ConfigError::UnknownImage {
            name: name.to_owned(),
            known: self.recipes.keys().cloned().collect(),
        })
    }

    /// The share of `recipe` that holds for the channel in use. A recipe without any such section fits every channel.
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

fn read_recipes(directory: &Utf8Path) -> Result<BTreeMap<String, Recipe>, ConfigError> {
    let mut recipes = BTreeMap::new();
    let mut documents = Vec::new();
    for path in files_in(directory)? {
        let (Some(name), Some("toml")) = (path.file_stem(), path.extension()) else { continue };
        let document = Document::read(&path)?;
        let mut recipe: Recipe = document.parse()?;
        name.clone_into(&mut recipe.name);
        check_recipe(&document, &recipe)?;
        recipes.insert(name.to_owned(), recipe);
        documents.push((name.to_owned(), document));
    }
    for (name, document) in &documents {
        if let Some(recipe) = recipes.get(name) {
            check_dependencies(document, recipe, &recipes)?;
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

fn read_channel(root: &Utf8Path, name: &str) -> Result<Channel, ConfigError> {
    let path = root.join("apk-locks").join(name).join("channel.toml");
    if name.contains('/') || !path.exists() {
        return Err(unknown_channel(root, name));
    }
    let mut channel: Channel = Document::read(&path)?.parse()?;
    name.clone_into(&mut channel.name);
    let scripts = path.with_file_name("scripts.toml");
    if scripts.exists() {
        channel.scripts = scripts::rules(&Document::read(&scripts)?)?;
    }
    Ok(channel)
}

fn unknown_channel(root: &Utf8Path, name: &str) -> ConfigError {
    let folder = root.join("apk-locks");
    let known = files_in(&folder)
        .unwrap_or_default()
        .iter()
        .filter(|path| path.join("channel.toml").exists())
        .filter_map(|path| path.file_name().map(str::to_owned))
        .collect();
    ConfigError::UnknownChannel { name: name.to_owned(), path: folder.join(name).join("channel.toml"), known }
}

/// What is in a directory, sorted; nothing where there is no such directory.
fn files_in(directory: &Utf8Path) -> Result<Vec<Utf8PathBuf>, ConfigError> {
    let read = |source| ConfigError::Read { path: directory.to_owned(), source };
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in directory.read_dir_utf8().map_err(read)? {
        paths.push(entry.map_err(read)?.into_path());
    }
    paths.sort();
    Ok(paths)
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
    if site.domains.is_empty() {
        return Err(document.wrong(&[Step::Key("domains")], "at least one domain is needed").into());
    }
    if !(LEAST_LAYERS..=MOST_LAYERS).contains(&site.layers) {
        let message = format!(
            "an image has {LEAST_LAYERS} to {MOST_LAYERS} layers: at least one of packages and one of its own, and no \
             more than engines mount"
        );
        return Err(document.wrong(&[Step::Key("layers")], message).into());
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
    Ok(())
}

fn check_recipe(document: &Document, recipe: &Recipe) -> Result<(), ConfigError> {
    check_unique(document, "user", Some("name"), recipe.users.iter().map(|user| user.name.as_str()))?;
    check_unique(document, "user", Some("uid"), recipe.users.iter().map(|user| user.uid))?;
    check_unique(document, "group", Some("name"), recipe.groups.iter().map(|group| group.name.as_str()))?;
    check_unique(document, "group", Some("gid"), recipe.groups.iter().map(|group| group.gid))?;
    check_unique(document, "directory", Some("path"), recipe.directories.iter().map(|entry| &entry.path))?;
    check_unique(document, "file", Some("path"), recipe.files.iter().map(|entry| &entry.path))?;
    check_unique(document, "link", Some("path"), recipe.links.iter().map(|entry| &entry.path))?;
    if recipe.image.entrypoint.is_empty() {
        let steps = [Step::Key("image"), Step::Key("entrypoint")];
        return Err(document.wrong(&steps, "at least the program is needed").into());
    }
    Ok(())
}

/// Refuses the second of two equal values in the list at `list`, or in the field `field` of its tables.
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
            return Err(document.wrong(&steps, "is there already, further up").into());
        }
    }
    Ok(())
}
