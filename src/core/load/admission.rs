//! The switch's side of the gate: who is known, what is full, and what the operator sees.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use super::governor::Sample;
use super::remembered::REMEMBERED_MAX;
use super::sources::{KNOWN_MAX, Misdeed, STRANGERS_MAX};
use super::{Arrival, Facts, Gate, Standing, Verdict};
use crate::base::{Bound, Instant, Now, Source, Timestamp};
use crate::core::control::{BanView, LoadView};
use crate::core::switch::{Output, Switch};
use crate::core::tenant::directory::Host;
use crate::core::trunk::target::SipTarget;
use crate::proto::sip::{Binding, Endpoint, Glance, Kind, Path};

/// How long a phone that authenticated counts as known.
const AUTHENTICATED: Duration = Duration::from_secs(3600);

/// Addresses of phones remembered.
const PHONES_MAX: usize = 100_000;

/// Retry-After, in seconds, of refusals that are made after parsing.
pub(crate) const RETRY_AFTER_S: u32 = 5;

/// Addresses at which phones of ours are.
#[derive(Default)]
pub(crate) struct Phones {
    provisioned: HashSet<Source>,
    located: HashSet<Source>,
    seen: HashMap<Source, Instant>,
}

impl Phones {
    fn know(&self, now: Instant, source: Source) -> bool {
        self.provisioned.contains(&source)
            || self.located.contains(&source)
            || self.seen.get(&source).is_some_and(|until| now < *until)
    }

    /// Where the names of agents' contacts lead, as DNS says now.
    pub(crate) fn locate(&mut self, addresses: impl Iterator<Item = IpAddr>) {
        self.located = addresses.map(Source::of).collect();
    }

    fn note(&mut self, now: Instant, source: Source, until: Instant) {
        if self.seen.len() >= PHONES_MAX && !self.seen.contains_key(&source) {
            self.seen.retain(|_, until| now < *until);
        }
        if self.seen.len() < PHONES_MAX {
            let known = self.seen.entry(source).or_insert(until);
            *known = (*known).max(until);
        }
    }
}

/// What becomes of a message at the gate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// On to the endpoint.
    In,
    /// It ends here.
    Over,
    /// The same, and so does its connection.
    Cut,
}

/// What the gate asks the rest of the core.
struct Asked<'a> {
    sip: &'a Endpoint,
    full: Option<&'static str>,
}

impl Facts for Asked<'_> {
    fn full(&self) -> Option<&'static str> {
        self.full
    }

    fn serves(&self, invite: &Glance<'_>) -> bool {
        self.sip.serves(invite)
    }

    fn replaces(&self, invite: &Glance<'_>) -> bool {
        self.sip.replaces(invite)
    }

    fn expects(&self, message: &Glance<'_>) -> bool {
        self.sip.expects(message)
    }
}

impl Switch {
    /// A datagram, if the gate lets it in.
    pub(crate) fn datagram(&mut self, now: Now, path: Path, bytes: Bytes) {
        let address = path.remote.ip();
        let standing = self.standing(now.mono, address, path.connection);
        if self.gate.keeps_out(now.mono, address, standing) {
            return;
        }
        if self.lets_in(now, path, standing, &bytes) == Entry::In {
            self.sip.receive(now, path, bytes);
        }
    }

    /// Octets of a stream: each message that came whole, if the gate lets it in. Who is banned, or a stranger beyond its
    /// rate, loses the connection.
    pub(crate) fn stream(&mut self, now: Now, path: Path, bytes: &[u8]) {
        let standing = self.standing(now.mono, path.remote.ip(), path.connection);
        if self.gate.keeps_out(now.mono, path.remote.ip(), standing) {
            return self.cut(now, path.connection);
        }
        for framed in self.sip.frame(now, path, bytes) {
            match self.lets_in(now, path, standing, &framed.octets()) {
                Entry::In => self.sip.receive_framed(now, path, framed),
                Entry::Over => {}
                // Nothing is retransmitted on a stream: what it has sent already would all have to be read.
                Entry::Cut => return self.cut(now, path.connection),
            }
        }
    }

    fn cut(&mut self, now: Now, connection: u64) {
        self.sip.connection_closed(now, connection);
        self.emit(Output::CloseConnection(connection));
    }

