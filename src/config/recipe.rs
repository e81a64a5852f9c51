use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::values::{AbsolutePath, Mode, Name};

/// One image's declaration, `recipes/<name>.toml`.
///
/// An unknown key anywhere in it is an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// The file's name without `.toml`, which is also the name of the image and the service.
    #[serde(skip)]
    pub name: String,
    /// A one-line description of the image, which becomes `org.opencontainers.image.description`.
    pub description: String,
    /// A section of `mailimg.toml` with a switch `enabled`. While that is off, the image is neither built nor run.
    #[serde(default)]
    pub feature: Option<Name>,
    /// Requested dependencies, in apk's notation (`postfix`, `postfix>=3.10`, `!sendmail`).
    pub world: Vec<String>,
    /// Folders of `images/` whose `rootfs` is baked before this image's own, for files that several images share. The
    /// image's own files take precedence.
    #[serde(default)]
    pub rootfs: Vec<Name>,
    /// What differs between channels, by channel name.
    #[serde(default)]
    pub channel: BTreeMap<String, RecipeChannel>,
    /// Groups with pinned ids, in addition to those in packages' `etc/group`.
    #[serde(default, rename = "group")]
    pub groups: Vec<Group>,
    /// Accounts with pinned ids, in addition to those in packages' `etc/passwd`.
    #[serde(default, rename = "user")]
    pub users: Vec<User>,
    /// Directories to create or change.
    #[serde(default, rename = "directory")]
    pub directories: Vec<Directory>,
    /// The mode and owner of baked files or packages' files, if the defaults (0644 or 0755, root) don't fit.
    #[serde(default, rename = "file")]
    pub files: Vec<FileRule>,
    /// Symbolic links to create.
    #[serde(default, rename = "link")]
    pub links: Vec<Link>,
    /// The image's configuration.
    pub image: ImageConfig,
    /// How the compose file runs the image.
    #[serde(default)]
    pub service: Service,
}

/// A recipe's section for one channel.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecipeChannel {
    /// Added to the recipe's world.
    #[serde(default)]
    pub world: Vec<String>,
    /// Paths that differ between channels; templates read them as `{{paths.name}}`.
    #[serde(default)]
    pub paths: BTreeMap<String, String>,
    /// Links that only this channel needs.
    #[serde(default, rename = "link")]
    pub links: Vec<Link>,
    /// Modes and owners that only this channel needs.
    #[serde(default, rename = "file")]
    pub files: Vec<FileRule>,
}

/// A line of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its id.
    pub gid: u32,
    /// Its members, except accounts for which it is the primary group.
    #[serde(default)]
    pub members: Vec<String>,
}

/// A line of `/etc/passwd`; always without a password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its id.
    pub uid: u32,
    /// Name of the primary group.
    pub group: String,
    /// Full name or purpose.
    #[serde(default)]
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// The login shell; by default one that refuses logins.
    #[serde(default = "nologin")]
    pub shell: String,
}

fn nologin() -> String {
    "/sbin/nologin".to_owned()
}

/// A directory with its mode and owner. Paths are absolute.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Directory {
    /// Absolute path.
    pub path: AbsolutePath,
    /// Octal, as in `"0755"`.
    pub mode: Mode,
    /// Name of the owner.
    #[serde(default = "root")]
    pub owner: String,
    /// Name of the group.
    #[serde(default = "root")]
    pub group: String,
}

/// Mode and owner of one file. Paths are absolute.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileRule {
    /// Absolute path.
    pub path: AbsolutePath,
    /// Octal, as in `"2755"`.
    pub mode: Mode,
    /// Name of the owner.
    #[serde(default = "root")]
    pub owner: String,
    /// Name of the group.
    #[serde(default = "root")]
    pub group: String,
}

fn root() -> String {
    "root".to_owned()
}

/// A symbolic link: `path` points to `target`, written as given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Link {
    /// Absolute path of the link.
    pub path: AbsolutePath,
    /// What it points to.
    pub target: String,
}

