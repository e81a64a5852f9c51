use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize, Serializer};

use super::name_server::NameServer;
use super::network::Network;
use super::size::Size;
use super::values::{AbsolutePath, Address, DomainName, Name, Port, SiteName, Word};

/// `mailimg.toml` describes one site: everything about it that is not secret. Templates read these values as `site`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Site {
    /// Name of the site on its engine. Containers, networks and volumes begin with it, so a site that gets another name
    /// starts with empty volumes; the old ones keep its mail.
    #[serde(default)]
    pub name: Option<SiteName>,
    /// Full host name of the server, such as `mail.example.org`: in its greeting, its certificate and
    /// `Authentication-Results`. The reverse DNS (PTR) record of the server's address should name it.
    #[serde(default)]
    pub hostname: Option<DomainName>,
    /// Domains that the site receives mail for. The first is the primary one. A domain that is taken out keeps its users,
    /// aliases and mail: they rest, and work again when it returns.
    #[serde(default, serialize_with = "unset_if_empty")]
    pub domains: Vec<DomainName>,
    /// Mailbox for mail to `postmaster@` and `abuse@` of every domain. A user or alias of that name takes precedence. As
    /// long as nobody receives mail for this address, such mail is refused.
    #[serde(default)]
    pub postmaster: Option<Address>,
    /// Where packages come from: the name of a folder in `apk-locks/`.
    pub channel: Name,
    /// Images to build and run: names of recipes, without `.toml`.
    pub images: Vec<Name>,
    /// The maximum number of layers per image. With more layers, images share more and updates are smaller, but each
    /// layer takes an engine about 60 ms to load.
    #[serde(default = "layers")]
    #[cfg_attr(test, schemars(range(min = LEAST_LAYERS, max = MOST_LAYERS)))]
    pub layers: u32,
    /// Where the host publishes the ports of the images.
    #[serde(default)]
    pub publish: Publish,
    /// The certificate, and encryption of outgoing mail.
    #[serde(default)]
    pub tls: Tls,
    /// What clients may do on which port.
    #[serde(default)]
    pub smtp: Smtp,
    /// Load balancers in front of the server that tell it who their clients are.
    #[serde(default)]
    pub proxy: Proxy,
    /// A server that relays all outgoing mail. Without it, mail goes straight to the servers that receive it.
    #[serde(default)]
    pub relay: Option<Relay>,
    /// How users reach their mail.
    #[serde(default)]
    pub imap: Imap,
    /// How the mail server asks DNS.
    #[serde(default)]
    pub dns: Dns,
    /// Virus scanning with ClamAV.
    #[serde(default)]
    pub antivirus: Antivirus,
    /// DKIM signatures of outgoing mail.
    #[serde(default)]
    pub dkim: Dkim,
    /// DMARC: checks of incoming mail against the policy of the domain in its From header.
    #[serde(default)]
    pub dmarc: Dmarc,
    /// Limits on size and number.
    #[serde(default)]
    pub limits: Limits,
    /// Where `mailimg push` puts images, and where the compose file takes them from. Without it, the compose file uses
    /// images loaded into the local engine.
    #[serde(default)]
    pub registry: Option<Registry>,
}

/// The fewest layers of an image: one with packages, and the top layer.
pub(super) const LEAST_LAYERS: u32 = 2;

/// The most layers of an image. Docker mounts at most 125 (`maxLayerDepth` of its layer store).
pub(super) const MOST_LAYERS: u32 = 125;

/// The largest message that `limits.message-size` can allow: `MaxFileSize` in clamd.conf, since ClamAV passes what is
/// larger as clean.
pub(super) const MOST_MESSAGE_SIZE: Size = Size::new(200 << 20);

fn layers() -> u32 {
    12
}

/// To templates, a list without items is a value that nobody has set.
fn unset_if_empty<T: Serialize, S: Serializer>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    if list.is_empty() { serializer.serialize_none() } else { list.serialize(serializer) }
}

