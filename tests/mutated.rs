//! Archives, packages, indexes, locks and layouts with random mistakes: each is refused with an error that says
//! something, or does no harm. The mistakes are the same in each run; `scripts/fuzz` looks for others, with the same
//! targets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs
)]

#[path = "../fuzz/src/common.rs"]
mod common;
#[path = "../fuzz/src/index.rs"]
mod index;
#[path = "../fuzz/src/layout.rs"]
mod layout;
#[path = "../fuzz/src/lock.rs"]
mod lock;
#[path = "../fuzz/src/package.rs"]
mod package;
#[path = "../fuzz/src/tar.rs"]
mod tar;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{Target, told};
use fastrand::Rng;

/// How many inputs each target gets.
const INPUTS: u64 = 1000;

/// Numbers that often go wrong, in two lengths and as text.
const NUMBERS: [&[u8]; 8] = [
    &[0; 4],
    &[0xff; 4],
    &[0xff; 8],
    b"-1",
    b"4294967296",
    b"9223372036854775807",
    b"18446744073709551616",
    b"77777777777",
];

#[test]
fn archives() {
    run(&tar::TARGET);
}

#[test]
fn packages() {
    run(&package::TARGET);
}

#[test]
fn indexes() {
    run(&index::TARGET);
}

#[test]
fn locks() {
    run(&lock::TARGET);
}

#[test]
fn layouts() {
    run(&layout::TARGET);
}

fn run(target: &Target) {
    let seeds = (target.seeds)();
    let mut refused = 0;
    for number in 0..INPUTS {
        let input = mutated(&seeds, &mut Rng::with_seed(number));
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.check)(&input).map_err(|error| told(&*error))));
        // What went wrong is above this message.
        let outcome = outcome.unwrap_or_else(|_| panic!("with input {number}:\n{}", input.escape_ascii()));
        refused += u64::from(outcome.is_err());
    }
    assert!((INPUTS / 10..INPUTS).contains(&refused), "{refused} of {INPUTS} were refused: are these mistakes?");
}

/// One of the seeds with one to four mistakes.
fn mutated(seeds: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut input = random.choice(seeds).unwrap().clone();
    for _ in 0..random.usize(1..=4) {
        mistake(&mut input, random.choice(seeds).unwrap(), random);
    }
    input
}

fn mistake(input: &mut Vec<u8>, other: &[u8], random: &mut Rng) {
    let at = random.usize(..=input.len());
    let end = at + random.usize(..=(input.len() - at).min(64));
    match random.u8(..7) {
        0 if at < input.len() => input[at] ^= 1 << random.u8(..8),
        1 if at < input.len() => input[at] = random.u8(..),
        2 => input.truncate(at),
        3 => drop(input.drain(at..end)),
        4 => drop(input.splice(at..at, input[at..end].repeat(random.usize(1..=8)))),
        5 => drop(input.splice(at..end, random.choice(NUMBERS).unwrap().iter().copied())),
        _ => {
            let from = random.usize(..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}
