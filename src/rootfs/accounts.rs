use std::collections::HashMap;

use super::RootfsError;
use crate::config::{Group, User};

/// The ids of users and groups, as in `etc/passwd` and `etc/group`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    users: HashMap<String, u32>,
    groups: HashMap<String, u32>,
}

impl Accounts {
    /// Adds the accounts in the file at `path`, if it is one of the two. The first line for a name counts.
    pub(super) fn read(&mut self, path: &[u8], content: &[u8]) {
        let map = match path {
            b"etc/passwd" => &mut self.users,
            b"etc/group" => &mut self.groups,
            _ => return,
        };
        for line in String::from_utf8_lossy(content).lines() {
            let mut fields = line.split(':');
            let (Some(name), Some(_), Some(id)) = (fields.next(), fields.next(), fields.next()) else { continue };
            if let Ok(id) = id.parse()
                && !name.is_empty()
            {
                map.entry(name.to_owned()).or_insert(id);
            }
        }
    }

    #[must_use]
    pub fn uid(&self, name: &str) -> Option<u32> {
        self.users.get(name).copied()
    }

    #[must_use]
    pub fn gid(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied()
    }

    /// Names of all users.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str)
    }

    /// Names of all groups.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// Adds a recipe's accounts. Existing ones must have the same ids.
    pub fn declare(&mut self, users: &[User], groups: &[Group]) -> Result<(), RootfsError> {
        for group in groups {
            declare(&mut self.groups, "group", &group.name, group.gid)?;
        }
        for user in users {
            declare(&mut self.users, "user", &user.name, user.uid)?;
        }
        Ok(())
    }
}

fn declare(map: &mut HashMap<String, u32>, what: &'static str, name: &str, declared: u32) -> Result<(), RootfsError> {
    let error = |found| RootfsError::Account { what, name: name.to_owned(), declared, found };
    match map.get(name) {
        Some(&id) if id == declared => return Ok(()),
        Some(id) => return Err(error(format!("it already has id {id}"))),
        None => {}
    }
    // Two names for one id would make owners ambiguous.
    if let Some((other, _)) = map.iter().filter(|(_, id)| **id == declared).min() {
        return Err(error(format!("{other} already has that id")));
    }
    map.insert(name.to_owned(), declared);
    Ok(())
}

/// The three account files of an image: the packages' accounts, then the recipe's.
#[derive(Debug, Clone, Default)]
pub(super) struct AccountFiles {
    pub(super) passwd: String,
    pub(super) group: String,
    pub(super) shadow: String,
}

impl AccountFiles {
    /// Adds missing accounts. `accounts` contains all of them.
    pub(super) fn add(&mut self, users: &[User], groups: &[Group], accounts: &Accounts) -> Result<(), RootfsError> {
        for group in groups {
            check_text("group", &group.name, "name", &group.name)?;
            for member in &group.members {
                check_text("group", &group.name, "members", member)?;
            }
            if !has_line(&self.group, &group.name) {
                push_line(&mut self.group, &format!("{}:x:{}:", group.name, group.gid));
            }
            add_members(&mut self.group, &group.name, &group.members);
        }
        for user in users {
            for (field, value) in
                [("name", &user.name), ("gecos", &user.gecos), ("home", &user.home), ("shell", &user.shell)]
            {
                check_text("user", &user.name, field, value)?;
            }
            let gid = accounts.gid(&user.group).ok_or_else(|| RootfsError::UnknownOwner {
                path: format!("user {}", user.name),
                what: "group",
                name: user.group.clone(),
            })?;
            if !has_line(&self.passwd, &user.name) {
                let User { name, uid, gecos, home, shell, .. } = user;
                push_line(&mut self.passwd, &format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}"));
            }
            if !has_line(&self.shadow, &user.name) {
                push_line(&mut self.shadow, &format!("{}:!::0:::::", user.name));
            }
        }
        Ok(())
    }
}

fn check_text(what: &'static str, name: &str, field: &'static str, value: &str) -> Result<(), RootfsError> {
    let is_name = matches!(field, "name" | "members");
    let bad = |c: char| c == ':' || c.is_control() || (is_name && (c.is_whitespace() || c == ',' || c == '/'));
    if (is_name && (value.is_empty() || value.starts_with('-'))) || value.contains(bad) {
        return Err(RootfsError::AccountText { what, name: name.to_owned(), field, value: value.to_owned() });
    }
    Ok(())
}