/// Where the host publishes the ports of the images.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Publish {
    /// Addresses of the host to publish ports on. If one is an IPv6 address, such as `::`, the mail server also sends
    /// mail over IPv6. The engine must route IPv6 to containers, as Docker does since version 27: otherwise every IPv6
    /// client appears to be the engine itself, which defeats SPF and bans.
    pub bind: Vec<IpAddr>,
    /// Ports of the host that differ from the image's, such as `{ 25 = 2525 }`.
    pub ports: BTreeMap<Port, NonZeroU16>,
}

/// The certificate, and encryption of outgoing mail.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Tls {
    /// Directory of the host with `fullchain.pem` and `privkey.pem`, such as `/etc/letsencrypt/live/mail.example.org`.
    /// Without it, `mailimg secrets init` creates a self-signed certificate.
    pub directory: Option<AbsolutePath>,
    /// Send mail only to servers that offer TLS. Mail to other servers bounces after five days.
    pub outbound_required: bool,
}

/// What clients may do on which port.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Smtp {
    /// Let users log in on port 25 as well as on 465 and 587. Password guessers try port 25 first.
    pub auth_on_25: bool,
    /// Refuse a user's mail whose From is neither the address that it is sent with, which must be one of the user's,
    /// nor the login.
    pub check_from: bool,
    /// Keep the address and host name of a logged-in client out of the mail that it submits. The log still has them.
    pub hide_clients: bool,
    /// Networks whose clients may send to anybody on port 25 without a login, such as `192.0.2.0/28`. Their mail is
    /// signed, and neither `check-from` nor DMARC applies to it. Never list the engine's own networks: strangers can
    /// appear to be in them.
    #[serde(serialize_with = "unset_if_empty")]
    pub trusted_networks: Vec<Network>,
    /// Let Postfix's postscreen refuse clients on port 25 that talk before they are greeted, as bots do. They never
    /// reach the mail server itself.
    pub postscreen: bool,
    /// Give mail that aliases and Sieve scripts forward to other servers a sender in the primary domain, because the SPF
    /// record of the original one doesn't list this server. Bounces still reach the original sender. Mail from the
    /// site's own `domains`, and mail that stays here, keeps its sender.
    pub srs: bool,
}

/// Load balancers in front of the server, such as `HAProxy`, nginx or Traefik, that tell it who their clients are with the
/// PROXY protocol.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Proxy {
    /// Networks of the load balancers, such as `10.1.2.0/28`. They connect to ports of their own, 20025, 20465, 20587 and
    /// 20993, where nobody else is let in. Whoever is in these networks can claim to be any client, so never list the
    /// engine's own networks: strangers can appear to be in them.
    pub networks: Vec<Network>,
}

/// A server that relays all outgoing mail, for networks whose port 25 is blocked, or whose addresses are not trusted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Relay {
    /// Host name of the server.
    pub host: DomainName,
    /// Its port. On 465, TLS begins at once.
    #[serde(default = "submission_port")]
    pub port: NonZeroU16,
    /// Name to log in with; this requires TLS. `mailimg secrets set relay-password` stores the password.
    #[serde(default)]
    pub user: Option<Word>,
    /// Log in only if the server's certificate is valid and names `host`. If false, anyone who poses as the server
    /// learns the password.
    #[serde(default = "yes")]
    pub verify_certificate: bool,
}

fn submission_port() -> NonZeroU16 {
    const { NonZeroU16::new(587).unwrap() }
}

fn yes() -> bool {
    true
}

/// How users reach their mail.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Imap {
    /// Serve `ManageSieve` on port 4190, so that users can edit their Sieve scripts with mail programs.
    pub managesieve: bool,
    /// Serve Dovecot's metrics to Prometheus: `http://dovecot:9900/metrics`, in the site's own networks only.
    pub metrics: bool,
}

/// How the mail server asks DNS. It has its own resolver, which validates DNSSEC.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Dns {
    /// Addresses of servers to ask, for networks that don't let the resolver ask the Internet's name servers itself.
    /// They must pass on DNSSEC signatures. The port is 53 unless one is given: `192.0.2.53:5353` or
    /// `[2001:db8::53]:5353`.
    pub forward: Vec<NameServer>,
    /// Domains whose answers need no valid DNSSEC signatures, with all names below them, such as a private domain that
    /// only the servers in `forward` know.
    pub insecure: Vec<DomainName>,
}

