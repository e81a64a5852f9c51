//! Templates of configuration files.

use std::sync::LazyLock;

use mailimg::config::{Project, bake};

use crate::common::{Outcome, Target};
use crate::project::{Files, TEMPLATE};

pub const TARGET: Target = Target { check, seeds };

static PROJECT: LazyLock<(Files, Project)> = LazyLock::new(|| {
    let files = Files::new();
    let project = Project::open(files.root()).expect("a project");
    (files, project)
});

fn check(input: &[u8]) -> Outcome {
    let (files, project) = &*PROJECT;
    files.write(TEMPLATE, input);
    let baked = bake(project, project.recipe("web")?)?;
    assert_eq!(baked.len(), 1);
    Ok(())
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "host = {{site.hostname}}\n# {{!-- a comment --}}\nlist = {{join site.domains \", \"}}\n{{channel}} {{image}} {{paths.daemons}}\n",
        "{{#if site.postmaster}}{{site.postmaster}}{{else if (eq channel \"test\")}}x{{else}}y{{/if}}\n",
        "{{#each site.domains as |domain|}}\n{{domain}} {{regexp this}} {{@index}} {{@root.channel}}\n{{else}}none\n{{/each}}\n",
        "{{#with site.tls}}{{outbound-required}}{{/with}}{{#unless (and site.antivirus.enabled (not (ne image \"web\")))}}a{{~/unless~}}\n",
        "{{{raw}}} {{#each site.domains}}{{#each @root.site.domains}}{{this}}{{/each}}{{/each}} \\{{escaped}} {{> partial}}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
