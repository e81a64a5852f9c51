use std::fmt;

use crate::apk::Dependency;
use crate::apk::index::LeftOut;

/// The requested packages can't be installed together, as far as apk can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsolvable {
    /// A minimal part of the world without a solution: removing any of it gives one.
    pub world: Vec<Dependency>,
    /// The first problems.
    pub problems: Vec<Problem>,
    /// How many requirements can't be met besides.
    pub more: usize,
}

/// A requirement that can't be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub requirement: Dependency,
    /// What leads to it: a dependency of the world, then packages, each required by the one before. The last one has
    /// the requirement; if the chain is empty, the world has.
    pub chain: Vec<String>,
    /// Why it can't be fulfilled.
    pub reasons: Vec<Reason>,
}

/// Why a requirement can't be met, or not by one of the candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nothing of that name is in any repository.
    Unknown {
        name: String,
        /// Similar names: the provided name and the package.
        similar: Vec<(String, String)>,
    },
    /// The world asks for a tag that no repository has.
    UnknownTag { tag: String },
    /// Packages of that name exist, but only in other versions.
    OtherVersions {
        there: Vec<String>,
        /// What was asked for.
        asked: String,
    },
    /// Packages provide it without a version or a priority, so none is chosen unless it is requested by name.
    ChooseOne {
        /// The packages to choose from.
        packages: Vec<String>,
    },
    /// The package would match, but is only in a tagged repository.
    Tagged { package: String, tag: String },
    /// The package would match, but is for another architecture.
    Architecture { package: String, arch: String },
    /// The package's entry in the index can't be read.
    LeftOut(LeftOut),
    /// The package has an unknown field in the index.
    Unsupported { package: String, field: char },
    /// The package would match, but contradicts another requirement.
    Contradicts {
        package: String,
        /// What else is required.
        requirement: Dependency,
        /// What leads to that, see [`Problem::chain`].
        chain: Vec<String>,
    },
    /// It is a conflict with a required package.
    Selected {
        package: String,
        /// What leads to it, see [`Problem::chain`].
        chain: Vec<String>,
    },
    /// The package would match, but conflicts with a selected one.
    Conflicts {
        package: String,
        conflict: Dependency,
        with: String,
        /// What leads to that, see [`Problem::chain`].
        chain: Vec<String>,
    },
    /// The package would match, but provides a name that a selected package also provides.
    SameName {
        package: String,
        name: String,
        with: String,
        /// What leads to that, see [`Problem::chain`].
        chain: Vec<String>,
    },
    /// The package provides the name twice, at least once with a version, and so conflicts with itself.
    Itself { package: String, name: String },
    /// The package would match, but has a requirement that can't be met.
    Needs {
        package: String,
        requirement: Dependency,
        /// Why that can't be met.
        reasons: Vec<Reason>,
    },
    /// The package would match, but was ruled out before it turned out to be required: apk never revises a choice.
    GivenUp { package: String },
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
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n  … and {more} more"),
        }
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
                write!(f, "{} {verb} available, but {asked} is required", there.join(", "))
            }
            Self::ChooseOne { packages } => {
                write!(f, "no package that provides it is the default: choose one of {}", packages.join(", "))
            }
            Self::Tagged { package, tag } => {
                write!(f, "{package} is only in the repository tagged @{tag}, which is not requested")
            }
            Self::Architecture { package, arch } => write!(f, "{package} is for {arch}"),
            Self::LeftOut(entry) => entry.fmt(f),
            Self::Unsupported { package, field } => {
                write!(f, "{package} has the field {field}: in the index, which mailimg doesn't support")
            }
            Self::Contradicts { package, requirement, chain } => {
                write!(f, "{package} is ruled out by {requirement}, {}", Asked("", chain))
            }
            Self::Selected { package, chain } => write!(f, "there is {package}, {}", Asked(package, chain)),
            Self::Conflicts { package, conflict, with, chain } => {
                write!(f, "{package} conflicts ({conflict}) with {with}, {}", Asked(with, chain))
            }
            Self::SameName { package, name, with, chain } => {
                write!(f, "{package} provides {name}, and so does {with}, {}", Asked(with, chain))
            }
            Self::Itself { package, name } => {
                write!(f, "{package} provides {name} twice, once with a version, and so conflicts with itself")
            }
            Self::Needs { package, requirement, .. } => write!(f, "{package} needs {requirement}"),
            Self::GivenUp { package } => write!(
                f,
                "{package} was ruled out before it turned out to be needed; ask for it by name so that it is \
                 considered first"
            ),
        }
    }
}

/// Shows who requires something, and what leads to that.
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