/// Virus scanning with ClamAV, which needs about 1.2 GB of memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the site's owner")]
pub struct Antivirus {
    /// Scan all mail. If false, ClamAV is neither built nor run.
    pub enabled: bool,
    /// Fetch ClamAV's own signatures (`main`, `daily`, `bytecode`).
    pub official: bool,
    /// Private mirrors to fetch ClamAV's signatures from, by URL, instead of its own servers.
    pub mirrors: Vec<Word>,
    /// Additional signature databases to fetch, by URL.
    pub databases: Vec<Word>,
    /// Refuse mail that can't be scanned completely, such as an archive with more than 10,000 files or with archives
    /// nested more than 16 deep. If false, it is delivered, and its `X-Virus-Status` header says so.
    pub refuse_unscanned: bool,
    /// Refuse mail with a link whose text names a different server from the one that it leads to. Phishers do that, but
    /// so do newsletters that count clicks.
    pub phishing_links: bool,
}

/// DKIM signatures of outgoing mail.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Dkim {
    /// The DNS record with the public key is `<selector>._domainkey.<domain>`.
    pub selector: Name,
}

/// DMARC: checks of incoming mail against the policy of the domain in its From header.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Dmarc {
    /// Check mail from outside, and reject what the policy says to reject. Mail in the site's own `domains`, or in
    /// domains below them, is rejected unless SPF or DKIM shows that it comes from them, whatever policy DNS publishes.
    pub enabled: bool,
    /// Own domains, or domains below them, for which only the policy in DNS counts: others send mail in them without
    /// SPF and DKIM.
    pub exempt: Vec<DomainName>,
}

/// Limits on size and number.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Largest message, in bytes or with a unit: `"25M"`. At most 200M, the most that the virus scanner reads.
    pub message_size: Size,
    /// Quota of a mailbox, in bytes or with a unit: `"1G"`. `mailimg user add --quota` sets a different one for one user.
    pub quota: Size,
    /// How many recipients one user may send to within an hour, so that a stolen password doesn't get the server onto
    /// block lists. Further mail is refused until later. 0: no limit.
    pub recipients_per_hour: u32,
}

/// A registry for the images.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registry {
    /// `host[:port]/path`, to which the name of each image is added.
    pub prefix: Word,
    /// Use HTTP without TLS, for a registry in your own network.
    #[serde(default)]
    pub plain_http: bool,
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            auth_on_25: false,
            check_from: true,
            hide_clients: true,
            trusted_networks: Vec::new(),
            postscreen: true,
            srs: true,
        }
    }
}

impl Default for Publish {
    fn default() -> Self {
        Self { bind: vec![Ipv4Addr::UNSPECIFIED.into()], ports: BTreeMap::new() }
    }
}

impl Publish {
    /// The port of the host for a port of an image.
    #[must_use]
    pub fn host_port(&self, port: u16) -> u16 {
        self.ports.iter().find(|(inside, _)| inside.number() == port).map_or(port, |(_, outside)| outside.get())
    }

    /// Whether clients come over IPv6.
    #[must_use]
    pub fn has_ipv6(&self) -> bool {
        self.bind.iter().any(IpAddr::is_ipv6)
    }
}

impl Default for Antivirus {
    fn default() -> Self {
        Self {
            enabled: true,
            official: true,
            mirrors: Vec::new(),
            databases: Vec::new(),
            refuse_unscanned: false,
            phishing_links: false,
        }
    }
}

impl Default for Dkim {
    fn default() -> Self {
        Self { selector: Name::fixed("mail") }
    }
}

impl Default for Dmarc {
    fn default() -> Self {
        Self { enabled: true, exempt: Vec::new() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_size: Size::new(25 << 20), quota: Size::new(1 << 30), recipients_per_hour: 300 }
    }
}
