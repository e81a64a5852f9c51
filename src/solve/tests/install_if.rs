//! Packages that others pull in.

use super::*;

#[test]
fn install_if_pulls_a_package_in_right_after_the_last_it_waits_for() {
    check(
        "P:app V:1
         P:app-doc V:1 i:app=1 docs D:man
         P:docs V:1
         P:man V:1
         P:zsh V:1
         P:app-zsh V:1 i:app=2 zsh",
        &[
            ("app", "app-1"),
            ("docs", "docs-1"),
            ("app docs zsh", "app-1 docs-1 man-1 app-doc-1 zsh-1"),
            ("app docs !app-doc", "app-1 docs-1"),
        ],
    );
}

#[test]
fn install_if_can_wait_for_what_another_pulled_in() {
    check(
        "P:a V:1
         P:b V:1 i:a
         P:c V:1 i:b
         P:d V:1 i:cc a
         P:e V:1 i:c p:cc=1",
        &[("a", "a-1 b-1 c-1 e-1 d-1"), ("b", "b-1 c-1 e-1")],
    );
}

/// As `libcanberra-alsa` has it: what the world could reach, and nothing has decided about, counts as neither there nor
/// absent.
#[test]
fn a_conflict_in_install_if_is_met_by_what_is_out_of_reach() {
    check(
        "P:a V:1
         P:a-alsa V:1 i:a=1 !pulse !nonexistent
         P:pulse V:1
         P:player V:1 D:sound
         P:jack V:1 p:sound=2
         P:server V:1 D:pulse p:sound=1",
        &[("a", "a-1 a-alsa-1"), ("a pulse", "a-1 pulse-1"), ("a !a-alsa", "a-1"), ("a player", "a-1 jack-1 player-1")],
    );
}

#[test]
fn what_install_if_pulls_in_is_not_chosen_for_a_virtual_name() {
    check(
        "P:base V:1
         P:extra V:1 i:base p:feature
         P:other V:1 i:base p:thing=1",
        &[
            ("base", "base-1 other-1 extra-1"),
            ("base feature", "-"),
            ("base feature extra", "base-1 other-1 extra-1"),
            ("base thing", "base-1 other-1 extra-1"),
        ],
    );
}

#[test]
fn a_package_that_is_pulled_in_and_cannot_be_installed_is_an_error() {
    check(
        "P:a V:1
         P:b V:1 i:a D:gone
         P:c V:1
         P:d V:1 i:c D:!e
         P:e V:1",
        &[("a", "-"), ("c", "c-1 d-1"), ("c e", "-"), ("c e !d", "c-1 e-1")],
    );
}
