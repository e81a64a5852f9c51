use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Deserialize;

use super::{Accounts, AccountsError, AliasSource, Destination, parse};
use crate::config::Address;

/// Where mail to which address goes, as Postfix decides it: an alias before the user of the same name, then
/// postmaster@ and abuse@, then the domain's catch-all.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    domains: BTreeSet<String>,
    postmaster: Option<String>,
    /// All users, and whether each is active.
    users: BTreeMap<String, bool>,
    aliases: BTreeMap<String, Vec<String>>,
}

/// What the database returns, one per line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Row {
    Domain(String),
    User(String, u8),
    Alias(String, String),
}

/// Where mail goes next.
#[derive(Debug, PartialEq, Eq)]
enum Next<'a> {
    /// To another server.
    Outside,
    /// Into a mailbox.
    Mailbox,
    /// To other addresses, by the alias of this name.
    Alias(&'a str, &'a [String]),
    /// To whoever is the site's postmaster.
    Postmaster(&'a str),
    Nowhere,
}

impl Accounts {
    /// All routes of the server.
    pub fn routes(&self) -> Result<Routes, AccountsError> {
        let query = "SELECT JSON_OBJECT('domain', name) FROM virtual_domains WHERE active = 1;\n\
                     SELECT JSON_OBJECT('user', JSON_ARRAY(email, active)) FROM virtual_users;\n\
                     SELECT JSON_OBJECT('alias', JSON_ARRAY(source, destination)) FROM virtual_aliases \
                     ORDER BY source, destination";
        let postmaster = self.project.site().postmaster.as_ref().map(Address::to_string);
        let mut routes = Routes { postmaster, ..Routes::default() };
        for row in self.rows(query)? {
            match parse(&row)? {
                Row::Domain(name) => {
                    routes.domains.insert(name);
                }
                Row::User(address, active) => {
                    routes.users.insert(address, active != 0);
                }
                Row::Alias(source, destination) => routes.aliases.entry(source).or_default().push(destination),
            }
        }
        Ok(routes)
    }
}

impl Routes {
    /// The same with more destinations of an alias.
    #[must_use]
    pub fn with(mut self, source: &AliasSource, destinations: &[Destination]) -> Self {
        let known = self.aliases.entry(source.to_string()).or_default();
        known.extend(destinations.iter().map(ToString::to_string));
        self
    }

    /// The site's postmaster, if mail for postmaster@ and abuse@ would be refused for lack of a reader.
    #[must_use]
    pub fn missing_postmaster(&self) -> Option<&str> {
        self.postmaster.as_deref().filter(|address| !self.is_answered(address))
    }

    /// Where mail goes instead of to the user of that name.
    #[must_use]
    pub fn alias_instead_of(&self, user: &str) -> Option<&[String]> {
        self.aliases.get(user).filter(|to| !to.iter().any(|to| to == user)).map(Vec::as_slice)
    }

    /// Whether an alias takes the mail of the user of the same name.
    pub(super) fn hides_user(&self, address: &str) -> bool {
        self.users.contains_key(address) && self.alias_instead_of(address).is_some()
    }

    /// Whether mail for an address reaches a mailbox or another server.
    #[must_use]
    pub fn is_answered(&self, address: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![address];
        while let Some(address) = waiting.pop() {
            if !seen.insert(address) {
                continue;
            }
            match self.next(address) {
                Next::Outside | Next::Mailbox => return true,
                Next::Alias(name, _) if self.keeps_a_copy(name) => return true,
                Next::Alias(_, to) => waiting.extend(to.iter().map(String::as_str)),
                Next::Postmaster(address) => waiting.push(address),
                Next::Nowhere => {}
            }
        }
        false
    }

    /// The addresses through which mail to an alias comes back to it, if it does.
    pub(super) fn circle(&self, source: &AliasSource) -> Option<Vec<String>> {
        let name = source.to_string();
        if self.keeps_a_copy(&name) {
            return None;
        }
        // Each address that mail comes to, and the position of the one before it.
        let mut steps: Vec<(&str, Option<usize>)> = Vec::new();
        let mut waiting: VecDeque<(&str, Option<usize>)> =
            self.aliases.get(&name)?.iter().map(|to| (to.as_str(), None)).collect();
        let mut seen = BTreeSet::new();
        while let Some((address, before)) = waiting.pop_front() {
            if !seen.insert(address) {
                continue;
            }
            steps.push((address, before));
            let here = Some(steps.len() - 1);
            match self.next(address) {
                Next::Alias(found, _) if found == name => return Some(path(&name, &steps)),
                Next::Alias(found, to) if !self.keeps_a_copy(found) => {
                    waiting.extend(to.iter().map(|to| (to.as_str(), here)));
                }
                Next::Postmaster(to) => waiting.push_back((to, here)),
                _ => {}
            }
        }
        None
    }

    /// An alias that is a destination of itself stops there, with a copy in the mailbox of that name.
    fn keeps_a_copy(&self, name: &str) -> bool {
        let itself = || self.aliases.get(name).is_some_and(|to| to.iter().any(|to| to == name));
        self.users.get(name).copied().unwrap_or_default() && itself()
    }

    fn next<'a>(&'a self, address: &'a str) -> Next<'a> {
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        if !self.domains.contains(domain) {
            return Next::Outside;
        }
        let untagged = format!("{}@{domain}", local.split('+').next().unwrap_or_default());
        if let Some((name, to)) = self.aliases.get_key_value(&untagged) {
            return Next::Alias(name, to);
        }
        if self.users.get(&untagged).copied().unwrap_or_default() {
            return Next::Mailbox;
        }
        if let Some(postmaster) = self.stands_in(&untagged) {
            return Next::Postmaster(postmaster);
        }
        match self.aliases.get_key_value(&format!("@{domain}")) {
            Some((name, to)) => Next::Alias(name, to),
            None => Next::Nowhere,
        }
    }

