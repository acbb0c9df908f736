//! Sites, agents, and what agents mind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{dtls, full_importance, is_default, is_dtls, is_false, is_full_importance, is_off, off, twenty, utc};
use crate::base::{Medium, Redacted};
use crate::core::contact::{Mode, Value};

/// Seconds from one question to the next where a site says nothing.
pub const PROBE_S: u32 = 10;

/// Seconds that chats stay with an agent to whom no way leads, where the site says nothing: links come and go.
pub const CHAT_GRACE_S: u32 = 30;

/// The same of what waits for no answer at once: it may be half done.
pub const WORK_GRACE_S: u32 = 900;

/// `[[site]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Name, unique.
    pub name: String,
    /// IANA time zone.
    #[serde(default = "utc")]
    pub timezone: String,
    /// Trunks that lead to the site's own switch, in the order in which they are tried where they cost the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trunks: Vec<String>,
    /// Leading digits that an agent's extension loses on these trunks. The trunk's own `strip` belongs to its `prefix`, and
    /// does not count here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub extension_strip: u8,
    /// What is then put before it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub extension_prefix: String,
    /// Seconds from one question (OPTIONS) to the next whether the SIP phone of an agent who is signed in answers; 0: none is
    /// asked.
    #[serde(default = "probe_s", skip_serializing_if = "is_probe_s")]
    pub probe_s: u32,
    /// Seconds that chats stay with an agent to whom no way leads; 0: for good.
    #[serde(default = "chat_grace_s", skip_serializing_if = "is_chat_grace_s")]
    pub chat_grace_s: u32,
    /// The same of emails, voicemails and faxes.
    #[serde(default = "work_grace_s", skip_serializing_if = "is_work_grace_s")]
    pub work_grace_s: u32,
}

fn chat_grace_s() -> u32 {
    CHAT_GRACE_S
}
fn is_chat_grace_s(seconds: &u32) -> bool {
    *seconds == CHAT_GRACE_S
}
fn work_grace_s() -> u32 {
    WORK_GRACE_S
}
fn is_work_grace_s(seconds: &u32) -> bool {
    *seconds == WORK_GRACE_S
}
fn probe_s() -> u32 {
    PROBE_S
}
fn is_probe_s(seconds: &u32) -> bool {
    *seconds == PROBE_S
}

/// `[[agent]]`. With `range = [0, 499]` the entry stands for 500 agents and `{n}` in its texts is the number; `expand`
/// turns it into single agents.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Tenant's name.
    pub tenant: String,
    /// Name, unique within the tenant.
    pub name: String,
    /// Inclusive numbers that `{n}` stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[u32; 2]>,
    /// Site's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Number of the phone at the site's own switch, dialled on the site's trunks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Number of a telephone outside, dialled as any number by the trunks that lead there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Fixed SIP address of the phone (`sip:user@host:port`). Without it the phone registers as `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// User name under which the phone registers and authenticates, unique on the appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The phone's SIP password. Sealed at rest, never printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Redacted<String>>,
    /// Digits keyed to sign in by phone, unique within the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// PIN keyed after the code. Sealed at rest, never printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Redacted<String>>,
    /// Skill name to level (0 < level <= 1).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<String, f64>,
    /// Other tenants whose contacts the agent takes as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serves: Vec<Serves>,
    /// Skill name to points (0..=100) by which a contact that needs it scores less with this agent: short for a preferred
    /// modifier of importance 0 with that cost.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub backup: BTreeMap<String, u8>,
    /// Attribute name to its symbol, its symbols, or its level.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Value>,
    /// How an attribute of a contact counts with this agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modifier: Vec<AgentModifier>,
    /// Contacts of a medium at once; voice 1, video 1, chat 3, email 1, voicemail 1 and fax 1 unless said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<Medium, u8>,
    /// Whether the agent is signed in when first provisioned.
    #[serde(default, skip_serializing_if = "is_false")]
    pub signed_in: bool,
    /// Seconds an offer rings before it moves on.
    #[serde(default = "twenty")]
    pub ring_s: u32,
    /// Seconds of wrap-up after a call; 0 for none.
    #[serde(default)]
    pub wrap_up_s: u32,
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

/// `[[agent.modifier]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentModifier {
    /// The attribute or skill.
    pub attribute: String,
    /// The symbol that a contact has; of a level none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// `required`: only contacts that have it are offered; `forbidden`: none that have it; `preferred`: those score higher.
    pub mode: Mode,
    /// How much a preferred one weighs, 0..=100.
    #[serde(default = "full_importance", skip_serializing_if = "is_full_importance")]
    pub importance: u8,
    /// Points (0..=100) by which a contact that has it scores less with this agent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cost: u8,
}

/// `serves = [{ .. }]` of an agent: another tenant, and what the agent can do for it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serves {
    /// That tenant's name.
    pub tenant: String,
    /// That tenant's skills to levels (0 < level <= 1).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<String, f64>,
}
