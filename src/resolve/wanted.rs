use super::ResolveError;
use crate::apk::Dependency;
use crate::config::{Group, Project, Recipe, User};
use crate::lock::Lock;

/// What an image requests from a channel.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub image: String,
    /// Requested dependencies, sorted.
    pub world: Vec<Dependency>,
    pub groups: Vec<Group>,
    pub users: Vec<User>,
}

impl Wanted {
    /// What `recipe` requests from the project's channel.
    pub fn of(project: &Project, recipe: &Recipe) -> Result<Self, ResolveError> {
        let share = project.channel_of(recipe)?;
        let texts = recipe.world.iter().chain(share.iter().flat_map(|share| &share.world));
        let parse = |text: &String| {
            let error = |source| ResolveError::World { image: recipe.name.clone(), text: text.clone(), source };
            text.parse::<Dependency>().map_err(error)
        };
        let mut world = texts.map(parse).collect::<Result<Vec<_>, _>>()?;
        world.sort_by_cached_key(|dependency| (dependency.name.clone(), dependency.to_string()));
        world.dedup();
        let (groups, users) = (recipe.groups.clone(), recipe.users.clone());
        Ok(Self { image: recipe.name.clone(), world, groups, users })
    }

    /// Whether a lock was made for this.
    #[must_use]
    pub fn is_locked_by(&self, lock: &Lock) -> bool {
        self.world == lock.world && self.groups == lock.groups && self.users == lock.users
    }
}
