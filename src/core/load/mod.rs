//! What is let in before any other work is done: the gate in front of the SIP endpoint.
//!
//! A datagram is looked at ([`Glance`]), not parsed; what comes by a stream is parsed where it is framed, and judged all the
//! same. What goes on anyway always passes: responses, ACK, CANCEL, requests within dialogs, an INVITE that takes another call's place, the second INVITE of a call whose first was challenged, and
//! retransmissions of what is being served. New calls pass while the [`governor`] says so; beyond it they get 503 with
//! Retry-After, without transaction or session. Emergency numbers have a share of their own beyond the limit, REGISTER and
//! OPTIONS of peers and phones one within it. Strangers come last: each has a rate of its own, and who misbehaves is dropped
//! for a while ([`sources`]).

pub(crate) mod admission;
pub mod governor;
mod remembered;
pub mod sources;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::base::{Instant, Source};
use crate::core::tenant::provision::Sip;
use crate::proto::sip::{Glance, Kind, is_sos};
use governor::{Class, Governor};
use remembered::Remembered;
use sources::{Ban, Misdeed, Sources};

/// Octets of a User-Agent in which a scanner is looked for.
const SCANNER_WITHIN: usize = 64;

/// Bans that are told of in a minute; more are counted.
const BANS_TOLD: u32 = 10;

/// User agents of known scanners. They are counted, and nothing else: what bans is what they do.
const SCANNERS: [&[u8]; 6] = [b"friendly-scanner", b"sipvicious", b"sipcli", b"sundayddr", b"pplsip", b"sip-scan"];

/// What we know of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// A trunk's peer.
    Peer,
    /// An address with a phone of ours: registered, authenticated not long ago, or a provisioned contact.
    Phone,
    /// Nobody we know.
    Stranger,
}

/// A message from somebody.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub now: Instant,
    pub address: IpAddr,
    pub standing: Standing,
    pub glance: &'a Glance<'a>,
}

/// What becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// On to the endpoint.
    Pass,
    /// 503 with this Retry-After in seconds, and the request's [`print`](Glance::print).
    Unavailable { retry_after_s: u32, print: u64 },
    /// Nothing.
    Drop,
    /// Nothing, and a connection that it came on ends: there is too much of it.
    Cut,
}

