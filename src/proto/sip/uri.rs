//! SIP URIs for those above (RFC 3261 section 19.1): taken apart by the one reader that every message passes, so that nobody
//! sees another host in them than the peers do.

use bytes::Bytes;
use sip_codec::{Host, Scheme, Uri};

use super::Transport;
use super::message::{text, user_of};

/// A `sip` or `sips` URI taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UriParts {
    /// User part, unescaped; of a number without parameters. May be empty.
    pub user: String,
    /// Address or name, without brackets.
    pub host: String,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// The transport, where one is given that we know.
    pub transport: Option<Transport>,
    /// Whether it is a `sips` URI.
    pub secure: bool,
    /// The URI as To and From have it (RFC 3261 section 19.1.1): without parameters and headers.
    pub bare: String,
}

impl UriParts {
    /// `None` for what is no such URI.
    pub fn parse(uri: &str) -> Option<Self> {
        let uri = Uri::parse(Bytes::copy_from_slice(uri.as_bytes())).ok()?;
        let secure = match uri.scheme() {
            Scheme::Sip => false,
            Scheme::Sips => true,
            _ => return None,
        };
        let host = uri.host()?;
        let at = uri.user().map(|user| format!("{}@", text(user))).unwrap_or_default();
        let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(Self {
            user: user_of(&uri),
            host: match host {
                Host::Name(name) => text(name.as_bytes()),
                Host::Ip(address) => address.to_string(),
            },
            port: uri.port(),
            transport: uri.transport().and_then(|name| Transport::from_name(&text(name))),
            secure,
            bare: format!("{}:{at}{host}{port}", if secure { "sips" } else { "sip" }),
        })
    }
}
