//! Dependencies and what packages provide, one list a line.

use mailimg::apk::{Dependency, Package, Provide, Version};

use crate::common::{Outcome, Target};

pub const TARGET: Target = Target { check, seeds };

fn check(input: &[u8]) -> Outcome {
    let text = std::str::from_utf8(input)?;
    let package = Package::new("web", Version::any("1.2-r0"), "x86_64");
    let mut outcome: Outcome = Ok(());
    for line in text.lines() {
        match Dependency::parse_list(line) {
            Ok(dependencies) => {
                let written: Vec<String> = dependencies.iter().map(ToString::to_string).collect();
                assert_eq!(Dependency::parse_list(&written.join(" ")).as_ref(), Ok(&dependencies));
                for dependency in &dependencies {
                    let _ = dependency.describes(&package);
                }
            }
            Err(error) => outcome = Err(error.into()),
        }
        match Provide::parse_list(line) {
            Ok(provides) => {
                let written: Vec<String> = provides.iter().map(ToString::to_string).collect();
                assert_eq!(Provide::parse_list(&written.join(" ")).as_ref(), Ok(&provides));
            }
            Err(error) => outcome = Err(error.into()),
        }
    }
    outcome
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "web web=1.2-r0 web~1 !web so:libc.so.6 cmd:sh pc:zlib>=1.3 a@edge b<~2 c>~3 d<=4 e>5 f><Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
        "so:libweb.so.1=1.0.2 cmd:web=1.2-r0 web-virtual\nweb\t!x\n",
        "web>=\n=1\n!\n@edge\nweb=1@edge",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
