use super::{PathError, TreePath};

/// Why packages and a recipe make no file tree.
#[derive(Debug, thiserror::Error)]
pub enum RootfsError {
    /// A name that must not be in a package.
    #[error("package {package} holds a file whose name {name:?} {why}")]
    Name {
        /// The package.
        package: String,
        /// The name, cut to a sensible length.
        name: String,
        /// What is wrong with it.
        why: PathError,
    },
    /// Something that is no file, directory, link or pipe.
    #[error("package {package} holds {path}, which is {kind}; images take files, directories, links and pipes only")]
    Kind {
        /// The package.
        package: String,
        /// Where.
        path: TreePath,
        /// What it is.
        kind: &'static str,
    },
    /// One package, one path, two entries.
    #[error("package {package} holds {path} twice")]
    Duplicate {
        /// The package.
        package: String,
        /// Where.
        path: TreePath,
    },
    /// A package whose own link leads elsewhere what it puts under it.
    #[error("package {package} puts {path} through its own symbolic link {link}")]
    ThroughLink {
        /// The package.
        package: String,
        /// The entry.
        path: TreePath,
        /// The link on the way.
        link: TreePath,
    },
    /// A file in a directory that its package doesn't declare; apk refuses it, too.
    #[error("package {package} holds {path} but no entry for the directory that it is in")]
    NoDirectory {
        /// The package.
        package: String,
        /// The entry.
        path: TreePath,
    },
    /// A directory of one package where another package's link leads nowhere.
    #[error("package {package} holds the directory {path}, where the link of {other} leads to no directory")]
    DanglingLink {
        /// The package.
        package: String,
        /// The directory.
        path: TreePath,
        /// The link's package.
        other: String,
    },
    /// A hard link to something that is no earlier file of the same package.
    #[error("package {package}: hard link {path} has no target {target:?} among the package's own files before it")]
    HardlinkTarget {
        /// The package.
        package: String,
        /// The link.
        path: TreePath,
        /// What it links to, as written.
        target: String,
    },
    /// Two packages bring different files under one name.
    #[error("packages {first} and {second} both bring {path}, and neither replaces the other")]
    Conflict {
        /// The one installed first.
        first: String,
        /// The one installed second.
        second: String,
        /// The contested path.
        path: TreePath,
    },
    /// A directory here, something else there.
    #[error("{path} is a directory in {directory} and something else in {other}")]
    KindClash {
        /// Who has a directory.
        directory: String,
        /// Who has something else.
        other: String,
        /// The contested path.
        path: TreePath,
    },
    /// A file that has to be read as a whole is too large for that.
    #[error("package {package}: {path} is larger than the {limit} bytes that are sensible for it")]
    TooLarge {
        /// The package.
        package: String,
        /// Where.
        path: TreePath,
        /// The most that is read.
        limit: u64,
    },
    /// A package whose control member nobody has hashed.
    #[error("package {package} has scripts, but no checksum to file them under")]
    NoChecksum {
        /// The package.
        package: String,
    },
    /// A path that a package lists, or that an account file would have, can't be used.
    #[error("{what} {path:?} {why}")]
    RecipePath {
        /// `directory`, `file`, …
        what: &'static str,
        /// As written.
        path: String,
        /// What is wrong with it.
        why: PathError,
    },
    /// A name that is in neither the recipe's nor the packages' accounts.
    #[error("{path} is to belong to the {what} {name:?}, which neither the recipe nor a package declares")]
    UnknownOwner {
        /// Whose.
        path: String,
        /// `user` or `group`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The recipe and a package, or two entries of a recipe, disagree about an account.
    #[error("{what} {name:?} is declared with number {declared}, but {found}")]
    Account {
        /// `user` or `group`.
        what: &'static str,
        /// The name.
        name: String,
        /// The recipe's number.
        declared: u32,
        /// What stands against it.
        found: String,
    },
    /// An account line that would be read as something else.
    #[error("{what} {name:?} can't be written to the account files: {field} holds {value:?}")]
    AccountText {
        /// `user` or `group`.
        what: &'static str,
        /// The name.
        name: String,
        /// Which field.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// A rule for a file that nothing brings.
    #[error("a rule sets the mode and owner of {path}, but no package or baked file brings it")]
    RuleWithoutFile {
        /// As written.
        path: String,
    },
    /// A recipe's directory, file or link is in the way of something of another kind.
    #[error("{what} {path} of the recipe stands where {found} is")]
    RecipeClash {
        /// `directory`, `link`, …
        what: &'static str,
        /// Where.
        path: TreePath,
        /// What is there.
        found: String,
    },
}