/// A recipe's image configuration (OCI image-spec, `config.md`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageConfig {
    /// The program with its first arguments.
    pub entrypoint: Vec<String>,
    /// Further arguments, which `docker run IMAGE …` replaces.
    #[serde(default)]
    pub cmd: Vec<String>,
    /// Environment variables; `PATH` is always set.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The program's working directory.
    #[serde(default)]
    pub working_dir: Option<String>,
    /// The program's account; root by default.
    #[serde(default)]
    pub user: Option<String>,
    /// The signal that stops the program, such as `SIGTERM`.
    #[serde(default)]
    pub stop_signal: Option<String>,
    /// Exposed ports, such as `25/tcp`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// Paths that contain data.
    #[serde(default)]
    pub volumes: Vec<AbsolutePath>,
    /// How to check that it works.
    #[serde(default)]
    pub healthcheck: Option<Healthcheck>,
    /// Labels of the image's configuration, besides title, description and time of creation.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the image's manifest, besides the same.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// Where programs are looked for in every image unless its recipe says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl ImageConfig {
    /// `PATH` in the image.
    #[must_use]
    pub fn search_path(&self) -> &str {
        self.env.get("PATH").map_or(PATH, String::as_str)
    }
}

/// How an engine checks that a container works. Durations are in seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Healthcheck {
    /// Command and arguments, without a shell.
    pub command: Vec<String>,
    /// The time between two checks.
    pub interval: u32,
    /// The time limit of a check.
    pub timeout: u32,
    /// The time after the start in which failures don't count.
    pub start_period: u32,
    /// The number of consecutive failures that make it unhealthy.
    pub retries: u32,
}

/// How the compose file runs the image. Every key may be left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Service {
    /// What the service does for commands such as `mailimg user`.
    pub role: Option<Role>,
    /// The container's host name, by which the other services reach it, too. A template: `"{{site.hostname}}"`.
    /// Without it, the image's name.
    pub hostname: Option<String>,
    /// Published container ports; the site chooses the host ports.
    pub publish: Vec<u16>,
    /// Named volumes: volume name to absolute path.
    pub volumes: BTreeMap<Name, AbsolutePath>,
    /// Read-only mounts of the site's host directories: which one, to absolute path.
    pub mounts: BTreeMap<Mount, AbsolutePath>,
    /// Secrets, each a file `/run/secrets/<name>`: the name and what it is. `mailimg secrets init` makes them. Services
    /// that name the same secret share it.
    pub secrets: BTreeMap<Name, SecretKind>,
    /// Writable memory file systems: path to mount options (`mode=0755,size=16m`).
    pub tmpfs: BTreeMap<AbsolutePath, String>,
    /// Capabilities to keep; all others are dropped.
    pub capabilities: Vec<String>,
    /// Networks. Without any, the service is in compose's default network, which reaches the world.
    pub networks: Vec<Network>,
    /// Services that must be healthy first.
    pub depends_on: Vec<Name>,
    /// Seconds to wait after the stop signal.
    pub stop_grace_period: Option<u32>,
    /// Memory limit in MiB. Without it there is none.
    pub memory: Option<u32>,
    /// The CPU share relative to other services when the processor is busy; engines default to 1024.
    pub cpu_shares: u32,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            role: None,
            hostname: None,
            publish: Vec::new(),
            volumes: BTreeMap::new(),
            mounts: BTreeMap::new(),
            secrets: BTreeMap::new(),
            tmpfs: BTreeMap::new(),
            capabilities: Vec::new(),
            networks: Vec::new(),
            depends_on: Vec::new(),
            stop_grace_period: None,
            memory: None,
            cpu_shares: 1024,
        }
    }
}

/// What a service does for mailimg's own commands. At most one service of a site has each role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The database of users and aliases, which `mailimg user` and `mailimg alias` change.
    Accounts,
    /// The server that stores mail.
    Mailboxes,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accounts => "accounts",
            Self::Mailboxes => "mailboxes",
        })
    }
}

/// What a secret is, and so how it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// Random letters and digits.
    Password,
    /// The certificate of the site's own authority, which signs those of its services. Its key stays on the host.
    Authority,
    /// A private key, and the certificate of the site's authority for the service's name, in one file.
    Certificate,
}

/// A host directory of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mount {
    /// `fullchain.pem` and `privkey.pem`: the site's `tls.directory`, or else `secrets/tls`.
    Tls,
    /// `<selector>.<domain>.pem`, the DKIM keys: `secrets/dkim`.
    Dkim,
}

/// A network of the compose file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Reaches only the other services.
    Internal,
    /// Reaches the world; needed to publish ports.
    Outside,
}
