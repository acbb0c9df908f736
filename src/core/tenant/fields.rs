//! The keys of a provisioning file and the form of their values.

use serde_json::Value;

use crate::core::contact::Weights;
use crate::core::contact::modifier::IMPORTANCE_MAX;
use crate::core::contact::slots::SLOTS_MAX;

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// A string.
    Text,
    /// An array of strings.
    Texts,
    /// `true` or `false`.
    Flag,
    /// An integer from 0 to this.
    Whole(u64),
    /// One of these words; the first stands where one is missing.
    Word(&'static [&'static str]),
    /// A finite number.
    Number,
    /// A decimal number that is not negative, as a number or in quotes; kept as it is written.
    Decimal,
    /// A number from 0 to 1.
    Level,
    /// A table of names and numbers.
    Levels,
    /// A table of names and integers from 0 to this.
    Wholes(u64),
    /// A table of attributes and their values.
    Values,
    /// Opening hours.
    Hours,
    /// An array of two integers.
    Range,
    /// A table with these fields.
    Table(&'static [Field]),
    /// An array of tables with these fields, each `[[..]]` or `{ .. }`.
    Tables(&'static [Field]),
}

impl Form {
    pub(super) fn describe(self) -> String {
        match self {
            Form::Text => "a string".into(),
            Form::Texts => "an array of strings".into(),
            Form::Flag => "true or false".into(),
            Form::Whole(max) => format!("an integer of 0 to {max}"),
            Form::Word(words) => words.join(" or "),
            Form::Number => "a number".into(),
            Form::Decimal => "a decimal number such as 1.25".into(),
            Form::Level => "a level of 0 to 1".into(),
            Form::Wholes(max) => format!("a table of names and integers of 0 to {max}, as {{ sales = 20 }}"),
            Form::Values => {
                "a table of attributes and values, as { language = [\"en\", \"es\"], region = \"west\", calm = 0.8 }"
                    .into()
            }
            Form::Hours => {
                "days and their times, as { mo-fr = \"09:00-12:00 13:00-17:30\", sa = \"10:00-14:00\" }".into()
            }
            Form::Levels => "a table of skills and levels, as { sales = 0.5 }".into(),
            Form::Range => "two integers, as [0, 499]".into(),
            Form::Table(_) => "a table".into(),
            Form::Tables(_) => "an array of tables".into(),
        }
    }

    /// What stands for a value that is required and missing.
    pub(super) fn stand_in(self) -> Value {
        match self {
            Form::Word([first, ..]) => Value::from(*first),
            Form::Texts => Value::Array(Vec::new()),
            Form::Hours => Value::Object(serde_json::Map::new()),
            Form::Decimal => Value::from("1"),
            _ => Value::String(String::new()),
        }
    }
}

/// A key of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) required: bool,
}

const fn needs(name: &'static str) -> Field {
    Field { name, form: Form::Text, required: true }
}

