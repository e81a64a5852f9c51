use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::values::{AbsolutePath, Mode, Name};

/// `recipes/<image>.toml` describes one image: what it is made of, and how it runs.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// The file's name without `.toml`, which is also the name of the image and the service.
    #[serde(skip)]
    pub name: String,
    /// One line on what the image is for. It becomes the label `org.opencontainers.image.description`.
    pub description: String,
    /// A section of `mailimg.toml` with a switch `enabled`, such as `antivirus`. While the switch is off, the image is
    /// neither built nor run.
    #[serde(default)]
    pub feature: Option<Name>,
    /// Packages to install, as in apk's world file: `postfix`, `postfix>=3.10`, `!sendmail`.
    pub world: Vec<String>,
    /// Folders in `images/` with files that several images share. Their `rootfs` is baked first, then the image's own
    /// `images/<image>/rootfs`, which wins where both have a file.
    #[serde(default)]
    pub rootfs: Vec<Name>,
    /// More such folders if a switch in `mailimg.toml` is on, such as `{ "proxy.networks" = ["proxy"] }`.
    #[serde(default)]
    pub rootfs_if: BTreeMap<String, Vec<Name>>,
    /// What differs by channel. A recipe with such sections can only be locked against the channels it names.
    #[serde(default)]
    pub channel: BTreeMap<String, RecipeChannel>,
    /// Groups with fixed ids, in addition to those in packages' `etc/group`.
    #[serde(default, rename = "group")]
    pub groups: Vec<Group>,
    /// Accounts with fixed ids, in addition to those in packages' `etc/passwd`.
    #[serde(default, rename = "user")]
    pub users: Vec<User>,
    /// Directories to create. If one already exists, its mode and owner are set.
    #[serde(default, rename = "directory")]
    pub directories: Vec<Directory>,
    /// Modes and owners of baked files or of packages' files. A baked file is 0644, or 0755 if it is executable, and
    /// belongs to root by default.
    #[serde(default, rename = "file")]
    pub files: Vec<FileRule>,
    /// Symbolic links to create.
    #[serde(default, rename = "link")]
    pub links: Vec<Link>,
    /// The image's configuration: what an engine runs, and how.
    pub image: ImageConfig,
    /// How the compose file runs the image.
    #[serde(default)]
    pub service: Service,
}

/// What a recipe adds for one channel.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecipeChannel {
    /// Packages to install in addition to the recipe's.
    #[serde(default)]
    pub world: Vec<String>,
    /// Paths that differ between channels. Templates read them as `{{paths.NAME}}`.
    #[serde(default)]
    pub paths: BTreeMap<String, String>,
    /// Symbolic links that only this channel needs.
    #[serde(default, rename = "link")]
    pub links: Vec<Link>,
    /// Modes and owners that only this channel needs.
    #[serde(default, rename = "file")]
    pub files: Vec<FileRule>,
}

/// A line of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Group {
    /// The group's name.
    pub name: String,
    /// The group's id.
    pub gid: u32,
    /// Accounts in it, besides those that have it as their primary group.
    #[serde(default)]
    pub members: Vec<String>,
}

/// A line of `/etc/passwd`. No account has a password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct User {
    /// The account's name.
    pub name: String,
    /// The account's id.
    pub uid: u32,
    /// The primary group's name.
    pub group: String,
    /// Full name or purpose.
    #[serde(default)]
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    #[serde(default = "nologin")]
    pub shell: String,
}

fn nologin() -> String {
    "/sbin/nologin".to_owned()
}

/// A directory with its mode and owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

/// Mode and owner of one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Link {
    /// Absolute path of the link.
    pub path: AbsolutePath,
    /// What it points to.
    pub target: String,
}

/// The image's configuration, as in the OCI image specification.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageConfig {
    /// The program with its first arguments.
    pub entrypoint: Vec<String>,
    /// Default arguments. `docker run IMAGE ARGUMENTS` replaces them.
    #[serde(default)]
    pub cmd: Vec<String>,
    /// Environment variables. `PATH` has a default.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The program's working directory.
    #[serde(default)]
    pub working_dir: Option<String>,
    /// The account that the program runs as. The default is root.
    #[serde(default)]
    pub user: Option<String>,
    /// The signal that asks the program to stop, such as `SIGTERM`.
    #[serde(default)]
    pub stop_signal: Option<String>,
    /// Ports on which the image listens, such as `25/tcp`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// Paths that contain data.
    #[serde(default)]
    pub volumes: Vec<AbsolutePath>,
    /// How an engine finds out whether the container works.
    #[serde(default)]
    pub healthcheck: Option<Healthcheck>,
    /// Labels of the image's configuration, in addition to title, description and creation time, which are always set.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the image's manifest, in addition to title, description and creation time, which are always set.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// The default PATH of images.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl ImageConfig {
    /// `PATH` in the image.
    #[must_use]
    pub fn search_path(&self) -> &str {
        self.env.get("PATH").map_or(PATH, String::as_str)
    }
}

