//! The site's secrets, as its recipes declare them: one table of names and kinds.

use std::collections::BTreeMap;

use super::document::{Document, Step};
use super::error::Wrong;
use super::{Name, Recipe, SecretKind};

/// A secret that images of the site ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret<'a> {
    /// Name of its file.
    pub name: &'a Name,
    /// What it is.
    pub kind: SecretKind,
    /// The images that get it.
    pub images: Vec<&'a str>,
}

/// The secrets of these recipes, each once, in the order in which they are first named.
pub(super) fn table<'a>(recipes: impl Iterator<Item = &'a Recipe>) -> Vec<Secret<'a>> {
    let mut secrets: Vec<Secret<'a>> = Vec::new();
    for recipe in recipes {
        for (name, kind) in &recipe.service.secrets {
            match secrets.iter_mut().find(|secret| secret.name == name) {
                Some(secret) => secret.images.push(&recipe.name),
                None => secrets.push(Secret { name, kind: *kind, images: vec![&recipe.name] }),
            }
        }
    }
    secrets
}

/// Checks that a project's recipes agree about their secrets.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Name to its kind, and the recipe that was the first to say so.
    known: BTreeMap<Name, (SecretKind, String)>,
}

impl Checked {
    /// Checks one more recipe against those before.
    pub(super) fn check(&mut self, document: &Document, recipe: &Recipe) -> Result<(), Box<Wrong>> {
        for (name, kind) in &recipe.service.secrets {
            let wrong = |message: String| {
                document.wrong(&[Step::Key("service"), Step::Key("secrets"), Step::Key(name)], message)
            };
            match self.known.get(name) {
                Some((other, owner)) if other != kind => {
                    return Err(wrong(format!("is another kind of secret in recipes/{owner}.toml")));
                }
                Some((SecretKind::Certificate, owner)) => {
                    return Err(wrong(format!("is the certificate of {owner}: each service needs its own")));
                }
                _ => {}
            }
            let authority = || self.known.iter().find(|(_, (kind, _))| *kind == SecretKind::Authority);
            if let (SecretKind::Authority, Some((other, _))) = (kind, authority().filter(|(other, _)| *other != name)) {
                return Err(wrong(format!("is a second authority next to {other}: a site can have only one")));
            }
            self.known.insert(name.clone(), (*kind, recipe.name.clone()));
        }
        Ok(())
    }
}
