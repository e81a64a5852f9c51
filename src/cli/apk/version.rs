use std::cmp::Ordering;

use crate::apk::Version;
use crate::cli::exit::Exit;
use crate::cli::{Context, Failure};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
A version is NUMBER{.NUMBER}{LETTER}{_SUFFIX{NUMBER}}{~COMMIT}{-rNUMBER}. The suffixes alpha, beta, pre and rc sort \
before the version without a suffix; cvs, svn, git, hg and p sort after it.")]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct Args {
    /// Print <, = or >: how A compares to B
    #[arg(short, long, num_args = 2, value_names = ["A", "B"])]
    test: Vec<String>,
    /// Print invalid versions and why they are invalid; exit with 1 if there are any
    #[arg(short, long, num_args = 1.., value_name = "VERSION")]
    check: Vec<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if let [a, b] = &args.test[..] {
        return context.ui().line(match Version::any(a).cmp(&Version::any(b)) {
            Ordering::Less => "<",
            Ordering::Equal => "=",
            Ordering::Greater => ">",
        });
    }
    let mut wrong = None;
    for text in &args.check {
        if let Err(error) = text.parse::<Version>() {
            context.ui().line(text)?;
            if let Some(before) = wrong.replace(error) {
                context.ui().status(before.to_string());
            }
        }
    }
    wrong.map_or(Ok(()), |error| Err(Failure::new(Exit::No, &error)))
}
