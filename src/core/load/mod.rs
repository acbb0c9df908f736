//! What is let in before any other work is done: the gate in front of the SIP endpoint.
//!
//! A datagram is looked at ([`Glance`]), not parsed. What goes on anyway always passes: responses, ACK, CANCEL, requests
//! within dialogs, retransmissions of what is being served, and REGISTER and OPTIONS of peers and phones that we know. New
//! calls pass while the [`governor`] says so; beyond it they get 503 with Retry-After, without transaction or session.
//! Emergency numbers have a share of their own beyond the limit. Strangers come last: each has a rate of its own, and who
//! misbehaves is dropped for a while ([`sources`]).

pub(crate) mod admission;
pub mod governor;
pub mod sources;

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::base::Instant;
use crate::core::tenant::provision::Sip;
use crate::proto::sip::{Glance, Kind};
use governor::{Class, Governor};
use sources::{Misdeed, Source, Sources};

/// How long a refused INVITE is remembered at least, so that its retransmissions are refused, too.
const REMEMBERED: Duration = Duration::from_secs(16);

/// Refused INVITEs remembered in each of two generations; beyond it the older is forgotten sooner.
const REMEMBERED_MAX: usize = 32_768;

/// User agents of known scanners. They are counted, and nothing else: what bans is what they do.
const SCANNERS: [&[u8]; 6] = [b"friendly-scanner", b"sipvicious", b"sipcli", b"sundayddr", b"pplsip", b"sip-scan"];

/// Emergency services by urn (RFC 5031 section 4.2).
const SOS: &[u8] = b"urn:service:sos";

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

/// What becomes of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// On to the endpoint.
    Pass,
    /// 503 with this Retry-After in seconds.
    Unavailable(u32),
    /// Nothing.
    Drop,
}

