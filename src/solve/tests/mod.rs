//! The rules of apk's solver, each in the smallest index that shows it.
//!
//! An index is written one package a line, with the fields of a real one, `P:name V:version D:depends p:provides
//! i:install_if k:provider_priority A:arch`; a line `@tag` or `--` starts another repository. Below are pairs of a
//! world and what apk installs for it, in order; `-` if it finds no solution.

mod explanations;
mod install_if;
mod tags;

use super::*;
use crate::apk::index::{self, Listed};

/// A universe from repositories in short notation.
fn universe(text: &str) -> Universe {
    let mut repositories = vec![Repository::default()];
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(tag) = line.strip_prefix('@').map(Some).or((line == "--").then_some(None)) {
            repositories.push(Repository { tag: tag.map(Into::into), ..Repository::default() });
            continue;
        }
        let mut block = String::new();
        for word in line.split(' ') {
            let starts_field = word.as_bytes().get(1) == Some(&b':');
            block += if starts_field { "\n" } else { " " };
            block += word;
        }
        let Listed { packages, left_out } = index::parse(block.trim().as_bytes());
        repositories.last_mut().unwrap().packages.extend(packages);
        repositories.last_mut().unwrap().left_out.extend(left_out);
    }
    Universe::new(repositories)
}

/// The plan as text, or why there is none.
fn plan(universe: &Universe, world: &str) -> Result<String, Unsolvable> {
    let plan = solve(universe, &Dependency::parse_list(world).unwrap(), "x86_64")?;
    let names: Vec<String> =
        plan.steps.iter().map(|it| format!("{}-{}", it.package.name, it.package.version)).collect();
    Ok(names.join(" "))
}

#[track_caller]
fn check(repositories: &str, cases: &[(&str, &str)]) {
    let universe = universe(repositories);
    for (world, want) in cases {
        match plan(&universe, world) {
            Ok(got) => assert_eq!(got, *want, "world: {world}"),
            Err(error) => assert_eq!("-", *want, "world: {world}\n{error}"),
        }
    }
}

#[test]
fn a_package_comes_after_what_it_depends_on() {
    check(
        "P:app V:1 D:lib tool
         P:lib V:1 D:base
         P:tool V:1
         P:base V:1
         P:other V:1",
        &[("app", "base-1 lib-1 tool-1 app-1"), ("tool", "tool-1"), ("", "")],
    );
}

#[test]
fn a_world_is_installed_in_the_order_of_its_names() {
    check(
        "P:a V:1
         P:b V:1 D:c
         P:c V:1",
        &[("b a", "a-1 c-1 b-1"), ("a b", "a-1 c-1 b-1"), ("a b a=1", "a-1 c-1 b-1")],
    );
}

#[test]
fn of_several_versions_the_newest_that_all_allow_is_taken() {
    check(
        "P:lib V:1.9-r0
         P:lib V:1.10-r0
         P:lib V:2.0_rc1-r0
         P:old V:1 D:lib<1.10
         P:exact V:1 D:lib=1.10-r0
         P:fuzzy V:1 D:lib~1.9",
        &[
            ("lib", "lib-2.0_rc1-r0"),
            ("lib<2.0", "lib-2.0_rc1-r0"),
            ("lib<2", "lib-1.10-r0"),
            ("lib<2_alpha", "lib-1.10-r0"),
            ("lib<=1.9-r0", "lib-1.9-r0"),
            ("lib>1.9-r0", "lib-2.0_rc1-r0"),
            ("lib~1", "lib-1.10-r0"),
            ("lib=1.10", "-"),
            ("lib~1.1", "-"),
            ("old", "lib-1.9-r0 old-1"),
            ("exact", "lib-1.10-r0 exact-1"),
            ("fuzzy old", "lib-1.9-r0 fuzzy-1 old-1"),
            ("exact old", "-"),
        ],
    );
}

