//! What every part of the endpoint writes to: messages and events to drain, wake-ups, counters, random numbers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::fmt::Write as _;

use bytes::Bytes;

use crate::base::{GiveBack, Instant};

use super::session_timer::SessionLimits;
use super::types::{EndpointConfig, Event, RegistrationId};
use super::{Path, SessionId, Transmit};

/// Whom to wake. Each object has at most one useful entry in the heap; on waking it looks at its own deadlines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Wake {
    /// When a server transaction must retransmit or end.
    Server(u64),
    /// When a client transaction must retransmit, time out or end; `true` for a CANCEL's.
    Client(u64, bool),
    /// When a session must retransmit a 2xx, refresh a provisional, retry after glare, or give up.
    Session(SessionId),
    /// When a registration of ours is to be refreshed or tried again.
    Registration(RegistrationId),
    /// When a message on a stream must be whole.
    Stream(u64),
    /// When the first binding expires.
    Registrar,
    /// When a user whose password was guessed at is believed again.
    Accounts,
}

/// splitmix64 (Steele, Lea, Flood 2014): enough for identifiers, whose unpredictability rests on the seed.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Wire {
    pub realm: String,
    pub user_agent: String,
    pub session_limits: SessionLimits,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    wakes: BinaryHeap<Reverse<(Instant, Wake)>>,
    counters: BTreeMap<&'static str, u64>,
    random: Random,
    next_id: u64,
}

impl Wire {
    pub fn new(config: &EndpointConfig) -> Self {
        let clean = |s: &str| s.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect::<String>();
        Self {
            realm: clean(&config.realm),
            user_agent: clean(&config.user_agent),
            session_limits: SessionLimits::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            wakes: BinaryHeap::new(),
            counters: BTreeMap::new(),
            random: Random(config.seed),
            next_id: 1,
        }
    }

    /// Gives back what a burst took.
    pub fn give_back(&mut self) {
        self.transmits.give_back();
        self.events.give_back();
        self.wakes.give_back();
    }

    /// A number never given before.
    pub fn id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// 16 hexadecimal digits.
    pub fn token(&mut self) -> String {
        let mut s = String::with_capacity(16);
        let _ = write!(s, "{:016x}", self.random());
        s
    }

    /// 32 hexadecimal digits: a Call-ID must be unique over space and time (RFC 3261 section 8.1.1.4).
    pub fn call_id(&mut self) -> String {
        let mut s = String::with_capacity(32);
        let _ = write!(s, "{:016x}{:016x}", self.random(), self.random());
        s
    }

    pub fn send(&mut self, path: Path, bytes: Bytes) {
        self.transmits.push_back(Transmit { path, bytes });
    }

    pub fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counters.entry(what).or_default() += 1;
    }

    pub fn counters(&self) -> &BTreeMap<&'static str, u64> {
        &self.counters
    }

    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Wakes `whom` at `due`, unless it is to be woken before anyway. `scheduled` is the object's own note of its entry.
    pub fn wake(&mut self, whom: Wake, due: Option<Instant>, scheduled: &mut Option<Instant>) {
        let Some(due) = due else { return };
        if scheduled.is_none_or(|at| due < at) {
            self.wakes.push(Reverse((due, whom)));
            *scheduled = Some(due);
        }
    }

    pub fn next_wake(&self) -> Option<Instant> {
        self.wakes.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next entry that is due.
    pub fn take_due(&mut self, now: Instant) -> Option<(Instant, Wake)> {
        if self.next_wake()? > now {
            return None;
        }
        self.wakes.pop().map(|Reverse(entry)| entry)
    }
}

/// The earlier of two deadlines.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wire(seed: u64) -> Wire {
        Wire::new(&EndpointConfig {
            realm: "a\"b\r\n".into(),
            user_agent: "x\r\nY: z".into(),
            seed,
            sessions_max: 1,
            bindings_max: 1,
        })
    }

    #[test]
    fn same_seed_same_tokens_other_seed_others() {
        assert_eq!(wire(1).token(), wire(1).token());
        assert_ne!(wire(1).token(), wire(2).token());
        assert_ne!(wire(1).call_id(), wire(2).call_id());
    }

    #[test]
    fn configuration_cannot_inject_lines() {
        let w = wire(1);
        assert_eq!(w.realm, "ab");
        assert_eq!(w.user_agent, "xY: z");
    }

    #[test]
    fn an_object_is_woken_once_at_its_earliest_deadline() {
        let mut w = wire(1);
        let mut scheduled = None;
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        w.wake(Wake::Server(1), Some(at(20)), &mut scheduled);
        w.wake(Wake::Server(1), Some(at(30)), &mut scheduled);
        assert_eq!(w.wakes.len(), 1);
        w.wake(Wake::Server(1), Some(at(10)), &mut scheduled);
        assert_eq!(w.next_wake(), Some(at(10)));
        assert_eq!(w.take_due(at(9)), None);
        assert_eq!(w.take_due(at(10)), Some((at(10), Wake::Server(1))));
    }
}