fn has_line(file: &str, name: &str) -> bool {
    file.lines().any(|line| line.split(':').next() == Some(name))
}

fn push_line(file: &mut String, line: &str) {
    if !file.is_empty() && !file.ends_with('\n') {
        file.push('\n');
    }
    file.push_str(line);
    file.push('\n');
}

fn add_members(file: &mut String, group: &str, members: &[String]) {
    let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
    for line in lines.iter_mut().filter(|line| line.split(':').next() == Some(group)) {
        let present: Vec<String> = line.rsplit(':').next().unwrap_or_default().split(',').map(str::to_owned).collect();
        for member in members.iter().filter(|member| !present.contains(member)) {
            if !line.ends_with(':') {
                line.push(',');
            }
            line.push_str(member);
        }
    }
    *file = lines.join("\n");
    if !file.is_empty() {
        file.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, uid: u32, group: &str) -> User {
        User {
            name: name.to_owned(),
            uid,
            group: group.to_owned(),
            gecos: "Some one".to_owned(),
            home: "/var/empty".to_owned(),
            shell: "/sbin/nologin".to_owned(),
        }
    }

    fn group(name: &str, gid: u32, members: &[&str]) -> Group {
        Group { name: name.to_owned(), gid, members: members.iter().map(|&m| m.to_owned()).collect() }
    }

    #[test]
    fn the_first_line_of_a_name_counts_and_bad_lines_do_not() {
        let mut accounts = Accounts::default();
        accounts.read(b"etc/passwd", b"root:x:0:0::/:\nfoo:x:12:1::/:\nfoo:x:13:1::/:\nbad\nneg:x:-5:1::/:\n");
        accounts.read(b"etc/group", b"foo:x:99:\n");
        accounts.read(b"etc/other", b"bar:x:1:\n");
        assert_eq!((accounts.uid("foo"), accounts.gid("foo")), (Some(12), Some(99)));
        assert_eq!((accounts.uid("bad"), accounts.uid("neg"), accounts.gid("bar")), (None, None, None));
    }

    #[test]
    fn a_recipe_may_not_give_a_name_or_number_twice() {
        let mut accounts = Accounts::default();
        accounts.read(b"etc/passwd", b"mail:x:8:12::/:\n");
        assert!(accounts.declare(&[user("mail", 8, "mail")], &[]).is_ok());
        let taken = accounts.declare(&[user("mail", 9, "mail")], &[]).unwrap_err();
        assert_eq!(taken.to_string(), r#"user "mail" is declared with id 9, but it already has id 8"#);
        let shared = accounts.declare(&[user("vmail", 8, "mail")], &[]).unwrap_err();
        assert_eq!(shared.to_string(), r#"user "vmail" is declared with id 8, but mail already has that id"#);
    }

    #[test]
    fn account_files_get_what_is_missing() {
        let mut files = AccountFiles {
            passwd: "root:x:0:0::/root:/bin/sh".to_owned(),
            group: "root:x:0:root\nmail:x:12:\n".to_owned(),
            shadow: "root:*::0:::::\n".to_owned(),
        };
        let (users, groups) =
            ([user("postfix", 100, "postfix")], [group("postfix", 101, &[]), group("mail", 12, &["postfix"])]);
        let mut accounts = Accounts::default();
        accounts.read(b"etc/group", files.group.as_bytes());
        accounts.declare(&users, &groups).unwrap();
        files.add(&users, &groups, &accounts).unwrap();
        files.add(&users, &groups, &accounts).unwrap();
        assert_eq!(files.passwd, "root:x:0:0::/root:/bin/sh\npostfix:x:100:101:Some one:/var/empty:/sbin/nologin\n");
        assert_eq!(files.group, "root:x:0:root\nmail:x:12:postfix\npostfix:x:101:\n");
        assert_eq!(files.shadow, "root:*::0:::::\npostfix:!::0:::::\n");
    }

    #[test]
    fn text_that_would_start_another_field_or_line_is_refused() {
        let accounts = Accounts { groups: [("g".to_owned(), 1)].into(), ..Accounts::default() };
        for bad in [User { gecos: "a:b".to_owned(), ..user("u", 1, "g") }, user("a\nroot", 1, "g"), user("", 1, "g")] {
            let error = AccountFiles::default().add(&[bad], &[], &accounts).unwrap_err();
            assert!(matches!(error, RootfsError::AccountText { .. }), "{error}");
        }
    }
}
