//! What is said when there is no solution.

use super::*;

#[track_caller]
fn explains(repositories: &str, world: &str, want: &[&str]) {
    let error = plan(&universe(repositories), world).unwrap_err().to_string();
    assert_eq!(error.lines().collect::<Vec<_>>(), want);
}

#[test]
fn a_version_that_is_not_there() {
    explains(
        "P:postfix V:3.9-r0",
        "postfix=3.10-r0",
        &[
            "postfix=3.10-r0 can't be installed",
            "  postfix=3.10-r0, which is asked for",
            "    postfix-3.9-r0 is available, but 3.10-r0 is required",
        ],
    );
}

#[test]
fn a_package_whose_index_entry_cannot_be_read() {
    let repositories = "P:odd V:1 I:-1 p:cmd:odd
         P:odd V:2 I:many
         P:odd V:0
         P:app V:1 D:cmd:odd";
    explains(
        repositories,
        "odd>=2",
        &[
            "odd>=2 can't be installed",
            "  odd>=2, which is asked for",
            "    odd-0 is available, but >=2 is required",
            r#"    odd-2 is left out, because line 3 of the index can't be read: "many" is not a valid installed size"#,
        ],
    );
    explains(
        repositories,
        "app",
        &[
            "app can't be installed",
            "  cmd:odd, which is needed by app-1, which is asked for",
            r#"    odd-1 is left out, because line 3 of the index can't be read: "-1" is not a valid installed size"#,
        ],
    );
    check(repositories, &[("odd", "odd-0")]);
}

#[test]
fn a_library_that_is_there_in_another_version() {
    explains(
        "P:libfoo V:3 p:so:libfoo.so.3=3
         P:app V:1 D:mid
         P:mid V:1 D:so:libfoo.so.2
         P:fine V:1",
        "fine app",
        &[
            "app can't be installed",
            "  so:libfoo.so.2, which is needed by mid-1, needed by app-1, which is asked for",
            "    no package provides so:libfoo.so.2; libfoo-3 provides so:libfoo.so.3",
        ],
    );
}

#[test]
fn all_names_that_are_not_there_are_told_at_once() {
    explains(
        "P:postfix V:1",
        "posfix foo postfix",
        &[
            "these can't be installed together: foo, posfix",
            "  foo, which is asked for",
            "    no package provides foo",
            "  posfix, which is asked for",
            "    no package provides posfix; postfix-1 provides postfix",
        ],
    );
}

#[test]
fn two_requirements_that_clash() {
    explains(
        "P:a V:1 D:lib<2
         P:b V:1 D:lib>=2
         P:lib V:1
         P:lib V:2
         P:fine V:1",
        "a fine b",
        &[
            "these can't be installed together: a, b",
            "  lib<2, which is needed by a-1, which is asked for",
            "    lib-1 is ruled out by lib>=2, which is needed by b-1, which is asked for",
        ],
    );
}

#[test]
fn a_conflict() {
    explains(
        "P:app V:1 D:!rival
         P:user V:1 D:rival
         P:rival V:1",
        "app user",
        &[
            "these can't be installed together: app, user",
            "  !rival, which is needed by app-1, which is asked for",
            "    there is rival-1, which is needed by user-1, which is asked for",
        ],
    );
}

#[test]
fn a_conflict_of_the_world() {
    explains(
        "P:app V:1 D:ssl
         P:ssl V:1",
        "app !ssl",
        &[
            "these can't be installed together: app, !ssl",
            "  !ssl, which is asked for",
            "    there is ssl-1, which is needed by app-1, which is asked for",
        ],
    );
}

#[test]
fn two_packages_that_provide_the_same() {
    explains(
        "P:openssl V:3 p:so:ssl=3
         P:libressl V:9 p:so:ssl=2
         P:app V:1 D:openssl",
        "app libressl",
        &[
            "these can't be installed together: app, libressl",
            "  openssl, which is needed by app-1, which is asked for",
            "    openssl-3 provides so:ssl, and so does libressl-9, which is asked for",
        ],
    );
}

#[test]
fn a_choice_that_only_the_user_can_make() {
    explains(
        "P:exim V:4 p:mta
         P:sendmail V:8 p:mta
         P:mailx V:1 D:mta",
        "mailx",
        &[
            "mailx can't be installed",
            "  mta, which is needed by mailx-1, which is asked for",
            "    no package that provides it is the default: choose one of exim, sendmail",
        ],
    );
}

#[test]
fn a_package_that_only_a_tagged_repository_has() {
    explains(
        "P:app V:1 D:new
         @edge
         P:new V:1",
        "app",
        &[
            "app can't be installed",
            "  new, which is needed by app-1, which is asked for",
            "    new-1 is only in the repository tagged @edge, which is not requested",
        ],
    );
    explains(
        "P:app V:1",
        "app@edge",
        &["app@edge can't be installed", "  app@edge, which is asked for", "    no repository has the tag @edge"],
    );
}

#[test]
fn packages_that_are_not_for_this_machine_or_program() {
    explains(
        "P:a V:1 A:aarch64
         P:c V:1 D:a",
        "c",
        &["c can't be installed", "  a, which is needed by c-1, which is asked for", "    a-1 is for aarch64"],
    );
    explains(
        "P:a V:1 Z:x",
        "a",
        &[
            "a can't be installed",
            "  a, which is asked for",
            "    a-1 has the field Z: in the index, which mailimg doesn't support",
        ],
    );
}