#[test]
fn a_checksum_names_one_build() {
    check(
        "P:a V:1 C:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=
         P:a V:2 C:Q12jmj7l5rSw0yVb/vlWAYkK/YBwk=",
        &[
            ("a><Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", "a-1"),
            ("a><Q12jmj7l5rSw0yVb/vlWAYkK/YBwk=", "a-2"),
            ("a><Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "-"),
        ],
    );
}

/// apk looks at dependencies of a version only once something has been decided.
#[test]
fn a_version_whose_dependencies_are_missing_is_not_passed_over() {
    check(
        "P:app V:1
         P:app V:2 D:gone
         P:tool V:1
         P:tool V:2 D:lib=2
         P:lib V:1",
        &[
            ("app", "-"),
            ("app=2", "-"),
            ("app<2", "app-1"),
            ("tool", "-"),
            ("lib tool", "-"),
            ("lib tool=1", "lib-1 tool-1"),
        ],
    );
}

#[test]
fn a_conflict_forbids_a_package_or_some_versions_of_it() {
    check(
        "P:app V:1 D:!rival
         P:rival V:1
         P:picky V:1 D:!lib<2 lib
         P:lib V:1
         P:lib V:2
         P:either V:1 p:tool=1
         P:either2 V:2 p:tool=2",
        &[
            ("app", "app-1"),
            ("app rival", "-"),
            ("!rival app", "app-1"),
            ("!app app", "app-1"),
            ("app !app", ""),
            ("!nothing-of-that-name app", "app-1"),
            ("picky", "lib-2 picky-1"),
            ("picky lib<2", "-"),
            ("!lib", ""),
            ("!lib>1 lib", "lib-2"),
            ("!either2 tool", "either-1"),
        ],
    );
}

#[test]
fn a_package_does_not_conflict_with_itself() {
    check(
        "P:mta V:1 p:mail-server D:!mail-server
         P:other V:1 p:mail-server D:!mail-server",
        &[("mta", "mta-1"), ("mta other", "-")],
    );
}

#[test]
fn a_dependency_loop_is_no_obstacle() {
    check(
        "P:a V:1 D:b
         P:b V:1 D:c
         P:c V:1 D:a",
        &[("a", "c-1 b-1 a-1"), ("c", "b-1 a-1 c-1")],
    );
}

/// Versioned provides exclude each other: there is one `so:ssl`.
#[test]
fn of_versioned_provides_the_newest_is_taken_and_only_one() {
    check(
        "P:openssl V:3 p:so:ssl=3
         P:libressl V:9 p:so:ssl=2
         P:app V:1 D:so:ssl
         P:old V:1 D:so:ssl<3",
        &[
            ("app", "openssl-3 app-1"),
            ("old", "libressl-9 old-1"),
            ("app libressl", "libressl-9 app-1"),
            ("libressl openssl", "-"),
        ],
    );
}

/// What is provided without a version can be there several times, but satisfies no requirement of a version.
#[test]
fn provides_without_version_can_be_installed_together() {
    check(
        "P:vim V:9 p:editor k:1
         P:nano V:7 p:editor k:2
         P:writer V:1 D:editor
         P:strict V:1 D:editor>0",
        &[
            ("nano vim", "nano-7 vim-9"),
            ("vim writer", "vim-9 writer-1"),
            ("writer", "nano-7 writer-1"),
            ("strict", "-"),
        ],
    );
}

#[test]
fn a_provide_without_version_and_priority_is_not_chosen_by_itself() {
    check(
        "P:exim V:4 p:mta
         P:sendmail V:8 p:mta
         P:mailx V:1 D:mta
         P:only V:1 p:lonely",
        &[
            ("mailx", "-"),
            ("mailx exim", "exim-4 mailx-1"),
            ("mailx sendmail", "sendmail-8 mailx-1"),
            ("mta", "-"),
            ("lonely", "-"),
            ("lonely only", "only-1"),
        ],
    );
}

#[test]
fn among_equal_versions_the_higher_priority_wins() {
    check(
        "P:dash V:1 p:/bin/sh k:60
         P:busybox V:1 p:/bin/sh k:100
         P:yash V:9 p:/bin/sh k:50
         P:script V:1 D:/bin/sh
         P:postgres16 V:16 p:cmd:psql k:16
         P:postgres-fork V:9 p:cmd:psql=9",
        &[
            ("script", "busybox-1 script-1"),
            ("script dash", "dash-1 script-1"),
            ("!busybox script", "dash-1 script-1"),
            // One without a version is neither older nor newer than one with: the priority decides.
            ("cmd:psql", "postgres16-16"),
        ],
    );
}

#[test]
fn a_version_weighs_more_than_a_priority() {
    check(
        "P:py V:3.10 k:312
         P:py V:3.11 k:310",
        &[("py", "py-3.11")],
    );
}

/// It conflicts with itself.
#[test]
fn a_package_that_provides_a_name_twice_once_with_a_version_is_not_installed() {
    check(
        "P:itself V:2 p:itself
         P:again V:2 p:again=2
         P:two V:1 p:db=1 db=2
         P:same V:1 p:mq=1 mq=1
         P:mixed V:1 p:mta mta=1
         P:plain V:1 p:web web
         P:user V:1 D:itself",
        &[
            ("itself", "-"),
            ("again", "-"),
            ("user", "-"),
            ("two", "-"),
            ("same", "-"),
            ("mixed", "-"),
            ("plain", "plain-1"),
        ],
    );
}

#[test]
fn of_the_same_version_the_first_repository_has_it() {
    let universe = universe(
        "P:other V:1
         --
         P:a V:1
         --
         P:a V:1
         P:b V:2
         --
         P:b V:3",
    );
    let world = Dependency::parse_list("a b").unwrap();
    let plan = solve(&universe, &world, "x86_64").unwrap();
    let from: Vec<_> = plan.steps.iter().map(|it| (&*it.package.name, it.repository)).collect();
    assert_eq!(from, [("a", 1), ("b", 3)]);
}

#[test]
fn only_packages_of_the_architecture_or_of_none_are_installed() {
    check(
        "P:a V:1 A:x86_64
         P:a V:2 A:aarch64
         P:b V:1 A:noarch
         P:c V:1 A:riscv64",
        &[("a", "a-1"), ("b", "b-1"), ("c", "-")],
    );
}

/// apk ignores unknown fields of an index with a lower-case letter, and does not install packages with others.
#[test]
fn a_package_with_a_field_that_must_be_understood_is_not_installed() {
    check(
        "P:a V:1 z:whatever
         P:a V:2 Z:whatever",
        &[("a", "a-1"), ("a=2", "-")],
    );
}

/// `replaces` is about files that two packages have; it chooses nothing.
#[test]
fn replaces_has_no_say_in_what_is_installed() {
    check(
        "P:a V:1
         P:b V:1 r:a",
        &[("a", "a-1"), ("a b", "a-1 b-1")],
    );
}

/// Real choices are made last: what `app` needs decides which `db` it is.
#[test]
fn names_without_alternative_are_decided_first() {
    check(
        "P:app V:1 D:db plugin
         P:plugin V:1 D:maria
         P:maria V:1 p:db=1
         P:postgres V:1 p:db=2",
        &[("app", "maria-1 plugin-1 app-1"), ("db", "postgres-1")],
    );
}

/// Both versions of `app` need `lib`, so that is known before one is chosen.
#[test]
fn what_all_candidates_need_is_needed() {
    check(
        "P:app V:1 D:lib
         P:app V:2 D:lib
         P:lib V:1 D:!app=2",
        &[("app", "lib-1 app-1")],
    );
}

/// apk does not take choices back: there is a solution with `b-1`, and it is not looked for.
#[test]
fn a_choice_is_final() {
    check(
        "P:a V:1 D:b c
         P:b V:1
         P:b V:2 D:d
         P:d V:1 D:e=2
         P:e V:2 D:f
         P:f V:1 D:g
         P:c V:1
         P:g V:1 D:!c",
        &[("a", "-"), ("b", "g-1 f-1 e-2 d-1 b-2"), ("a b=1", "b-1 c-1 a-1")],
    );
}

#[test]
fn a_deep_chain_of_dependencies_overflows_nothing() {
    let lines = (1..20_000).map(|number| format!("P:p{number} V:1 D:p{}\n", number - 1));
    let text: Vec<String> = std::iter::once("P:p0 V:1\n".to_owned()).chain(lines).collect();
    let plan = plan(&universe(&text.concat()), "p19999").unwrap();
    assert!(plan.starts_with("p0-1 p1-1 ") && plan.ends_with(" p19999-1"));
}
