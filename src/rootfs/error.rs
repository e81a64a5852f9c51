use super::{PathError, TreePath};

/// Why packages and a recipe can't be merged into a file tree.
#[derive(Debug, thiserror::Error)]
pub enum RootfsError {
    /// A package contains an invalid name.
    #[error("package {package} contains a file name that {why}: {name:?}")]
    Name { package: String, name: String, why: PathError },
    /// A package contains something other than a file, directory, link or pipe.
    #[error(
        "package {package} contains {path}, which is {kind}; images can contain only files, directories, links and \
         pipes"
    )]
    Kind { package: String, path: TreePath, kind: &'static str },
    /// A package contains a path twice.
    #[error("package {package} contains {path} twice")]
    Duplicate { package: String, path: TreePath },
    /// A package has files below its own link.
    #[error("package {package} puts {path} below its own symbolic link {link}")]
    ThroughLink { package: String, path: TreePath, link: TreePath },
    /// A file's directory is missing from its package. apk refuses this, too.
    #[error("package {package} contains {path} but not its directory")]
    NoDirectory { package: String, path: TreePath },
    /// A package has a directory where another has a link that leads nowhere.
    #[error(
        "package {package} contains the directory {path}, but {other} has a link there that doesn't lead to a directory"
    )]
    DanglingLink { package: String, path: TreePath, other: String },
    /// The target of a hard link is not an earlier file of the same package.
    #[error("package {package}: the target {target:?} of the hard link {path} is not an earlier file of the package")]
    HardlinkTarget { package: String, path: TreePath, target: String },
    /// Two packages contain different files with the same path.
    #[error("packages {first} and {second} both contain {path}, and neither replaces the other")]
    Conflict { first: String, second: String, path: TreePath },
    /// A path is a directory in one package and something else in another.
    #[error("{path} is a directory in {directory} and something else in {other}")]
    KindClash { directory: String, other: String, path: TreePath },
    /// A file that has to be read in full is too large.
    #[error("package {package}: {path} is larger than the allowed {limit} bytes")]
    TooLarge { package: String, path: TreePath, limit: u64 },
    /// The image lacks a program named in the recipe. `found` says what is there instead, or where it was searched for.
    #[error("{recipe}: {key}: the image has no file {program:?}{found}{}", did_you_mean(near))]
    NoProgram { recipe: String, key: &'static str, program: String, found: String, near: Vec<String> },
    /// The image lacks an account that the recipe names.
    #[error("{recipe}: image.user: the image has no {what} {name:?}{}", did_you_mean(near))]
    NoAccount { recipe: String, what: &'static str, name: String, near: Vec<String> },
    /// A package whose control member nobody has hashed.
    #[error("package {package} has scripts, but no checksum to file them under")]
    NoChecksum { package: String },
    /// A path that a package lists, or that an account file would have, can't be used.
    #[error("{what} {path:?} {why}")]
    RecipePath { what: &'static str, path: String, why: PathError },
    /// An owner is not an account of the recipe or of a package.
    #[error("{path} should belong to the {what} {name:?}, which neither the recipe nor a package declares")]
    UnknownOwner { path: String, what: &'static str, name: String },
    /// The recipe and a package, or two entries of the recipe, disagree about an account.
    #[error("{what} {name:?} is declared with id {declared}, but {found}")]
    Account { what: &'static str, name: String, declared: u32, found: String },
    /// An account line would be parsed as something else.
    #[error("{what} {name:?} can't be written to the account files: its {field} contains {value:?}")]
    AccountText { what: &'static str, name: String, field: &'static str, value: String },
    /// A rule is for a file that doesn't exist.
    #[error("a rule sets the mode and owner of {path}, but no package or baked file provides it")]
    RuleWithoutFile { path: String },
    /// The path of a recipe's directory, file or link is taken by something of another kind.
    #[error("the recipe's {what} {path} conflicts with {found}")]
    RecipeClash { what: &'static str, path: TreePath, found: String },
}

fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
}
