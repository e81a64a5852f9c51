use super::*;
use crate::apk::{Dependency, Package, Provide, Version};

/// One package per line: its name, then `key: values` for its other fields.
fn graph(world: &str, packages: &[(&str, &[(&str, &str)])]) -> Graph {
    let package = |(name, fields): &(&str, &[(&str, &str)])| {
        let mut package = Package::new(*name, Version::any("1-r0"), "x86_64");
        for (field, value) in *fields {
            match *field {
                "depends" => package.depends = Dependency::parse_list(value).unwrap(),
                "provides" => package.provides = Provide::parse_list(value).unwrap(),
                "install_if" => package.install_if = Dependency::parse_list(value).unwrap(),
                other => panic!("{other}"),
            }
        }
        package
    };
    Graph::new("made-up", &Dependency::parse_list(world).unwrap(), packages.iter().map(package).collect())
}

fn why(graph: &Graph, name: &str, limit: usize) -> (Vec<String>, bool) {
    let target = graph.find(name).unwrap()[0];
    let Chains { chains, complete } = graph.why(target, limit);
    let shown =
        |chain: &Chain<'_>| chain.iter().map(|edge| &*graph.packages()[edge.to].name).collect::<Vec<_>>().join(" ");
    (chains.iter().map(shown).collect(), complete)
}

fn diamond() -> Graph {
    graph(
        "app tool",
        &[
            ("app", &[("depends", "liba libb so:c.so.1")]),
            ("liba", &[("depends", "so:c.so.1")]),
            ("libb", &[("depends", "liba>=1")]),
            ("libc", &[("provides", "so:c.so.1=1 cmd:ldd")]),
            ("tool", &[("depends", "!app<1 cmd:ldd so:c.so.1")]),
        ],
    )
}

#[test]
fn all_chains_are_found_the_shortest_first() {
    let (chains, complete) = why(&diamond(), "libc", 100);
    assert_eq!(chains, ["app libc", "tool libc", "app liba libc", "app libb liba libc"]);
    assert!(complete);
}

#[test]
fn a_limit_takes_the_shortest_and_says_that_there_are_more() {
    let graph = diamond();
    assert_eq!(why(&graph, "libc", 2), (vec!["app libc".to_owned(), "tool libc".to_owned()], false));
    assert!(why(&graph, "libc", 4).1, "four are all");
}

#[test]
fn packages_that_require_each_other_come_once_in_a_chain() {
    let graph = graph("a", &[("a", &[("depends", "b")]), ("b", &[("depends", "a c")]), ("c", &[("depends", "b a c")])]);
    assert_eq!(why(&graph, "c", 100), (vec!["a b c".to_owned()], true));
    assert_eq!(why(&graph, "a", 100), (vec!["a".to_owned()], true), "nothing but the world brings it");
}

#[test]
fn many_circles_take_no_more_than_a_moment() {
    let names: Vec<String> = (0..40).map(|number| format!("p{number:02}")).collect();
    let all = names.join(" ");
    let fields = [("depends", all.as_str())];
    let packages: Vec<(&str, &[(&str, &str)])> = names.iter().map(|name| (name.as_str(), &fields[..])).collect();
    let (chains, complete) = why(&graph("p00", &packages), "p39", 50);
    assert_eq!((chains.len(), complete), (50, false));
    assert_eq!(chains[..2], ["p00 p39", "p00 p01 p39"]);
}

#[test]
fn what_installs_itself_names_its_condition() {
    let graph = graph(
        "app docs",
        &[
            ("app", &[]),
            ("app-doc", &[("install_if", "docs app=1-r0")]),
            ("docs", &[]),
            ("other-doc", &[("install_if", "docs other")]),
        ],
    );
    assert_eq!(why(&graph, "app-doc", 9).0, ["app app-doc", "docs app-doc"]);
    let chains = graph.why(graph.find("app-doc").unwrap()[0], 9).chains;
    let edge = chains[0][1];
    assert_eq!((edge.kind, &*edge.by), (Kind::InstallIf, &["app=1-r0".to_owned()][..]));
    assert_eq!(graph.reasons(edge).unwrap(), "installed if docs app=1-r0");
    assert_eq!(why(&graph, "other-doc", 9), (Vec::new(), true), "its condition isn't met: nothing explains it");
}

#[test]
fn a_package_of_the_name_goes_before_those_that_provide_it() {
    let graph = graph("app", &[("app", &[("depends", "sh")]), ("sh", &[]), ("zsh", &[("provides", "sh")])]);
    assert_eq!(why(&graph, "sh", 9).0, ["app sh"]);
    let zsh = graph.find("zsh").unwrap();
    assert_eq!(graph.package(zsh[0]).name, "zsh");
    assert!(graph.why(zsh[0], 9).chains.is_empty());
}

#[test]
fn an_unknown_name_tells_those_near_it() {
    let graph = graph("postfix", &[("postfix", &[]), ("postfix-mysql", &[]), ("libssl3", &[])]);
    for (name, message) in [
        ("postfixx", "made-up has no package \"postfixx\" and none that provides it; it has postfix"),
        ("mysql", "made-up has no package \"mysql\" and none that provides it; it has postfix-mysql"),
        ("libssl1", "made-up has no package \"libssl1\" and none that provides it; it has libssl3"),
        ("dovecot", "made-up has no package \"dovecot\" and none that provides it"),
    ] {
        assert_eq!(graph.find(name).unwrap_err().to_string(), message);
    }
}

#[test]
fn the_tree_shows_what_a_package_brings_once() {
    let graph = diamond();
    let lines = graph.branches().into_iter().map(|Branch { last, edge, seen }| {
        let levels: String = last.iter().map(|last| if *last { '`' } else { '|' }).collect();
        format!("{levels} {}{}", graph.packages()[edge.to].name, if seen { " again" } else { "" })
    });
    let expected = ["| app", "|| liba", "||` libc", "|| libb", "||` liba again", "|` libc", "` tool", "`` libc"];
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

#[test]
fn graphviz_gets_the_ways_that_lead_there() {
    let graph = diamond();
    let ways = graph.ways_to(&graph.find("libb").unwrap());
    insta::assert_snapshot!(dot(&graph, ways), @r#"
    digraph "made-up" {
      rankdir=LR;
      node [shape=box];
      world [label="world of made-up" shape=ellipse];
      p0 [label="app\n1-r0"];
      p2 [label="libb\n1-r0"];
      world -> p0;
      p0 -> p2;
    }
    "#);
}

#[test]
fn names_can_not_leave_their_quotes() {
    let graph = graph("a\"];x[\\", &[("a\"];x[\\", &[])]);
    assert!(dot(&graph, graph.edges()).contains(r#"label="a\"];x[\\\n1-r0""#), "{}", dot(&graph, graph.edges()));
}