/// There is a solution, with b-1. apk does not look for it; what it ran into says what to ask for.
#[test]
fn a_choice_that_apk_does_not_take_back() {
    explains(
        "P:a V:1 D:b c
         P:b V:1
         P:b V:2 D:d
         P:d V:1 D:e
         P:e V:1 D:!c
         P:c V:1",
        "a",
        &[
            "a can't be installed",
            "  !c, which is needed by e-1, needed by d-1, needed by b-2, needed by a-1, which is asked for",
            "    there is c-1, which is needed by a-1, which is asked for",
        ],
    );
}

#[test]
fn a_package_that_conflicts_with_itself() {
    explains(
        "P:db V:1 p:db
         P:app V:1 D:db",
        "app",
        &[
            "app can't be installed",
            "  db, which is needed by app-1, which is asked for",
            "    db-1 provides db twice, once with a version, and so conflicts with itself",
        ],
    );
}

#[test]
fn a_virtual_name_whose_provider_would_be_pulled_in_later() {
    explains(
        "P:base V:1
         P:extra V:1 i:base p:feature",
        "base feature",
        &[
            "feature can't be installed",
            "  feature, which is asked for",
            "    no package that provides it is the default: choose one of extra",
        ],
    );
}

#[test]
fn of_many_problems_the_first_are_explained() {
    let names = |count: usize| (0..count).map(|number| format!("p{number}")).collect::<Vec<_>>().join(" ");
    // With a dependency after the other, this used to take the square of their number.
    let error = plan(&universe(&format!("P:app V:1 D:{}", names(30_000))), "app").unwrap_err();
    assert_eq!((error.problems.len(), error.more), (50, 29_950));
    assert!(error.to_string().ends_with("\n  … and 29950 more"), "{error}");
    let error = plan(&universe("P:app V:1"), &names(30_000)).unwrap_err();
    assert_eq!((error.problems.len(), error.more, error.world.len()), (50, 29_950, 100));
}

#[test]
fn of_many_missing_names_the_first_are_compared_with_those_there_are() {
    let names: Vec<String> = (0..400_000).map(|number| format!("cmd:made-up-{number}")).collect();
    let universe = universe(&format!("P:postfix V:1 p:{}", names.join(" ")));
    let error = plan(&universe, "posftix postfixx postfiy").unwrap_err();
    let similar = |problem: &Problem| match &problem.reasons[..] {
        [Reason::Unknown { similar, .. }] => similar.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(error.problems.iter().map(similar).collect::<Vec<_>>(), [1, 1, 0], "{error}");
}

#[test]
fn packages_that_provide_the_same_names_rule_each_other_out() {
    // The newest of each name, which no other package may provide besides.
    let provides = |number: usize| (0..100).map(|name| format!("n{name}=1.{number}")).collect::<Vec<_>>().join(" ");
    let same: Vec<String> = (0..200).map(|number| format!("P:p{number} V:1 p:{}", provides(number))).collect();
    let same = same.join("\n");
    let world: Vec<String> = (0..100).map(|name| format!("n{name}")).collect();
    assert_eq!(plan(&universe(&same), &world.join(" ")).unwrap(), "p199-1");
    let error = plan(&universe(&same), "p198 p199").unwrap_err().to_string();
    assert!(error.contains("and so does"), "{error}");
}

#[test]
fn packages_that_provide_many_of_the_same_names_are_solved() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut list = |count: usize, suffix: &str| {
        (0..count).map(|_| format!("n{}{suffix}", random.u32(..300))).collect::<Vec<_>>().join(" ")
    };
    let packages = (0..400).map(|number| format!("P:q{number} V:1 D:{} p:{}\n", list(3, ""), list(60, "=1")));
    let text: String = packages.collect();
    // Each provides one name twice, with a version.
    assert!(plan(&universe(&text), "q0").unwrap_err().to_string().contains("conflicts with itself"));
}

#[test]
fn the_world_is_named_in_the_users_order() {
    let repositories = "P:app V:1 D:lib>=2
         P:fine V:1
         P:old V:1 D:mid
         P:mid V:1 D:lib<2
         P:lib V:1
         P:lib V:2";
    for world in ["old fine app", "fine app old"] {
        let error = plan(&universe(repositories), world).unwrap_err();
        let named: Vec<_> = error.world.iter().map(ToString::to_string).collect();
        let expected: Vec<_> = world.split(' ').filter(|name| *name != "fine").collect();
        assert_eq!(named, expected);
    }
}

/// None of the three can be left out, and the first problem doesn't lead to all of them.
#[test]
fn what_the_first_problem_does_not_lead_to_is_found() {
    let repositories = "P:a V:1 D:x
         P:b V:1 D:!one
         P:c V:1 D:!two
         P:fine V:1
         P:one V:1 p:x=1
         P:two V:1 p:x=2";
    let error = plan(&universe(repositories), "fine a b c").unwrap_err();
    let named: Vec<_> = error.world.iter().map(ToString::to_string).collect();
    assert_eq!(named, ["a", "b", "c"]);
}
