//! One image, without the compose file and without the others.

use std::collections::HashMap;
use std::time::Duration;

use camino::Utf8Path;
use mailimg::config::{self, Network};
use testcontainers::core::WaitFor;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt as _};

use crate::common::{engine, wait_for};
use crate::stack::{self, Stack};

/// Runs the image as its recipe says: no capabilities, a read-only root, its own secrets.
fn request(stack: &Stack, name: &str) -> ContainerRequest<GenericImage> {
    let root = stack.project.path();
    let project = config::Project::open(Utf8Path::from_path(&root).unwrap()).unwrap();
    let service = project.recipe(name).unwrap().service.clone();
    let image = stack.image(name);
    let (repository, tag) = image.rsplit_once(':').unwrap();
    let tmpfs: HashMap<_, _> =
        service.tmpfs.iter().map(|(path, options)| (path.to_string(), options.clone())).collect();
    let binds: Vec<_> =
        service.secrets.keys().map(|name| format!("{}:/run/secrets/{name}:ro", stack.secret(name.as_str()))).collect();
    let request = GenericImage::new(repository, tag)
        .with_wait_for(WaitFor::healthcheck())
        .with_startup_timeout(Duration::from_mins(2))
        .with_label(engine::LABEL, engine::run())
        .with_hostname(name)
        .with_readonly_rootfs(true)
        .with_cap_drop("ALL")
        .with_security_opt("no-new-privileges")
        .with_host_config_modifier(move |host| {
            host.tmpfs = Some(tmpfs.clone());
            host.binds = Some(binds.clone());
            host.memory = service.memory.map(|limit| i64::from(limit) << 20);
        });
    let outside = project.recipe(name).unwrap().service.networks.contains(&Network::Outside);
    if outside { request } else { request.with_network("none") }
}

async fn start(stack: &Stack, name: &str) -> ContainerAsync<GenericImage> {
    let started = request(stack, name).start().await;
    started.unwrap_or_else(|error| panic!("{name} does not become healthy alone: {error}"))
}

/// Kills a program and waits until its container has ended.
async fn dies_with(container: ContainerAsync<GenericImage>, program: &str) {
    let id = container.id().to_owned();
    tokio::task::spawn_blocking({
        let (id, program) = (id.clone(), program.to_owned());
        move || {
            stack::kill(&id, &program);
            wait_for(&format!("the container to end after {program} died"), Duration::from_mins(1), || {
                (engine::inspect(&id, "{{.State.Status}}") == "exited").then_some(())
            });
        }
    })
    .await
    .unwrap();
    container.rm().await.unwrap();
}

#[test]
fn mysql_becomes_healthy_alone_and_ends_with_its_server() {
    let stack = stack::shared();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { dies_with(start(&stack, "mysql").await, "mariadbd").await });
}

#[test]
fn clamav_becomes_healthy_alone_and_ends_with_its_scanner() {
    let stack = stack::shared();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { dies_with(start(&stack, "clamav").await, "clamd").await });
}
