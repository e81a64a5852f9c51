use serde::{Deserialize, Serialize, Serializer};

use super::values::{AbsolutePath, Address, DomainName, Name, Word};

/// `mailimg.toml`: all settings of a site that aren't secret, each in one place.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Site {
    /// The full name of the mail server, `mail.example.org`, for HELO, certificate and authentication results.
    #[serde(default)]
    pub hostname: Option<DomainName>,
    /// Mail domains; the first is the primary one.
    #[serde(default, serialize_with = "unset_if_empty")]
    pub domains: Vec<DomainName>,
    /// The mailbox for `postmaster@` and `abuse@` of every domain, unless a domain has a user or alias of that name.
    #[serde(default)]
    pub postmaster: Option<Address>,
    /// Name of a folder under `apk-locks/`.
    pub channel: Name,
    /// Images to build; names of recipes.
    pub images: Vec<Name>,
    /// The most layers that an image may have, from 2 to 125.
    #[serde(default = "layers")]
    pub layers: u32,
    /// Certificate and encryption.
    #[serde(default)]
    pub tls: Tls,
    /// What each port allows.
    #[serde(default)]
    pub smtp: Smtp,
    /// ClamAV.
    #[serde(default)]
    pub antivirus: Antivirus,
    /// Signing.
    #[serde(default)]
    pub dkim: Dkim,
    /// Policy checks.
    #[serde(default)]
    pub dmarc: Dmarc,
    /// Sizes.
    #[serde(default)]
    pub limits: Limits,
    /// Where images are pushed to.
    #[serde(default)]
    pub registry: Option<Registry>,
}

/// The fewest layers of an image: one with packages, and the top layer.
pub(super) const LEAST_LAYERS: u32 = 2;

/// The most layers of an image. Docker mounts at most 125 (`maxLayerDepth` of its layer store).
pub(super) const MOST_LAYERS: u32 = 125;

fn layers() -> u32 {
    12
}

/// To templates, a list without items is a value that nobody has set.
fn unset_if_empty<T: Serialize, S: Serializer>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    if list.is_empty() { serializer.serialize_none() } else { list.serialize(serializer) }
}

/// The source of the certificate, and how strict outbound TLS is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Tls {
    /// The host directory with `fullchain.pem` and `privkey.pem`, such as `/etc/letsencrypt/live/mail.example.org`.
    /// Without it, `mailimg secrets init` creates a self-signed certificate.
    pub directory: Option<AbsolutePath>,
    /// Never send without TLS. Mail to servers that don't support it bounces.
    pub outbound_required: bool,
}

/// What the ports allow.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Smtp {
    /// Let users submit mail on port 25 as well. Ports 465 and 587 are meant for that; port 25 attracts password
    /// guessers.
    pub auth_on_25: bool,
}

/// ClamAV. Turning it off saves about 1.2 GB of memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Antivirus {
    /// Scan mail.
    pub enabled: bool,
    /// Fetch ClamAV's own signatures (`main`, `daily`, `bytecode`).
    pub official: bool,
    /// Private mirrors of these, as URLs; empty for ClamAV's own servers.
    pub mirrors: Vec<Word>,
    /// Further signature databases to fetch, by URL. Files are baked instead: see docs/images.md.
    pub databases: Vec<Word>,
}

/// Signing of submitted mail.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Dkim {
    /// The DNS label in front of `_domainkey`.
    pub selector: Name,
}

/// Checks of incoming mail against its domain's policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Dmarc {
    /// Check mail.
    pub enabled: bool,
}

/// Sizes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Largest message, bytes.
    pub message_size: u64,
    /// The default quota of a mailbox, in bytes.
    pub quota: u64,
}

/// Where `mailimg push` pushes images to and the compose file pulls them from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registry {
    /// `host[:port]/path`; an image's name is added to it.
    pub prefix: Word,
    /// The registry speaks HTTP without TLS.
    #[serde(default)]
    pub plain_http: bool,
}

impl Default for Antivirus {
    fn default() -> Self {
        Self { enabled: true, official: true, mirrors: Vec::new(), databases: Vec::new() }
    }
}

impl Default for Dkim {
    fn default() -> Self {
        Self { selector: Name::fixed("mail") }
    }
}

impl Default for Dmarc {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_size: 26_214_400, quota: 1_073_741_824 }
    }
}