/// What the gate must ask others.
pub(crate) trait Facts {
    /// Why there is no room for a further call, if there is none.
    fn full(&self) -> Option<&'static str>;
    /// See [`Endpoint::serves`](crate::proto::sip::Endpoint::serves).
    fn serves(&self, invite: &Glance<'_>) -> bool;
    /// See [`Endpoint::replaces`](crate::proto::sip::Endpoint::replaces).
    fn replaces(&self, invite: &Glance<'_>) -> bool;
    /// See [`Endpoint::expects`](crate::proto::sip::Endpoint::expects).
    fn expects(&self, message: &Glance<'_>) -> bool;
}

/// See the module.
pub(crate) struct Gate {
    pub governor: Governor,
    pub sources: Sources,
    /// What was held back or dropped, by reason.
    pub shed: BTreeMap<&'static str, u64>,
    /// What was seen and let pass, or needed no answer.
    pub seen: BTreeMap<&'static str, u64>,
    secret: u64,
    emergency: Vec<Vec<u8>>,
    exempt: Vec<(IpAddr, u8)>,
    rates: [u32; 3],
    /// INVITEs that were refused, so that their retransmissions are refused, too.
    pub refused: Remembered,
    /// Calls that were let in, so that their second INVITE, with credentials, passes.
    pub begun: Remembered,
    /// Bans that nobody was told of yet, and when the minute began in which so many were told of.
    bans: Vec<Ban>,
    telling: (Instant, u32),
}

impl Gate {
    /// A gate that is open. `secret` keeps others from making tags that look like its own.
    pub fn new(now: Instant, secret: u64) -> Self {
        Self {
            governor: Governor::new(now),
            sources: Sources::default(),
            shed: BTreeMap::new(),
            seen: BTreeMap::new(),
            secret,
            emergency: Vec::new(),
            exempt: Vec::new(),
            rates: [0; 3],
            refused: Remembered::new(now),
            begun: Remembered::new(now),
            bans: Vec::new(),
            telling: (now, 0),
        }
    }

    /// Takes what is provisioned.
    pub fn provision(&mut self, sip: &Sip) {
        self.emergency = sip.emergency.iter().map(|number| number.clone().into_bytes()).collect();
        self.exempt = sip.exempt.iter().filter_map(|text| prefix(text)).collect();
        self.rates = [sip.peer_per_s, sip.phone_per_s, sip.stranger_per_s];
    }

    /// Whether this is an emergency call: one whom we know dials a number of the emergency services.
    pub fn is_emergency(&self, standing: Standing, dialled: &[u8]) -> bool {
        let number = dialled.strip_prefix(b"+").unwrap_or(dialled);
        // RFC 3966 section 5.1.1: visual separators say nothing.
        let digits = || number.iter().filter(|b| !b"-.()".contains(b));
        standing != Standing::Stranger && (is_sos(dialled) || self.emergency.iter().any(|known| digits().eq(known)))
    }

    /// Notes what a source did. Those we know, and those exempt, are never banned: anybody could send in their name. But
    /// wrong credentials are their own. Returns until when none of theirs are to be looked at, where that begins.
    pub fn misbehaved(
        &mut self,
        now: Instant,
        address: IpAddr,
        standing: Standing,
        misdeed: Misdeed,
    ) -> Option<Instant> {
        if standing != Standing::Stranger || self.is_exempt(address) {
            let rate = self.rates[usize::from(standing != Standing::Peer)];
            return match misdeed {
                Misdeed::Credentials => self.sources.note_failure(now, Source::of(address), rate),
                Misdeed::Malformed | Misdeed::Barred | Misdeed::Flood => None,
            };
        }
        let ban = self.sources.note(now, Source::of(address), misdeed, self.rates[2]);
        self.count_seen(if ban.is_some() { "ban" } else { "misdeed" });
        if now.since(self.telling.0) >= Duration::from_secs(60) {
            self.telling = (now, 0);
        }
        if ban.is_some() && self.telling.1 < BANS_TOLD {
            self.telling.1 += 1;
            self.bans.extend(ban);
        }
        None
    }

    /// The next ban that the operator should hear of.
    pub fn poll_ban(&mut self) -> Option<Ban> {
        self.bans.pop()
    }

    /// Whether nothing from there is taken; then that is counted.
    pub fn keeps_out(&mut self, now: Instant, address: IpAddr, standing: Standing) -> bool {
        let out = standing == Standing::Stranger
            && !self.is_exempt(address)
            && self.sources.is_banned(now, Source::of(address));
        if out {
            *self.shed.entry("banned").or_default() += 1;
        }
        out
    }

    /// Judges a message whose source is not banned.
    pub fn judge(&mut self, arrival: &Arrival<'_>, facts: &impl Facts) -> Verdict {
        if arrival.standing == Standing::Stranger
            && let Some(verdict) = self.stranger(arrival, facts)
        {
            return verdict;
        }
        match arrival.glance.kind {
            Kind::Ack if arrival.glance.acknowledges_refusal(self.secret) => {
                self.count_seen("ack-of-refusal");
                Verdict::Drop
            }
            Kind::Response | Kind::Ack | Kind::Cancel | Kind::Within | Kind::KeepAlive | Kind::Unclear => Verdict::Pass,
            Kind::Other => self.request(arrival),
            Kind::Invite => self.invite(arrival, facts),
        }
    }

    /// A stranger's message; `None`: as everybody's.
    fn stranger(&mut self, arrival: &Arrival<'_>, facts: &impl Facts) -> Option<Verdict> {
        let Arrival { now, address, glance, .. } = *arrival;
        if !self.is_exempt(address) {
            if !self.sources.take_stranger(now, Source::of(address), self.rates[2]) && !facts.expects(glance) {
                self.misbehaved(now, address, Standing::Stranger, Misdeed::Flood);
                self.drop("stranger-rate");
                return Some(Verdict::Cut);
            }
            if is_scanner(glance) {
                self.count_seen("scanner");
            }
        }
        // While we are at our limit, a stranger gets what is left, unless it has business with us.
        let lesser = !matches!(glance.kind, Kind::Invite | Kind::KeepAlive);
        let business = || facts.expects(glance) || glance.acknowledges_refusal(self.secret);
        if self.governor.limit().is_some() && lesser && !business() {
            let admitted = self.governor.admit(now, Class::Stranger);
            return match glance.kind {
                _ if admitted => None,
                Kind::Other => Some(self.refuse(arrival, "stranger")),
                _ => Some(self.drop("stranger")),
            };
        }
        None
    }

    /// REGISTER, OPTIONS and the like; a stranger's was taken care of.
    fn request(&mut self, arrival: &Arrival<'_>) -> Verdict {
        if let Err(reason) = self.within_rate(arrival) {
            return self.refuse(arrival, reason);
        }
        let known = arrival.standing != Standing::Stranger;
        if known && !self.governor.admit(arrival.now, Class::Request) {
            return self.refuse(arrival, "request-share");
        }
        Verdict::Pass
    }

    fn invite(&mut self, arrival: &Arrival<'_>, facts: &impl Facts) -> Verdict {
        let Arrival { now, standing, glance, .. } = *arrival;
        let call = glance.call_print(self.secret);
        // What belongs to a call that was let in.
        let known = standing != Standing::Stranger;
        if facts.serves(glance)
            || known && facts.replaces(glance) && self.within_rate(arrival).is_ok()
            || glance.has_credentials() && call.is_some_and(|call| self.begun.forget(now, call))
        {
            return Verdict::Pass;
        }
        if self.was_refused(now, glance) {
            return self.refuse(arrival, "again");
        }
        let emergency = glance.dialled().is_some_and(|dialled| self.is_emergency(standing, &dialled));
        if !emergency {
            if let Some(reason) = facts.full() {
                return self.refuse(arrival, reason);
            }
            if let Err(reason) = self.within_rate(arrival) {
                return self.refuse(arrival, reason);
            }
        }
        let (class, reason) = match standing {
            _ if emergency => (Class::Emergency, "emergency-share"),
            Standing::Stranger => (Class::Stranger, "stranger"),
            Standing::Peer | Standing::Phone => (Class::Call, "overload"),
        };
        if !self.governor.admit(now, class) {
            return self.refuse(arrival, reason);
        }
        // Credentials that it has may be out of date.
        if let Some(call) = call {
            self.begun.note(now, call);
        }
        Verdict::Pass
    }

    /// Whether a peer or phone keeps to its rate; a stranger's was taken care of.
    fn within_rate(&mut self, arrival: &Arrival<'_>) -> Result<(), &'static str> {
        let Arrival { now, address, standing, .. } = *arrival;
        let (rate, reason) = match standing {
            Standing::Peer => (self.rates[0], "peer-rate"),
            Standing::Phone => (self.rates[1], "phone-rate"),
            Standing::Stranger => return Ok(()),
        };
        let exempt = standing == Standing::Phone && self.is_exempt(address);
        if exempt || self.sources.take_known(now, Source::of(address), rate) { Ok(()) } else { Err(reason) }
    }

    fn refuse(&mut self, arrival: &Arrival<'_>, reason: &'static str) -> Verdict {
        let Arrival { now, glance, .. } = *arrival;
        // Without Via or Call-ID it is malformed, and the parser says so.
        let Some(print) = glance.print(self.secret) else { return Verdict::Pass };
        *self.shed.entry(reason).or_default() += 1;
        if glance.kind == Kind::Invite {
            self.refused.note(now, print);
        }
        // Spread, so that those who were refused together do not come back together.
        Verdict::Unavailable { retry_after_s: 2 + u32::try_from(print % 8).unwrap_or(0), print }
    }

    fn was_refused(&mut self, now: Instant, glance: &Glance<'_>) -> bool {
        !self.refused.is_empty() && glance.print(self.secret).is_some_and(|print| self.refused.has(now, print))
    }

    fn drop(&mut self, reason: &'static str) -> Verdict {
        *self.shed.entry(reason).or_default() += 1;
        Verdict::Drop
    }

    fn count_seen(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn is_exempt(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.exempt.iter().any(|(network, length)| within(address, *network, *length))
    }
}

/// `ADDRESS` or `ADDRESS/LENGTH`.
pub(crate) fn prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address.parse::<IpAddr>().ok()?, Some(length.parse::<u8>().ok()?)),
        None => (text.parse::<IpAddr>().ok()?, None),
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    Some((address, length.unwrap_or(most))).filter(|(_, length)| *length <= most)
}

fn within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let kept = |bits: u32| bits.saturating_sub(u32::from(length));
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (a.to_bits() ^ n.to_bits()).checked_shr(kept(32)).unwrap_or(0) == 0,
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits() ^ n.to_bits()).checked_shr(kept(128)).unwrap_or(0) == 0,
        _ => false,
    }
}

/// Whether a new request says that it is of a known scanner.
fn is_scanner(glance: &Glance<'_>) -> bool {
    let agent = || glance.user_agent().map(|agent| agent.get(..SCANNER_WITHIN).unwrap_or(agent));
    matches!(glance.kind, Kind::Invite | Kind::Other)
        && agent().is_some_and(|agent| SCANNERS.iter().any(|name| contains(agent, name)))
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|w| w.eq_ignore_ascii_case(what))
}

#[cfg(test)]
mod tests;