    /// What the gate says of a message. A refusal goes out here.
    fn lets_in(&mut self, now: Now, path: Path, standing: Standing, octets: &[u8]) -> Entry {
        let glance = Glance::new(octets);
        let facts = Asked { sip: &self.sip, full: self.full() };
        let arrival = Arrival { now: now.mono, address: path.remote.ip(), standing, glance: &glance };
        match self.gate.judge(&arrival, &facts) {
            Verdict::Pass => {
                // What belongs to no call says nothing of what calls take.
                if !matches!(glance.kind, Kind::Other | Kind::KeepAlive | Kind::Unclear) {
                    self.gate.governor.handled();
                }
                Entry::In
            }
            Verdict::Drop => Entry::Over,
            Verdict::Cut => {
                self.tell_bans();
                Entry::Cut
            }
            Verdict::Unavailable { retry_after_s, print } => {
                let server = &self.config.sip.user_agent;
                match glance.unavailable(path, print, server, retry_after_s) {
                    Some(transmit) => {
                        self.emit(Output::Transmit(transmit));
                        Entry::Over
                    }
                    // The parser says what is wrong with it.
                    None => Entry::In,
                }
            }
        }
    }

    /// What was measured.
    pub(crate) fn load(&mut self, now: Now, sample: Sample) {
        let was = self.is_limiting();
        self.gate.governor.tick(now.mono, sample);
        self.give_back();
        if self.is_limiting() != was {
            self.alarms.set(now, "overload", String::new(), !was);
        }
    }

    /// The operator hears of bans that have begun.
    fn tell_bans(&mut self) {
        while let Some(ban) = self.gate.poll_ban() {
            let minutes = ban.until.since(ban.since).as_secs() / 60;
            let (source, why) = (ban.source, ban.misdeed.word());
            let text = format!("{source} is banned for {minutes} min ({why}); see `cordboard bans`");
            self.emit(Output::Warning(text));
        }
    }

    /// Whether new calls are held back: then `load` is wanted each tick.
    pub fn is_limiting(&self) -> bool {
        self.gate.governor.limit().is_some()
    }

    /// Whether so much waits for the store that new calls are refused.
    pub fn store_is_behind(&self) -> bool {
        self.store_is_behind
    }

