//! How long the solver takes for repositories that are made to be slow.
//!
//! `cargo bench --bench solve` reads an index and solves a world of each shape, and prints the median of the rounds. The
//! indexes are the same each time.
#![allow(clippy::print_stdout)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use mailimg::apk::{Checksum, Dependency, index};
use mailimg::solve::{Repository, Universe, solve};

/// Solves worlds of many packages with many provides.
#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 3000)]
    packages: usize,
    /// How many names each package provides
    #[arg(long, default_value_t = 200)]
    provides: usize,
    /// The number of rounds; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The shape to solve; all of them by default
    #[arg(value_enum, ignore_case = true)]
    shape: Option<Shape>,
    /// An argument that `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// What packages provide and require.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shape {
    /// Each package has names of its own, one of which the next package requires.
    Chain,
    /// All packages provide the same names, in versions of their own, and the world requires them all.
    Same,
    /// As before, but the names have no versions, so that several packages may provide them.
    Virtual,
    /// Each package provides the names of its neighbours, too, and requires some of them.
    Overlapping,
    /// Each package requires names that nobody provides.
    Unmet,
}

impl Shape {
    /// The names that package `number` provides.
    fn provides(self, number: usize, args: &Args) -> String {
        let name = |name: usize| match self {
            Self::Chain | Self::Unmet => format!("n{number}-{name}=1"),
            Self::Same => format!("n{name}=1.{number}"),
            Self::Virtual => format!("n{name}"),
            Self::Overlapping => format!("n{}=1.{number}", (number + name) % args.packages),
        };
        (0..args.provides).map(name).collect::<Vec<_>>().join(" ")
    }

    fn depends(self, number: usize, args: &Args) -> String {
        let next = (number + 1) % args.packages;
        match self {
            Self::Chain => format!("n{next}-{}", number % args.provides),
            Self::Same | Self::Virtual => format!("n{}", number % args.provides),
            Self::Overlapping => format!("n{next} n{} !n{}=2", number * 7 % args.packages, number * 11 % args.packages),
            Self::Unmet => (0..args.provides).map(|name| format!("m{number}-{name}")).collect::<Vec<_>>().join(" "),
        }
    }

    fn world(self, args: &Args) -> Vec<String> {
        match self {
            Self::Chain | Self::Unmet | Self::Overlapping => {
                (0..args.packages).map(|number| format!("p{number}")).collect()
            }
            Self::Same | Self::Virtual => (0..args.provides).map(|name| format!("n{name}")).collect(),
        }
    }

    fn index(self, args: &Args) -> String {
        let mut text = String::new();
        for number in 0..args.packages {
            let (provides, depends) = (self.provides(number, args), self.depends(number, args));
            let checksum = Checksum::of(number.to_le_bytes());
            let _ = write!(
                text,
                "C:{checksum}\nP:p{number}\nV:1-r0\nA:noarch\nS:1\nI:1\nT:\np:{provides}\nD:{depends}\n\n"
            );
        }
        text
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let shapes = args.shape.as_ref().map_or(Shape::value_variants(), std::slice::from_ref);
    for shape in shapes {
        let text = shape.index(&args);
        let world = shape.world(&args).iter().map(|name| name.parse()).collect::<Result<Vec<Dependency>, _>>()?;
        let mut rounds = Vec::new();
        let mut answer = String::new();
        for _ in 0..args.rounds.max(1) {
            let start = Instant::now();
            answer = outcome(&text, &world)?;
            rounds.push(start.elapsed());
        }
        rounds.sort();
        let median: Duration = rounds.get(rounds.len() / 2).copied().unwrap_or_default();
        println!("{shape:?}: {:.3} s, {} bytes of index, {answer}", median.as_secs_f64(), text.len());
    }
    Ok(())
}

/// Reads the index and solves the world.
fn outcome(text: &str, world: &[Dependency]) -> Result<String, String> {
    let listed = index::parse(text.as_bytes());
    if let Some(left_out) = listed.left_out.first() {
        return Err(left_out.to_string());
    }
    let repository = Repository { packages: listed.packages, ..Repository::default() };
    Ok(match solve(&Universe::new(vec![repository]), world, "x86_64") {
        Ok(plan) => format!("{} packages to install", plan.steps.len()),
        Err(unsolvable) => format!("unsolvable, {} problems explained", unsolvable.problems.len()),
    })
}
