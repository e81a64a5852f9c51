use std::collections::BTreeSet;

use crate::config::{Mount, Project, Recipe};

/// The comment at the start of the file: what it is, and what the machine that runs it needs.
pub(super) fn header(project: &Project, recipes: &[&Recipe]) -> String {
    let start =
        "Written by mailimg from mailimg.toml and recipes/. Change those and write it again; changes here are lost.";
    let needs = needs(project, recipes);
    let mut header = format!("# {start}\n# The machine that runs it needs:\n");
    header.extend(needs.iter().flat_map(|need| ["# - ", need, "\n"]));
    header
}

fn needs(project: &Project, recipes: &[&Recipe]) -> Vec<String> {
    let site = project.site();
    let mounts: BTreeSet<Mount> = recipes.iter().flat_map(|recipe| recipe.service.mounts.keys().copied()).collect();
    let own_certificate = site.tls.directory.as_ref().filter(|_| mounts.contains(&Mount::Tls));
    let images = match &site.registry {
        Some(registry) => format!("the images, pushed to {} with `mailimg push`", registry.prefix.as_str()),
        None => "the images, loaded into its engine with `mailimg load`".to_owned(),
    };
    let has_secrets = !mounts.is_empty() || recipes.iter().any(|recipe| !recipe.service.secrets.is_empty());
    let secrets = "beside this file, the directory secrets that `mailimg secrets init` makes, open to root alone";
    let certificate = |directory: &_| format!("the certificate, fullchain.pem and privkey.pem in {directory}");
    let memory: u32 = recipes.iter().filter_map(|recipe| recipe.service.memory).sum();
    let ports: BTreeSet<u16> = recipes.iter().flat_map(|recipe| recipe.service.publish.iter().copied()).collect();
    let ports = list(ports.iter().map(|port| site.publish.host_port(*port)));
    let bind = list(&site.publish.bind);
    let published = (!ports.is_empty() && !bind.is_empty()).then(|| format!("the ports {ports} of {bind}"));
    std::iter::once(images)
        .chain(has_secrets.then(|| secrets.to_owned()))
        .chain(own_certificate.map(certificate))
        .chain(published)
        .chain(site.publish.has_ipv6().then(|| IPV6.to_owned()))
        .chain((memory > 0).then(|| format!("{memory} MiB of memory")))
        .collect()
}

/// Docker's release notes of 27.0: `ip6tables` is no longer experimental, and on by default.
const IPV6: &str = "an engine that routes IPv6 to containers, as Docker does since version 27";

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