    /// Why there is no room for a further call, if there is none. There is some more for emergency calls.
    fn full(&self) -> Option<&'static str> {
        match () {
            () if self.calls.len() >= self.provision.sip.calls_max as usize => Some("calls-max"),
            () if self.store_is_behind => Some("store-behind"),
            () => None,
        }
    }

    /// Whether a call from there to `dialled` finds no room.
    pub(crate) fn is_full_for(&self, now: Now, path: &Path, dialled: &str) -> bool {
        let most = self.provision.sip.calls_max as usize;
        let standing = self.standing(now.mono, path.remote.ip(), path.connection);
        if self.gate.is_emergency(standing, dialled.as_bytes()) {
            self.calls.len() >= most + (most / 50).max(4)
        } else {
            self.full().is_some()
        }
    }

    /// A phone registered.
    pub(crate) fn phone_seen(&mut self, now: Now, binding: &Binding) {
        let left = binding.expires_at.as_millis().saturating_sub(now.wall.as_millis());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        self.phones.note(now.mono, Source::of(binding.path.remote.ip()), now.mono + left);
    }

    /// A phone called and proved who it is.
    pub(crate) fn phone_authenticated(&mut self, now: Now, address: IpAddr) {
        self.phones.note(now.mono, Source::of(address), now.mono + AUTHENTICATED);
    }

    /// Somebody did what nobody should.
    pub(crate) fn misbehaved(&mut self, now: Now, address: IpAddr, connection: u64, misdeed: Misdeed) {
        let standing = self.standing(now.mono, address, connection);
        if let Some(until) = self.gate.misbehaved(now.mono, address, standing, misdeed) {
            self.guessing(now, Source::of(address), until);
        }
        self.tell_bans();
    }

    /// Takes what is provisioned: rates, numbers, and where agents' phones are.
    pub(crate) fn provision_gate(&mut self) {
        self.gate.provision(&self.provision.sip);
        let contacts = self.directory.agents().filter_map(|agent| agent.contact.as_deref());
        let hosts = contacts.filter_map(|contact| Some(SipTarget::parse(contact)?.destination.host));
        let address = |host| if let Host::Address(address) = host { Some(Source::of(address)) } else { None };
        self.phones.provisioned = hosts.filter_map(address).collect();
    }

    fn standing(&self, now: Instant, address: IpAddr, connection: u64) -> Standing {
        if self.trunk_of(address).is_some() || self.trunk_by_certificate(connection).is_some() {
            Standing::Peer
        } else if self.phones.know(now, Source::of(address)) {
            Standing::Phone
        } else {
            Standing::Stranger
        }
    }

    /// For `status`.
    pub(crate) fn load_view(&self) -> LoadView {
        let gate: &Gate = &self.gate;
        let (offered, taken) = gate.governor.rates();
        let last = gate.governor.last();
        let elapsed = last.elapsed.as_secs_f64().max(0.001);
        let words = |counts: &BTreeMap<&'static str, u64>| counts.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        LoadView {
            limit_per_s: gate.governor.limit().map(tenth),
            offered_per_s: tenth(offered),
            taken_per_s: tenth(taken),
            queue_ms: tenth(last.queue.as_secs_f64() * 1e3),
            store_ms: tenth(last.store.as_secs_f64() * 1e3),
            cpu_percent: tenth(100.0 * last.cpu.as_secs_f64() / elapsed),
            switch_percent: tenth(100.0 * last.switch.as_secs_f64() / elapsed),
            writer_percent: tenth(100.0 * last.writer.as_secs_f64() / elapsed),
            cores: last.cores,
            call_cpu_ms: gate.governor.cpu_cost().map(|cost| (cost * 1e6).round() / 1e3),
            call_messages: gate.governor.messages_a_call().map(tenth),
            capacity_per_s: gate.governor.capacity().map(f64::round),
            overflown: last.overflown,
            shed: words(&gate.shed),
            seen: words(&gate.seen),
        }
    }

    /// Bounds of what the gate remembers.
    pub(crate) fn gate_bounds(&self) -> [Bound; 5] {
        let (strangers, forgotten) = self.gate.sources.strangers();
        [
            Bound::new("sip-strangers", strangers, STRANGERS_MAX, forgotten),
            Bound::new("sip-known-sources", self.gate.sources.known(), KNOWN_MAX, 0),
            Bound::new("sip-phones", self.phones.seen.len(), PHONES_MAX, 0),
            Bound::new("sip-refusals", self.gate.refused.len(), REMEMBERED_MAX, 0),
            Bound::new("sip-admissions", self.gate.begun.len(), REMEMBERED_MAX, 0),
        ]
    }

    /// Bans that stand.
    pub(crate) fn ban_views(&self, now: Now) -> Vec<BanView> {
        let wall = |at: Instant| {
            let (ahead, behind) = (at.since(now.mono).as_millis(), now.mono.since(at).as_millis());
            let shift = |ms: u128| i64::try_from(ms).unwrap_or(i64::MAX / 2);
            Timestamp(now.wall.as_millis() + shift(ahead) - shift(behind))
        };
        let view = |ban: super::sources::Ban| BanView {
            source: ban.source.to_string(),
            reason: ban.misdeed.word().to_owned(),
            since: wall(ban.since),
            until: wall(ban.until),
            times: ban.times,
        };
        self.gate.sources.bans(now.mono).into_iter().map(view).collect()
    }

    /// Lifts one ban or all.
    pub(crate) fn unban(&mut self, now: Now, source: Option<&str>) -> Result<(), String> {
        let Some(text) = source else {
            self.gate.sources.lift(now.mono, None);
            return Ok(());
        };
        let address = text.split('/').next().and_then(|address| address.parse().ok());
        let address: IpAddr = address.ok_or_else(|| format!("{text:?} is no IP address; see `cordboard bans`"))?;
        match self.gate.sources.lift(now.mono, Some(Source::of(address))) {
            0 => Err(format!("{text} is not banned; see `cordboard bans`")),
            _ => Ok(()),
        }
    }
}