const fn needs_word(name: &'static str, words: &'static [&'static str]) -> Field {
    Field { name, form: Form::Word(words), required: true }
}

const fn may(name: &'static str, form: Form) -> Field {
    Field { name, form, required: false }
}

const U8: Form = Form::Whole(u8::MAX as u64);
const U16: Form = Form::Whole(u16::MAX as u64);
const U32: Form = Form::Whole(u32::MAX as u64);
const TEXT: Form = Form::Text;
const FLAG: Form = Form::Flag;

const SERVER_TLS: &[Field] =
    &[needs("certificate"), needs("key"), may("client_ca", TEXT), may("require_client_certificate", FLAG)];

const DNS: &[Field] = &[may("servers", Form::Texts)];

pub(super) const SIP: &[Field] = &[
    may("listen", Form::Texts),
    may("tls", Form::Table(SERVER_TLS)),
    may("dns", Form::Table(DNS)),
    may("realm", TEXT),
    may("calls_max", U32),
    may("emergency", Form::Texts),
    may("peer_per_s", U32),
    may("phone_per_s", U32),
    may("stranger_per_s", U32),
    may("exempt", Form::Texts),
    may("stop_grace_s", U32),
    may("session_expires_s", U32),
    may("min_se_s", U32),
];

pub(super) const MEDIA: &[Field] = &[
    may("address", TEXT),
    may("address6", TEXT),
    may("port_min", U16),
    may("port_max", U16),
    may("country", TEXT),
    may("codecs", Form::Texts),
    may("comfort_noise", FLAG),
    may("silence_suppression", FLAG),
];

pub(super) const NODE: &[Field] = &[may("name", TEXT), may("roles", Form::Texts)];

const SERVES: &[Field] = &[Field { name: "tenant", form: Form::Text, required: true }, may("skills", Form::Levels)];

pub(super) const ADMISSION: &[Field] = &[
    may("mode", Form::Word(&["priced", "literal"])),
    may("likely_other", Form::Level),
    may("likely_end", Form::Level),
    may("window_s", U32),
];

pub(super) const ACCESS: &[Field] = &[may("socket", TEXT)];

const QUOTA: &[Field] = &[
    may("agents", U32),
    may("queues", U32),
    may("flows", U32),
    may("numbers", U32),
    may("users", U32),
    may("works", U32),
];

const ROLES: &[&str] = &["operator", "auditor", "administrator", "supervisor", "agent"];

const CONTRACT: &[Field] = &[
    Field { name: "trunks", form: Form::Texts, required: true },
    Field { name: "ratio", form: Form::Decimal, required: true },
    may("after_hours", U32),
    may("worth_within", Form::Number),
    may("worth_beyond", Form::Number),
    may("refused", Form::Word(&["no-circuit", "congestion", "busy", "flow", "overflow"])),
    may("refused_flow", TEXT),
    may("refused_to", TEXT),
];

const CLIENT_TLS: &[Field] = &[
    may("ca", TEXT),
    may("certificate", TEXT),
    may("key", TEXT),
    may("server_name", TEXT),
    may("verify", TEXT),
    may("identify", FLAG),
];

const TARIFF: &[Field] = &[
    Field { name: "hours", form: Form::Hours, required: true },
    Field { name: "cost", form: Form::Decimal, required: true },
];

const PEER: &[Field] = &[
    needs("address"),
    may("port", U16),
    may("transport", TEXT),
    may("priority", U16),
    may("weight", U16),
    may("options_s", U32),
];

/// As the weights themselves have them, so that a new one is known here at once.
const WEIGHTS: &[Field] = &{
    let mut fields = [may("", Form::Number); Weights::BOUNDS.len()];
    let mut at = 0;
    while at < fields.len() {
        fields[at].name = Weights::BOUNDS[at].0;
        at += 1;
    }
    fields
};

const ROUTING: &[Field] =
    &[may("policy", Form::Word(&["fifo", "best-skill", "score", "score+hold"])), may("weights", Form::Table(WEIGHTS))];

const MODES: &[&str] = &["required", "preferred", "forbidden"];
const IMPORTANCE: Form = Form::Whole(IMPORTANCE_MAX as u64);

const STEP: &[Field] = &[may("after_s", U32), may("level", Form::Level), may("importance", IMPORTANCE)];

const MODIFIER: &[Field] = &[
    needs("attribute"),
    may("value", TEXT),
    needs_word("mode", MODES),
    may("level", Form::Level),
    may("importance", IMPORTANCE),
    may("schedule", Form::Tables(STEP)),
    may("credit_s", U32),
];

const AGENT_MODIFIER: &[Field] = &[
    needs("attribute"),
    may("value", TEXT),
    needs_word("mode", MODES),
    may("importance", IMPORTANCE),
    may("cost", IMPORTANCE),
];

const ONE: Form = Form::Whole(1);
const SOME: Form = Form::Whole(SLOTS_MAX as u64);

/// By [`Medium::ALL`](crate::base::Medium::ALL).
const SLOTS: &[Field] = &[
    may("voice", ONE),
    may("video", ONE),
    may("chat", SOME),
    may("email", SOME),
    may("voicemail", SOME),
    may("fax", SOME),
];

const TARGETS: &[Field] = &[
    may("voice", U32),
    may("video", U32),
    may("chat", U32),
    may("email", U32),
    may("voicemail", U32),
    may("fax", U32),
];

const STICKY: &[Field] = &[may("importance", IMPORTANCE), may("fade_days", U32)];

/// The tables that may come many times, by name.
pub(super) const ENTRIES: &[(&str, &[Field])] = &[
    ("card", &[needs("name"), needs("driver"), may("spans", U8)]),
    ("span", &[needs("name"), needs("card"), may("span", U8), needs("signalling"), needs("trunk")]),
    (
        "tenant",
        &[
            needs("name"),
            may("country", TEXT),
            may("timezone", TEXT),
            may("language", TEXT),
            may("routing", Form::Table(ROUTING)),
            may("dispositions", Form::Texts),
            may("not_ready_reasons", Form::Texts),
            may("caller_id", Form::Word(&["caller", "main", "withheld"])),
            may("caller_number", TEXT),
            may("contract", Form::Table(CONTRACT)),
            may("quota", Form::Table(QUOTA)),
        ],
    ),
    (
        "site",
        &[
            needs("name"),
            may("timezone", TEXT),
            may("trunks", Form::Texts),
            may("extension_strip", U8),
            may("extension_prefix", TEXT),
            may("probe_s", U32),
            may("chat_grace_s", U32),
            may("work_grace_s", U32),
        ],
    ),
    ("skill", &[needs("tenant"), needs("name")]),
    (
        "attribute",
        &[needs("tenant"), needs("name"), needs_word("kind", &["symbol", "set", "level"]), may("values", Form::Texts)],
    ),
    (
        "agent",
        &[
            needs("tenant"),
            needs("name"),
            may("range", Form::Range),
            may("site", TEXT),
            may("extension", TEXT),
            may("phone", TEXT),
            may("contact", TEXT),
            may("user", TEXT),
            may("password", TEXT),
            may("code", TEXT),
            may("pin", TEXT),
            may("skills", Form::Levels),
            may("serves", Form::Tables(SERVES)),
            may("backup", Form::Wholes(IMPORTANCE_MAX as u64)),
            may("attributes", Form::Values),
            may("modifier", Form::Tables(AGENT_MODIFIER)),
            may("slots", Form::Table(SLOTS)),
            may("signed_in", FLAG),
            may("ring_s", U32),
            may("wrap_up_s", U32),
            may("srtp", TEXT),
            may("srtp_keys", TEXT),
        ],
    ),
    ("user", &[needs("name"), needs_word("role", ROLES), may("tenant", TEXT), may("agent", TEXT), needs("account")]),
    (
        "queue",
        &[
            needs("tenant"),
            needs("name"),
            may("skills", Form::Levels),
            may("modifier", Form::Tables(MODIFIER)),
            may("importance", Form::Number),
            may("sticky", Form::Table(STICKY)),
            may("treatment", TEXT),
            may("music", TEXT),
            may("announce_every_s", U32),
            may("target_s", U32),
            may("targets_s", Form::Table(TARGETS)),
            may("overflow_after_s", U32),
            may("waiting_max", U32),
            may("escalate_after_s", U32),
            may("escalate_to", TEXT),
            may("unservable", Form::Word(&["overflow", "escalate", "hold"])),
            may("callback", FLAG),
            may("callback_tries", U32),
            may("callback_every_s", U32),
            may("record", FLAG),
        ],
    ),
    ("flow", &[needs("tenant"), needs("name"), may("text", TEXT), may("file", TEXT)]),
    ("number", &[needs("number"), needs("tenant"), needs("flow")]),
    (
        "trunk",
        &[
            needs("name"),
            needs("kind"),
            may("peer", Form::Tables(PEER)),
            may("user", TEXT),
            may("password", TEXT),
            may("register", FLAG),
            may("authenticate", FLAG),
            may("trusted", FLAG),
            may("node", TEXT),
            may("prefix", Form::Texts),
            may("strip", U8),
            may("cost", Form::Decimal),
            may("tariff", Form::Tables(TARIFF)),
            may("hours", Form::Hours),
            may("timezone", TEXT),
            may("caller_id", Form::Word(&["own", "pass", "fixed", "withheld"])),
            may("caller_number", TEXT),
            may("hunt", Form::Word(&["ascending", "descending", "least-used", "round-robin"])),
            may("calls_max", U32),
            may("reserved_out", U32),
            may("permitted", U32),
            may("out_of_service", FLAG),
            may("emergency_preempts", FLAG),
            may("tls", Form::Table(CLIENT_TLS)),
            may("outbound_proxy", TEXT),
            may("failover_s", U32),
            may("srtp", TEXT),
            may("srtp_keys", TEXT),
        ],
    ),
];