/// A command that an engine runs in the container, which is healthy while the command succeeds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Healthcheck {
    /// Command and arguments, without a shell.
    pub command: Vec<String>,
    /// Seconds between two checks.
    pub interval: u32,
    /// Seconds that one check may take.
    pub timeout: u32,
    /// Seconds after the start in which failures don't count.
    pub start_period: u32,
    /// Failures in a row after which the container is unhealthy.
    pub retries: u32,
}

/// How the compose file runs the image. Every key may be left out.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Service {
    /// What the service does for mailimg's own commands.
    pub role: Option<Role>,
    /// The container's host name, which other services can use as well. It is a template, such as `{{site.hostname}}`.
    /// The default is the image's name.
    pub hostname: Option<String>,
    /// Ports of the container to publish on the host. `publish` in `mailimg.toml` says on which addresses, and can give
    /// one a different port there.
    pub publish: Vec<u16>,
    /// More ports to publish if a switch in `mailimg.toml` is on, such as `{ "imap.managesieve" = [4190] }`. A list counts
    /// as one that is on unless the list is empty.
    pub publish_if: BTreeMap<String, Vec<u16>>,
    /// Volumes: the name of each, and where it is mounted.
    pub volumes: BTreeMap<Name, AbsolutePath>,
    /// Directories of the host to mount read-only: which one, and where.
    #[cfg_attr(test, schemars(schema_with = "super::schema::keyed::<Mount, AbsolutePath>"))]
    pub mounts: BTreeMap<Mount, AbsolutePath>,
    /// Secrets: the name and the kind of each. `mailimg secrets init` creates them, and the container reads them as
    /// `/run/secrets/<name>`. Services that name the same secret share it.
    pub secrets: BTreeMap<Name, SecretKind>,
    /// Writable file systems in memory: the path of each, and its mount options, such as `mode=0755,size=16m`.
    pub tmpfs: BTreeMap<AbsolutePath, String>,
    /// Capabilities to keep, such as `NET_BIND_SERVICE`. All others are dropped.
    pub capabilities: Vec<String>,
    /// Networks to join. The default is compose's default network, which can reach the Internet.
    pub networks: Vec<Network>,
    /// Name servers to ask for names that are not other services. `127.0.0.1` is a resolver in the container itself. The
    /// default is the host's name servers.
    pub dns: Vec<IpAddr>,
    /// Services that must be healthy before this one starts.
    pub depends_on: Vec<Name>,
    /// Seconds to wait for the program to stop before it is killed.
    pub stop_grace_period: Option<u32>,
    /// Memory limit in MiB. The default is no limit.
    pub memory: Option<u32>,
    /// Share of the processor relative to the other services, while they compete for it.
    pub cpu_shares: u32,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            role: None,
            hostname: None,
            publish: Vec::new(),
            publish_if: BTreeMap::new(),
            volumes: BTreeMap::new(),
            mounts: BTreeMap::new(),
            secrets: BTreeMap::new(),
            tmpfs: BTreeMap::new(),
            capabilities: Vec::new(),
            networks: Vec::new(),
            dns: Vec::new(),
            depends_on: Vec::new(),
            stop_grace_period: None,
            memory: None,
            cpu_shares: 1024,
        }
    }
}

/// What a service does for mailimg's own commands. At most one service of a site has each role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The database of users and aliases, which `mailimg user` and `mailimg alias` change.
    Accounts,
    /// The server that stores mail.
    Mailboxes,
    /// The server that takes and sends mail, and queues what it can't deliver yet: see `mailimg queue`.
    Queue,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accounts => "accounts",
            Self::Mailboxes => "mailboxes",
            Self::Queue => "queue",
        })
    }
}

/// What a secret is, and so how it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// Random letters and digits.
    Password,
    /// Random keys of letters and digits, one per line. The first is the one to use; the others are still accepted.
    /// `mailimg secrets rotate` adds a new one at the top, and keeps the two before it.
    Keys,
    /// A password that somebody else gave you, such as the one for a relay host. `mailimg secrets set` stores it; until
    /// then, the file is empty.
    Given,
    /// The certificate of the site's own authority, which signs those of its services. Its key stays on the host.
    Authority,
    /// A private key, and a certificate for the service's name that the site's authority signed, in one file.
    Certificate,
}

/// A directory of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mount {
    /// The site's certificate, `fullchain.pem` and `privkey.pem`: from `tls.directory` in `mailimg.toml`, or else from
    /// `secrets/tls`.
    Tls,
    /// The site's DKIM keys, `<selector>.<domain>.pem`: from `secrets/dkim`.
    Dkim,
}

/// A network of the compose file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Can reach only the other services.
    Internal,
    /// Can reach the Internet and be reached from it. Required for published ports.
    Outside,
}
