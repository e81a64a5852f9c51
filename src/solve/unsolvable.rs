use std::fmt;

use crate::apk::Dependency;

/// The requested packages can't be installed together, as far as apk can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsolvable {
    /// A part of the world that has no solution, and would have one if any of it were left out.
    pub world: Vec<Dependency>,
    /// What is in the way, the causes.
    pub problems: Vec<Problem>,
}

/// A requirement that can't be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The requirement.
    pub requirement: Dependency,
    /// What leads to it: a dependency of the world, then packages, each a requirement of the one before. The last one
    /// requires it; if there is none, the world does.
    pub chain: Vec<String>,
    /// Why it can't be fulfilled.
    pub reasons: Vec<Reason>,
}

/// Why a requirement can't be fulfilled, or not by one of the packages that could.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nothing of that name is in any repository.
    Unknown {
        /// The name.
        name: String,
        /// What is there and looks like it: the provided name, and the package.
        similar: Vec<(String, String)>,
    },
    /// The world asks for a tag that no repository has.
    UnknownTag {
        /// The tag.
        tag: String,
    },
    /// There are packages of that name, of other versions.
    OtherVersions {
        /// What is there.
        there: Vec<String>,
        /// What was asked for.
        asked: String,
    },
    /// Packages provide it without a version and without a priority, so none is taken unless it is named.
    ChooseOne {
        /// The packages to choose from.
        packages: Vec<String>,
    },
    /// The package would do, but is only in a repository with a tag.
    Tagged {
        /// The package.
        package: String,
        /// The tag.
        tag: String,
    },
    /// The package would do, but not on this machine.
    Architecture {
        /// The package.
        package: String,
        /// What it is for.
        arch: String,
    },
    /// The package has a field in the index that is not known here.
    Unsupported {
        /// The package.
        package: String,
        /// The field.
        field: char,
    },
    /// The package would do, but is not what something else requires.
    Contradicts {
        /// The package.
        package: String,
        /// What else is required.
        requirement: Dependency,
        /// What leads to that, see [`Problem::chain`].
        chain: Vec<String>,
    },
    /// It is a conflict, with a package that is needed.
    Selected {
        /// The package.
        package: String,
        /// What leads to it, see [`Problem::chain`].
        chain: Vec<String>,
    },
    /// The package would do, but conflicts with a selected one.
    Conflicts {
        /// The package.
        package: String,
        /// The dependency of it that is a conflict.
        conflict: Dependency,
        /// The selected package.
        with: String,
        /// What leads to that, see [`Problem::chain`].
        chain: Vec<String>,
    },
    /// The package would do, but provides something that a selected package provides as well.
    SameName {
        /// The package.
        package: String,
        /// What both provide.
        name: String,
        /// The selected package.
        with: String,
        /// What leads to that, see [`Problem::chain`].
        chain: Vec<String>,
    },
    /// The package would do, but requires something that can't be fulfilled.
    Needs {
        /// The package.
        package: String,
        /// What it requires.
        requirement: Dependency,
        /// Why that can't be fulfilled.
        reasons: Vec<Reason>,
    },
    /// The package would do, but had been given up when it turned out to be needed: apk never takes a choice back.
    GivenUp {
        /// The package.
        package: String,
    },
}

impl std::error::Error for Unsolvable {}

impl fmt::Display for Unsolvable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world: Vec<String> = self.world.iter().map(ToString::to_string).collect();
        match &world[..] {
            [one] => write!(f, "{one} can't be installed")?,
            _ => write!(f, "these can't be installed together: {}", world.join(", "))?,
        }
        for problem in &self.problems {
            write!(f, "\n  {}, {}", problem.requirement, Asked("", &problem.chain))?;
            write_reasons(f, &problem.reasons, 4)?;
        }
        Ok(())
    }
}

fn write_reasons(f: &mut fmt::Formatter<'_>, reasons: &[Reason], indent: usize) -> fmt::Result {
    for reason in reasons {
        write!(f, "\n{:indent$}{reason}", "")?;
        if let Reason::Needs { reasons, .. } = reason {
            write_reasons(f, reasons, indent + 2)?;
        }
    }
    Ok(())
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, similar } => {
                write!(f, "no package provides {name}")?;
                for (number, (provided, package)) in similar.iter().enumerate() {
                    let separator = if number == 0 { "; " } else { ", " };
                    write!(f, "{separator}{package} provides {provided}")?;
                }
                Ok(())
            }
            Self::UnknownTag { tag } => write!(f, "no repository has the tag @{tag}"),
            Self::OtherVersions { there, asked } => {
                let verb = if there.len() == 1 { "is" } else { "are" };
                write!(f, "{} {verb} there, {asked} was asked for", there.join(", "))
            }
            Self::ChooseOne { packages } => {
                write!(f, "none of those that provide it is the default: choose one of {}", packages.join(", "))
            }
            Self::Tagged { package, tag } => {
                write!(f, "{package} is only in the repository tagged @{tag}, which nothing asks for")
            }
            Self::Architecture { package, arch } => write!(f, "{package} is for {arch}"),
            Self::Unsupported { package, field } => {
                write!(f, "{package} has the field {field}: in the index, which mailimg does not know")
            }
            Self::Contradicts { package, requirement, chain } => {
                write!(f, "{package} is ruled out by {requirement}, {}", Asked("", chain))
            }
            Self::Selected { package, chain } => write!(f, "there is {package}, {}", Asked(package, chain)),
            Self::Conflicts { package, conflict, with, chain } => {
                write!(f, "{package} has the conflict {conflict} with {with}, {}", Asked(with, chain))
            }
            Self::SameName { package, name, with, chain } => {
                write!(f, "{package} provides {name}, and so does {with}, {}", Asked(with, chain))
            }
            Self::Needs { package, requirement, .. } => write!(f, "{package} needs {requirement}"),
            Self::GivenUp { package } => write!(
                f,
                "{package} was given up before it turned out to be needed; ask for it by name to have it considered first"
            ),
        }
    }
}

/// Says who asks for something: what, and what leads to it.
struct Asked<'a>(&'a str, &'a [String]);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what, chain) = self;
        f.write_str("which is ")?;
        let Some((world, packages)) = chain.split_first() else { return f.write_str("asked for") };
        for package in packages.iter().rev() {
            write!(f, "needed by {package}, ")?;
        }
        if !packages.is_empty() {
            f.write_str("which is ")?;
        }
        let first = packages.first().map_or(*what, String::as_str);
        let is_itself = first.strip_prefix(world.as_str()).is_some_and(|rest| rest.starts_with('-'));
        if is_itself { f.write_str("asked for") } else { write!(f, "asked for by {world}") }
    }
}
