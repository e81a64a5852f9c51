//! Tagged repositories.

use super::*;

#[test]
fn a_tagged_repository_is_used_where_the_tag_asks_for_it() {
    check(
        "P:app V:1 D:lib
         P:lib V:1
         @edge
         P:app V:2 D:lib
         P:lib V:2
         P:new V:1 D:lib>=2
         P:newer V:1 D:new",
        &[
            ("app", "lib-1 app-1"),
            // Its dependencies may come from there, and come from elsewhere if they can.
            ("app@edge", "lib-1 app-2"),
            ("new", "-"),
            ("new@edge", "lib-2 new-1"),
            ("newer@edge app", "lib-2 app-1 new-1 newer-1"),
            ("app=1@edge", "lib-1 app-1"),
            ("app@unknown", "-"),
        ],
    );
}

#[test]
fn virtual_names_that_a_tagged_package_needs_come_from_that_tag() {
    check(
        "P:other V:1
         @edge
         P:by-priority V:1 D:shell
         P:dash V:1 p:shell k:1
         P:bash V:1 p:shell k:2
         P:by-version V:1 D:lower
         P:lower V:1 D:db
         P:maria V:1 p:db=1
         P:postgres V:1 p:db=2
         P:unclear V:1 D:mta
         P:exim V:1 p:mta
         P:sendmail V:1 p:mta
         P:app V:1 D:java
         P:java8 V:1 p:java=8 D:certs
         P:java9 V:1 p:java=9 D:certs
         P:certs V:1",
        &[
            // What both need is decided after one of them: it has the tag from there.
            ("app@edge", "certs-1 java9-1 app-1"),
            ("by-priority@edge", "bash-1 by-priority-1"),
            ("by-version@edge", "postgres-1 lower-1 by-version-1"),
            ("unclear@edge", "-"),
            ("unclear@edge exim", "exim-1 unclear-1"),
            ("unclear@edge exim@edge", "exim-1 unclear-1"),
            ("shell", "-"),
            ("shell@edge", "bash-1"),
        ],
    );
}

#[test]
fn a_package_in_a_tagged_and_another_repository_needs_no_tag() {
    check(
        "P:a V:1 C:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=
         @edge
         P:a V:1 C:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
        &[("a", "a-1"), ("a@edge", "a-1")],
    );
}