/// What the gate must ask others.
pub(crate) trait Facts {
    /// As many calls as may be.
    fn full(&self) -> bool;
    /// See [`Endpoint::serves`](crate::proto::sip::Endpoint::serves).
    fn serves(&self, invite: &Glance<'_>) -> bool;
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
    refused: [HashSet<u64>; 2],
    turned: Instant,
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
            refused: Default::default(),
            turned: now,
        }
    }

    /// Takes what is provisioned.
    pub fn provision(&mut self, sip: &Sip) {
        self.emergency = sip.emergency.iter().map(|number| number.clone().into_bytes()).collect();
        self.exempt = sip.exempt.iter().filter_map(|text| prefix(text)).collect();
        self.rates = [sip.peer_per_s, sip.phone_per_s, sip.stranger_per_s];
    }

    /// Refused INVITEs that are remembered.
    pub fn refusals_len(&self) -> usize {
        self.refused.iter().map(HashSet::len).sum()
    }

    /// Under which the stateless answers are made.
    pub fn secret(&self) -> u64 {
        self.secret
    }

    /// Whether a number is one of the emergency services'.
    pub fn is_emergency(&self, dialled: &[u8]) -> bool {
        let number = dialled.strip_prefix(b"+").unwrap_or(dialled);
        let sos = dialled.get(..SOS.len()).is_some_and(|start| start.eq_ignore_ascii_case(SOS))
            && matches!(dialled.get(SOS.len()), None | Some(b'.'));
        sos || self.emergency.iter().any(|known| known == number)
    }

    /// Notes what a source did. Those we know, and those exempt, are never banned.
    pub fn misbehaved(&mut self, now: Instant, address: IpAddr, standing: Standing, misdeed: Misdeed) {
        if standing == Standing::Stranger && !self.is_exempt(address) {
            let banned = self.sources.note(now, Source::of(address), misdeed, self.rates[2]);
            self.count_seen(if banned { "ban" } else { "misdeed" });
        }
    }

    /// Whether nothing from there is taken.
    pub fn is_banned(&self, now: Instant, address: IpAddr, standing: Standing) -> bool {
        standing == Standing::Stranger && !self.is_exempt(address) && self.sources.is_banned(now, Source::of(address))
    }

    /// Judges a datagram.
    pub fn judge(
        &mut self,
        now: Instant,
        address: IpAddr,
        standing: Standing,
        glance: &Glance<'_>,
        facts: &impl Facts,
    ) -> Verdict {
        if standing == Standing::Stranger
            && let Some(verdict) = self.stranger(now, address, glance, facts)
        {
            return verdict;
        }
        match glance.kind {
            Kind::Ack if glance.acknowledges_refusal(self.secret) => {
                self.count_seen("ack-of-refusal");
                Verdict::Drop
            }
            Kind::Response | Kind::Ack | Kind::Within | Kind::KeepAlive | Kind::Unclear => Verdict::Pass,
            Kind::Other => match self.within_rate(now, address, standing) {
                Ok(()) => Verdict::Pass,
                Err(reason) => self.refuse(now, glance, reason),
            },
            Kind::Invite => self.invite(now, address, standing, glance, facts),
        }
    }

    /// A stranger's datagram; `None`: as everybody's.
    fn stranger(&mut self, now: Instant, address: IpAddr, glance: &Glance<'_>, facts: &impl Facts) -> Option<Verdict> {
        let exempt = self.is_exempt(address);
        let source = Source::of(address);
        if !exempt {
            if self.sources.is_banned(now, source) {
                return Some(self.drop("banned"));
            }
            if matches!(glance.kind, Kind::Invite | Kind::Other)
                && glance.user_agent().is_some_and(|agent| SCANNERS.iter().any(|name| contains(agent, name)))
            {
                self.count_seen("scanner");
            }
            if !self.sources.take_stranger(now, source, self.rates[2]) && !facts.expects(glance) {
                self.misbehaved(now, address, Standing::Stranger, Misdeed::Flood);
                return Some(self.drop("stranger-rate"));
            }
        }
        // While we are at our limit, a stranger gets what is left, unless it has business with us.
        let lesser = !matches!(glance.kind, Kind::Invite | Kind::KeepAlive);
        if self.governor.limit().is_some() && lesser && !facts.expects(glance) {
            let admitted = self.governor.admit(now, Class::Stranger);
            return match glance.kind {
                _ if admitted => None,
                Kind::Other => Some(self.refuse(now, glance, "stranger")),
                _ => Some(self.drop("stranger")),
            };
        }
        None
    }

    fn invite(
        &mut self,
        now: Instant,
        address: IpAddr,
        standing: Standing,
        glance: &Glance<'_>,
        facts: &impl Facts,
    ) -> Verdict {
        if facts.serves(glance) {
            return Verdict::Pass;
        }
        if self.was_refused(now, glance) {
            return self.refuse(now, glance, "again");
        }
        let emergency = standing != Standing::Stranger && glance.dialled().is_some_and(|d| self.is_emergency(d));
        if !emergency {
            if facts.full() {
                return self.refuse(now, glance, "calls-max");
            }
            if let Err(reason) = self.within_rate(now, address, standing)
                && !facts.serves(glance)
            {
                return self.refuse(now, glance, reason);
            }
        }
        let (class, reason) = match standing {
            _ if emergency => (Class::Emergency, "emergency-share"),
            Standing::Stranger => (Class::Stranger, "stranger"),
            Standing::Peer | Standing::Phone => (Class::Call, "overload"),
        };
        if self.governor.admit(now, class) { Verdict::Pass } else { self.refuse(now, glance, reason) }
    }

    /// Whether a peer or phone keeps to its rate; a stranger's was taken care of.
    fn within_rate(&mut self, now: Instant, address: IpAddr, standing: Standing) -> Result<(), &'static str> {
        let (rate, reason) = match standing {
            Standing::Peer => (self.rates[0], "peer-rate"),
            Standing::Phone => (self.rates[1], "phone-rate"),
            Standing::Stranger => return Ok(()),
        };
        let exempt = standing == Standing::Phone && self.is_exempt(address);
        if exempt || self.sources.take_known(now, Source::of(address), rate) { Ok(()) } else { Err(reason) }
    }

    fn refuse(&mut self, now: Instant, glance: &Glance<'_>, reason: &'static str) -> Verdict {
        self.governor.refused();
        *self.shed.entry(reason).or_default() += 1;
        let print = glance.print(self.secret);
        if let (Some(print), Kind::Invite) = (print, glance.kind) {
            self.turn(now);
            self.refused[0].insert(print);
        }
        // Spread, so that those who were refused together do not come back together.
        Verdict::Unavailable(2 + u32::try_from(print.unwrap_or_default() % 8).unwrap_or(0))
    }

    fn was_refused(&mut self, now: Instant, glance: &Glance<'_>) -> bool {
        if self.refused.iter().all(HashSet::is_empty) {
            return false;
        }
        self.turn(now);
        glance.print(self.secret).is_some_and(|print| self.refused.iter().any(|set| set.contains(&print)))
    }

    /// The older generation is forgotten in time, or for want of room.
    fn turn(&mut self, now: Instant) {
        let age = now.since(self.turned);
        if age >= REMEMBERED || self.refused[0].len() >= REMEMBERED_MAX {
            self.turned = now;
            self.refused.swap(0, 1);
            self.refused[0].clear();
            if age >= 2 * REMEMBERED {
                self.refused[1].clear();
            }
        }
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

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|w| w.eq_ignore_ascii_case(what))
}

#[cfg(test)]
mod tests;