    /// The site's postmaster, for postmaster@ and abuse@, unless there is no such address.
    fn stands_in(&self, address: &str) -> Option<&str> {
        let is_role = address.starts_with("postmaster@") || address.starts_with("abuse@");
        self.postmaster.as_deref().filter(|postmaster| is_role && *postmaster != address && self.exists(postmaster))
    }

    fn exists(&self, address: &str) -> bool {
        let domain = address.rsplit('@').next().unwrap_or_default();
        !self.domains.contains(domain)
            || self.users.get(address).copied().unwrap_or_default()
            || self.aliases.contains_key(address)
            || self.aliases.contains_key(&format!("@{domain}"))
    }
}

/// The way from an alias to the last step, and back: that is the alias itself, or an address that the alias takes.
fn path(name: &str, steps: &[(&str, Option<usize>)]) -> Vec<String> {
    let mut path = Vec::new();
    if steps.last().is_none_or(|(address, _)| *address != name) {
        path.push(name.to_owned());
    }
    let mut position = steps.len().checked_sub(1);
    while let Some((address, before)) = position.and_then(|position| steps.get(position)) {
        path.push((*address).to_owned());
        position = *before;
    }
    path.push(name.to_owned());
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// example.org with the active users alice and bob, the inactive carol, and these aliases.
    fn routes(aliases: &[(&str, &str)]) -> Routes {
        let at = |name: &str| if name.contains('@') { name.to_owned() } else { format!("{name}@example.org") };
        let mut routes = Routes {
            domains: ["example.org".to_owned()].into(),
            users: [("alice", true), ("bob", true), ("carol", false)].map(|(name, active)| (at(name), active)).into(),
            ..Routes::default()
        };
        for (source, destination) in aliases {
            routes.aliases.entry(at(source)).or_default().push(at(destination));
        }
        routes
    }

    fn circle(aliases: &[(&str, &str)], source: &str) -> Option<String> {
        let source = if source.contains('@') { source.to_owned() } else { format!("{source}@example.org") };
        let path = routes(aliases).circle(&source.parse().unwrap())?;
        Some(path.join(" ").replace("@example.org", ""))
    }

    #[test]
    fn circles_are_found_through_aliases_tags_and_catch_alls() {
        let found = |aliases: &[(&str, &str)], source| circle(aliases, source).unwrap();
        assert_eq!(found(&[("a", "a")], "a"), "a a");
        assert_eq!(found(&[("a", "b"), ("b", "alice"), ("b", "c"), ("c", "a")], "a"), "a b c a");
        assert_eq!(found(&[("a", "b+x"), ("b", "a")], "a"), "a b+x a");
        assert_eq!(found(&[("a", "typo"), ("@example.org", "a")], "a"), "a typo a");
        assert_eq!(circle(&[("@example.org", "typo")], "@example.org").unwrap(), " typo ");
        // Mail to carol, who is inactive, would come back for ever.
        assert_eq!(found(&[("carol", "carol")], "carol"), "carol carol");
    }

    #[test]
    fn mail_that_ends_somewhere_is_no_circle() {
        for (aliases, source) in [
            (&[("a", "alice"), ("b", "a")][..], "b"),
            // A copy stays with the user, and the way ends there.
            (&[("alice", "alice"), ("alice", "bob")], "alice"),
            (&[("alice", "alice"), ("alice", "bob"), ("bob", "alice")], "bob"),
            (&[("@example.org", "alice")], "@example.org"),
            (&[("a", "a@example.net")], "a"),
            // A circle that was there before, which mail to this alias also reaches, is not this alias's.
            (&[("a", "b"), ("b", "c"), ("c", "b")], "a"),
        ] {
            assert_eq!(circle(aliases, source), None, "{aliases:?}");
        }
    }

    #[test]
    fn an_address_is_answered_by_a_mailbox_or_another_server() {
        let routes = routes(&[("team", "nobody"), ("team", "bob"), ("dead", "nobody"), ("x", "y"), ("y", "x")]);
        for (name, answered) in [
            ("alice", true),
            ("alice+tag", true),
            ("carol", false),
            ("nobody", false),
            ("team", true),
            ("dead", false),
            ("x", false),
        ] {
            assert_eq!(routes.is_answered(&format!("{name}@example.org")), answered, "{name}");
        }
        assert!(routes.is_answered("anybody@example.net"));
    }

    #[test]
    fn postmaster_needs_a_reader_unless_a_catch_all_is_one() {
        let mut routes = routes(&[]);
        assert_eq!(routes.missing_postmaster(), None);
        routes.postmaster = Some("admin@example.org".to_owned());
        assert_eq!(routes.missing_postmaster(), Some("admin@example.org"));
        assert!(!routes.is_answered("abuse@example.org"));
        let caught = routes.clone().with(&"@example.org".parse().unwrap(), &["alice@example.org".parse().unwrap()]);
        assert!(caught.missing_postmaster().is_none() && caught.is_answered("abuse@example.org"));
        routes.postmaster = Some("alice@example.org".to_owned());
        assert!(routes.missing_postmaster().is_none() && routes.is_answered("postmaster@example.org"));
    }

    #[test]
    fn an_alias_takes_the_mail_of_the_user_of_its_name() {
        let routes = routes(&[("alice", "bob"), ("bob", "bob"), ("bob", "alice")]);
        assert!(routes.hides_user("alice@example.org") && !routes.hides_user("bob@example.org"));
        assert_eq!(routes.alias_instead_of("alice@example.org"), Some(&["bob@example.org".to_owned()][..]));
    }
}
