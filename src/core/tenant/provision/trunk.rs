//! Trunks as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{dtls, four, is_default, is_dtls, is_false, is_off, is_true, is_utc, off, one16, utc, yes};
use crate::base::Redacted;
use crate::core::tls::ClientTls;
use crate::core::trunk::admission::Decimal;

/// `[[trunk]]`: a SIP peering, or (with `kind = "tdm"`) the circuits of the spans that name it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trunk {
    /// Name, unique.
    pub name: String,
    /// `sip` or `tdm`.
    pub kind: String,
    /// SIP peers by priority (lower first) and weight (RFC 2782's meaning).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peer: Vec<Peer>,
    /// User name for digest authentication towards the peer, and for registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password. Sealed at rest, never printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Redacted<String>>,
    /// Whether to register with the first peer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub register: bool,
    /// Whether calls from the peers' addresses must authenticate as `user`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub authenticate: bool,
    /// Whether the peers belong to the same trust domain (RFC 3325): whom they assert as caller is believed, and they are
    /// told callers' numbers, withheld ones, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub trusted: bool,
    /// The name of the appliance that it leads to, where that is one of ours (`[node]` there): both trust each other, flows reach
    /// its numbers as `node:NAME/NUMBER`, and calls keep their trace and what is known of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Prefixes of dialled numbers that go out here; the longest match of all trunks wins, and of those with the same one the
    /// cheapest. Empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefix: Vec<String>,
    /// Leading digits to strip before dialling out.
    #[serde(default)]
    pub strip: u8,
    /// What a call out costs, by the minute, in any unit that is the same for all trunks; of those that lead to a number the
    /// cheapest is tried first. An exact decimal.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cost: Decimal,
    /// What it costs at certain hours instead: the first entry whose hours are open counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tariff: Vec<Tariff>,
    /// When calls go out here; always when empty. Outside of them it is as though it had no prefix, but for emergency calls.
    #[serde(default, skip_serializing_if = "Hours::is_empty")]
    pub hours: Hours,
    /// IANA time zone of both.
    #[serde(default = "utc", skip_serializing_if = "is_utc")]
    pub timezone: String,
    /// Whose number a peer is told of the caller; when absent `pass` on a `trusted` trunk and one to a site's own
    /// switch, else `own`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<CallerId>,
    /// With `caller_id = "fixed"`: the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_number: Option<String>,
    /// Which idle circuit a call out takes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hunt: Hunt,
    /// Most calls at once, in and out; 0 for as many as there are circuits, by SIP without limit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub calls_max: u32,
    /// Of these so many are left to calls out: calls in are refused before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reserved_out: u32,
    /// Calls up to which the trunk is not short, for tenants with a contract and `[admission] mode = "literal"`; 0 for no such test.
    #[serde(default, skip_serializing_if = "is_default")]
    pub permitted: u32,
    /// Takes no new calls, in or out; those in progress go on (busied out). Emergency calls go all the same.
    #[serde(default, skip_serializing_if = "is_false")]
    pub out_of_service: bool,
    /// Whether another call is ended where all circuits are taken and an emergency call is to go out: a conversation can be had
    /// again. By SIP as many as `calls_max` are taken.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub emergency_preempts: bool,
    /// How calls by TLS are made, and whether callers are known by their certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
    /// SIP URI of a proxy that all our requests to the peers go through (RFC 3261 section 8.1.2), `sip:HOST:PORT;lr`;
    /// a name is looked up as a peer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound_proxy: Option<String>,
    /// Seconds without any answer after which a call tries the next way (RFC 3261's own timer B is 32 s).
    #[serde(default = "four")]
    pub failover_s: u32,
    /// Whether media is encrypted (SRTP, RFC 3711): `off`, `optional` (where the other side can; offered beside plain RTP,
    /// RFC 8643) or `required` (a call without it is refused with 488).
    #[serde(default = "off", skip_serializing_if = "is_off")]
    pub srtp: String,
    /// Keys that we offer for it: `dtls` (a DTLS handshake, RFC 5763), `sdes` (keys in the session description, RFC 4568,
    /// over TLS only) or `sdes-in-clear` (the same over UDP and TCP as well, where whoever reads the signalling can
    /// listen). What the other side offers is taken either way, but keys in clear only with `sdes-in-clear`.
    #[serde(default = "dtls", skip_serializing_if = "is_dtls")]
    pub srtp_keys: String,
}

/// Opening hours as those of a flow: days to ranges of times, `{ mo-fr = "08:00-12:00 13:00-18:00" }`. On the days of
/// `holidays`, `"2026-12-24 --12-25"`, it is closed.
pub type Hours = BTreeMap<String, String>;

/// `[[trunk.tariff]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// When it counts.
    pub hours: Hours,
    /// What a call out costs then.
    pub cost: Decimal,
}

/// Whose number the peers of a trunk are told of the caller. Who withholds its number is not shown by any of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallerId {
    /// A number of the tenant's own: the caller's, else that which the client had dialled, else the tenant's main number.
    Own,
    /// Whatever the tenant wants to be shown, also a client's number when its call is sent on.
    Pass,
    /// `caller_number`, for all tenants.
    Fixed,
    /// None (RFC 3323); peers that are trusted are told the tenant's own number for themselves (RFC 3325). Emergency calls are
    /// shown as by `own`.
    Withheld,
}

impl CallerId {
    /// All of them.
    pub const ALL: [CallerId; 4] = [CallerId::Own, CallerId::Pass, CallerId::Fixed, CallerId::Withheld];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Pass => "pass",
            Self::Fixed => "fixed",
            Self::Withheld => "withheld",
        }
    }
}

/// What a tenant wants to be shown of its callers on trunks, as far as they show it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// The caller's number.
    #[default]
    Caller,
    /// The tenant's main number.
    Main,
    /// None.
    Withheld,
}

impl Shown {
    /// All of them.
    pub const ALL: [Shown; 3] = [Shown::Caller, Shown::Main, Shown::Withheld];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Main => "main",
            Self::Withheld => "withheld",
        }
    }
}

/// In which order the idle circuits of a trunk are taken. Where the far end takes them too, let it hunt the other way round:
/// both then meet (glare) only when all are taken.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hunt {
    /// The lowest.
    #[default]
    Ascending,
    /// The highest.
    Descending,
    /// That which has carried the fewest calls since the start.
    LeastUsed,
    /// The next after the one taken last.
    RoundRobin,
}

impl Hunt {
    /// All of them.
    pub const ALL: [Hunt; 4] = [Hunt::Ascending, Hunt::Descending, Hunt::LeastUsed, Hunt::RoundRobin];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "ascending",
            Self::Descending => "descending",
            Self::LeastUsed => "least-used",
            Self::RoundRobin => "round-robin",
        }
    }
}

/// `[[trunk.peer]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// IP address, or a name whose servers DNS has (RFC 3263): by NAPTR and SRV records, each tried in turn, when `port` is
    /// absent, else by its addresses alone. Calls are taken from all these addresses; where DNS cannot be trusted so far, let
    /// peers show a certificate (`[trunk.tls] identify`) or authenticate.
    pub address: String,
    /// Port that our requests go to; when absent 5060 (TLS: 5061), or what DNS says. Calls are taken from any port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `udp`, `tcp` or `tls`; when absent `udp`, or what DNS says of a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Lower is tried first.
    #[serde(default)]
    pub priority: u16,
    /// Share among peers of one priority.
    #[serde(default = "one16")]
    pub weight: u16,
    /// OPTIONS every so many seconds; 0 for none (the peer then counts as healthy).
    #[serde(default)]
    pub options_s: u32,
}
