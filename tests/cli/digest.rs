//! `mailimg layers` and `mailimg digest`: the results of a build, without writing a layout.

use std::io::Read as _;

use mailimg::lock::Lock;
use serde_json::Value;

use crate::build::{digests, project as built_project};
use crate::common::packages::Made;
use crate::common::project::Project;

/// Bytes that hardly compress, so that a package is big enough for its own layer.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(300_000).collect()
}

/// Two images that share a big package and a small one.
fn project() -> Project {
    let packages = [
        Made::new("libc", "1.2.5-r0").provides("so:libc.so.1=1.2.5").file("usr/lib/libc.so.1", noise(1)),
        Made::new("tz", "2026-r0"),
        Made::new("web", "1.0-r0").depends("so:libc.so.1 tz").file("usr/bin/web", noise(2)),
        Made::new("app", "2.0-r0").depends("so:libc.so.1 tz").file("usr/bin/app", "app"),
    ];
    let project = built_project(&packages);
    let recipe = project.read("recipes/web.toml");
    let app = recipe.replace("[\"web\"]", "[\"app\"]").replace("path = \"/usr/share/web\"", "path = \"/usr/bin/app\"");
    let app = app.replace("../share/web", "../share/app");
    project.write("recipes/app.toml", app);
    project.replace("mailimg.toml", "images = [\"web\"]", "images = [\"web\", \"app\"]");
    project.run(["lock", "--keys-dir", project.root().join("keys").to_str().unwrap()]);
    project
}

fn json(project: &Project, args: &[&str]) -> Value {
    serde_json::from_str(&project.run(args)).unwrap()
}

/// The value at `pointer`, a number.
fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer} in {value}"))
}

#[test]
fn layers_are_told_as_they_are_built() {
    let project = project();
    let told = json(&project, &["layers", "--json"]);
    assert!(!project.path().join("oci").exists(), "it builds into no layout");
    let built = json(&project, &["build", "--json"]);
    for (told, built) in told["images"].as_array().unwrap().iter().zip(built.as_array().unwrap()) {
        assert_eq!(
            (&told["image"], &told["digest"], &told["size"]),
            (&built["image"], &built["digest"], &built["size"])
        );
        let layers = told["layers"].as_array().unwrap();
        assert_eq!(layers.len(), built["layers"].as_array().unwrap().len());
        for (told, built) in layers.iter().zip(built["layers"].as_array().unwrap()) {
            for key in ["digest", "diff_id", "size"] {
                assert_eq!(told[key], built[key]);
            }
            let path = told["digest"].as_str().unwrap().replace(':', "/");
            let blob = fs_err::File::open(project.path().join("oci/blobs").join(path)).unwrap();
            let mut content = Vec::new();
            flate2::read::MultiGzDecoder::new(blob).read_to_end(&mut content).unwrap();
            assert_eq!(number(told, "/unpacked"), content.len() as u64, "{told}");
        }
        let sum = |key: &str| layers.iter().map(|layer| number(layer, key)).sum::<u64>();
        assert_eq!((number(told, "/size"), number(told, "/unpacked")), (sum("/size"), sum("/unpacked")));
    }
}

#[test]
fn layers_tell_what_is_in_them_and_what_is_shared() {
    let project = project();
    let told = json(&project, &["layers", "--json", "web"]);
    let layers = told["images"][0]["layers"].as_array().unwrap();
    let names = |layer: &Value| -> Vec<String> {
        let packages = layer["packages"].as_array().unwrap();
        packages.iter().map(|it| it["package"].as_str().unwrap().to_owned()).collect()
    };
    let of: Vec<Vec<String>> = layers.iter().map(names).collect();
    assert_eq!(of, [vec!["libc"], vec!["tz"], vec!["web"], vec![]] as [Vec<&str>; 4]);
    let shared: Vec<&Value> = layers.iter().map(|layer| &layer["shared_with"]).collect();
    assert_eq!(*shared[0], serde_json::json!(["app"]));
    assert_eq!((shared[2], shared[3]), (&serde_json::json!([]), &serde_json::json!([])));
    let lock: Lock = project.read("apk-locks/made-up/web.x86_64.lock").parse().unwrap();
    for layer in layers {
        let is_verbatim = layer["verbatim"].as_bool().unwrap();
        assert_eq!(layer["reason"].is_null(), is_verbatim);
        let datahash = names(layer).first().map(|name| lock.package(name).unwrap().data.sha256.to_oci());
        assert_eq!(datahash.is_some_and(|datahash| layer["digest"] == datahash), is_verbatim, "{layer}");
    }
    let both = json(&project, &["layers", "--json"]);
    let distinct = number(&both, "/images/0/size") + number(&both, "/images/1/size") - number(&both, "/total/size");
    let common: u64 = layers.iter().filter(|it| !it["shared_with"][0].is_null()).map(|it| number(it, "/size")).sum();
    assert_eq!(distinct, common, "what both have counts once");
    assert_eq!(number(&both, "/total/packages"), 4);
}

#[test]
fn layers_as_people_read_them() {
    let project = project();
    let text = project.run(["layers"]);
    for part in ["web: 4 layers, ", "app: ", "libc-1.2.5-r0\n", "also in app\n", "also in web\n", "2 images together: "]
    {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert!(text.contains("accounts, database, links and configuration"), "{text}");
}

#[test]
fn digests_are_those_of_a_build() {
    let project = project();
    let told = project.run(["digest"]);
    assert!(!project.path().join("oci").exists());
    assert_eq!(told, project.run(["build"]));
    let index = project.read("oci/index.json");
    // An image that was built before is known without its packages.
    fs_err::remove_dir_all(project.path().join("repository")).unwrap();
    assert_eq!(digests(&project.run(["digest", "--json", "--offline", "web"])).len(), 1);
    assert_eq!(project.run(["digest", "--offline"]), told);
    project.replace("images/web/rootfs/etc/motd.hbs", "welcome", "hello");
    let changed = project.run(["digest"]);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_ne!(lines(&changed)[0], lines(&told)[0]);
    assert_eq!(lines(&changed)[1], lines(&told)[1], "the other image stays");
    assert_eq!(project.read("oci/index.json"), index);
    let output = project.mailimg(["digest", "wbe"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}
