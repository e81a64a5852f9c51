/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Smtp,
    Imap,
}

/// A port of the site, as its images know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) port: u16,
    pub(super) protocol: Protocol,
    /// Whether TLS begins only when the client asks for it.
    pub(super) starttls: bool,
}

/// The ports that are tested, if the site publishes them. The safest port to log in on comes first.
pub(super) const ENDPOINTS: [Endpoint; 5] = [
    Endpoint { port: 25, protocol: Protocol::Smtp, starttls: true },
    Endpoint { port: 587, protocol: Protocol::Smtp, starttls: true },
    Endpoint { port: 465, protocol: Protocol::Smtp, starttls: false },
    Endpoint { port: 993, protocol: Protocol::Imap, starttls: false },
    Endpoint { port: 143, protocol: Protocol::Imap, starttls: true },
];
