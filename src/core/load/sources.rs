//! Where messages come from: how many a second each source may send, and who is kept out for a while.
//!
//! Behaviour decides, never a name: what is malformed, credentials that are wrong, numbers that a stranger has no business
//! with, and floods add to a score that fades; at [`SCORE_MAX`] the source is banned, each time for longer. Only strangers
//! are banned: over UDP anybody can put a peer's or a phone's address on a datagram, and would have it banned by that.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::base::{Instant, Source};

/// Strangers remembered; of more, those that came longest ago are forgotten.
pub const STRANGERS_MAX: usize = 16_384;

/// Addresses of peers and phones with a bucket.
pub const KNOWN_MAX: usize = 65_536;

/// The score that bans.
pub const SCORE_MAX: f64 = 20.0;

/// Seconds in which the score fades by one.
const FADE_S: f64 = 6.0;

/// The first ban; each further one is four times as long.
pub const BAN_FIRST: Duration = Duration::from_secs(60);

/// The longest.
pub const BAN_MAX: Duration = Duration::from_secs(4 * 3600);

/// A stranger whose last ban is over for so long starts afresh.
const FORGIVEN: Duration = Duration::from_secs(24 * 3600);

/// A bucket holds this many seconds' worth.
const BURST_S: f64 = 4.0;

/// Wrong credentials from a peer's or phone's address within [`FAILURES_WINDOW`], after which none are looked at until its
/// end.
const FAILURES_MAX: u32 = 50;
const FAILURES_WINDOW: Duration = Duration::from_secs(60);

/// What a stranger did wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misdeed {
    /// What it sent is no SIP, or lacks what every message must have.
    Malformed,
    /// Wrong credentials.
    Credentials,
    /// A call that is not its to make.
    Barred,
    /// More than its rate.
    Flood,
}

impl Misdeed {
    fn weight(self) -> f64 {
        match self {
            Self::Malformed => 2.0,
            Self::Credentials | Self::Barred => 4.0,
            Self::Flood => 0.1,
        }
    }

    /// A stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Credentials => "credentials",
            Self::Barred => "barred",
            Self::Flood => "flood",
        }
    }
}

/// A bucket of tokens, one a message.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn full(now: Instant, rate: u32) -> Self {
        Self { tokens: f64::from(rate) * BURST_S, filled: now }
    }

    fn take(&mut self, now: Instant, rate: u32) -> bool {
        let rate = f64::from(rate);
        self.tokens = (self.tokens + rate * now.since(self.filled).as_secs_f64()).min(rate * BURST_S);
        self.filled = now;
        let there = self.tokens >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Stranger {
    bucket: Bucket,
    score: f64,
    scored: Instant,
    /// Start and end of the ban, and what led to it.
    ban: Option<(Instant, Instant, Misdeed)>,
    bans: u32,
}

/// A peer's or phone's address.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Known {
    bucket: Bucket,
    /// Wrong credentials, and until when they are counted together.
    failures: (u32, Instant),
}

/// A ban that stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ban {
    /// Whom.
    pub source: Source,
    /// What it did last.
    pub misdeed: Misdeed,
    /// Since when.
    pub since: Instant,
    /// Until when.
    pub until: Instant,
    /// How often by now.
    pub times: u32,
}

/// All sources. Bounded by [`STRANGERS_MAX`] and [`KNOWN_MAX`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Sources {
    known: HashMap<Source, Known>,
    strangers: HashMap<Source, Stranger>,
    /// Strangers in the order in which they came, for forgetting.
    order: VecDeque<Source>,
    forgotten: u64,
}

impl Sources {
    /// Whether a peer or phone may send one more request a second than it has. A rate of 0 is none.
    pub fn take_known(&mut self, now: Instant, source: Source, rate: u32) -> bool {
        rate == 0 || self.known_entry(now, source, rate).bucket.take(now, rate)
    }

    /// Notes wrong credentials from a peer or phone, who cannot be banned. Returns until when its credentials are not to be
    /// looked at, where that begins.
    pub fn note_failure(&mut self, now: Instant, source: Source, rate: u32) -> Option<Instant> {
        let (count, until) = &mut self.known_entry(now, source, rate).failures;
        if *until <= now {
            (*count, *until) = (0, now + FAILURES_WINDOW);
        }
        *count = count.saturating_add(1);
        (*count == FAILURES_MAX).then_some(*until)
    }

    /// The same for a stranger.
    pub fn take_stranger(&mut self, now: Instant, source: Source, rate: u32) -> bool {
        rate == 0 || self.stranger(now, source, rate).bucket.take(now, rate)
    }

    /// Whether a source is kept out.
    pub fn is_banned(&self, now: Instant, source: Source) -> bool {
        self.strangers.get(&source).and_then(|s| s.ban).is_some_and(|(_, until, _)| now < until)
    }

    /// Notes what a stranger did. Tells of the ban that begins with it.
    pub fn note(&mut self, now: Instant, source: Source, misdeed: Misdeed, rate: u32) -> Option<Ban> {
        let stranger = self.stranger(now, source, rate);
        if stranger.ban.is_some_and(|(_, until, _)| now < until) {
            return None;
        }
        let faded = now.since(stranger.scored).as_secs_f64() / FADE_S;
        stranger.score = (stranger.score - faded).max(0.0) + misdeed.weight();
        stranger.scored = now;
        if stranger.score < SCORE_MAX {
            return None;
        }
        if stranger.ban.is_some_and(|(_, until, _)| now.since(until) >= FORGIVEN) {
            stranger.bans = 0;
        }
        let life = BAN_FIRST.saturating_mul(4u32.saturating_pow(stranger.bans.min(8))).min(BAN_MAX);
        stranger.ban = Some((now, now + life, misdeed));
        stranger.bans = stranger.bans.saturating_add(1);
        stranger.score = 0.0;
        Some(Ban { source, misdeed, since: now, until: now + life, times: stranger.bans })
    }

    /// Bans that stand, the newest first.
    pub fn bans(&self, now: Instant) -> Vec<Ban> {
        let mut bans: Vec<Ban> = self
            .strangers
            .iter()
            .filter_map(|(source, stranger)| {
                let (since, until, misdeed) = stranger.ban.filter(|(_, until, _)| now < *until)?;
                Some(Ban { source: *source, misdeed, since, until, times: stranger.bans })
            })
            .collect();
        bans.sort_unstable_by_key(|ban| (std::cmp::Reverse(ban.since), ban.source));
        bans
    }

    /// Lifts the ban of one source, or of all. Tells how many there were.
    pub fn lift(&mut self, now: Instant, source: Option<Source>) -> usize {
        let mut lifted = 0;
        for (_, stranger) in self.strangers.iter_mut().filter(|(s, _)| source.is_none_or(|one| one == **s)) {
            if stranger.ban.is_some_and(|(_, until, _)| now < until) {
                stranger.ban = None;
                stranger.bans = 0;
                lifted += 1;
            }
        }
        lifted
    }

    /// Peers and phones of whom something is remembered.
    pub fn known(&self) -> usize {
        self.known.len()
    }

    /// Strangers remembered, and how many had to be forgotten for others.
    pub fn strangers(&self) -> (usize, u64) {
        (self.strangers.len(), self.forgotten)
    }

    fn known_entry(&mut self, now: Instant, source: Source, rate: u32) -> &mut Known {
        // More sources than fit means as many calls as nobody can have: start afresh.
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&source) {
            self.known.clear();
        }
        let fresh = || Known { bucket: Bucket::full(now, rate), failures: (0, Instant::ZERO) };
        self.known.entry(source).or_insert_with(fresh)
    }

    fn stranger(&mut self, now: Instant, source: Source, rate: u32) -> &mut Stranger {
        if !self.strangers.contains_key(&source) {
            self.make_room(now);
            self.order.push_back(source);
        }
        self.strangers.entry(source).or_insert_with(|| Stranger {
            bucket: Bucket::full(now, rate),
            score: 0.0,
            scored: now,
            ban: None,
            bans: 0,
        })
    }

    /// Forgets the one that came first; who is banned gets some more chances to stay.
    fn make_room(&mut self, now: Instant) {
        let mut spared = 0;
        while self.strangers.len() >= STRANGERS_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            if spared < 8 && self.is_banned(now, oldest) {
                spared += 1;
                self.order.push_back(oldest);
            } else {
                self.strangers.remove(&oldest);
                self.forgotten += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const RATE: u32 = 10;

    fn at(s: u64) -> Instant {
        Instant::from_micros(1_000_000 * (s + 1))
    }

    fn source(text: &str) -> Source {
        Source::of(text.parse().expect("an address"))
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut sources = Sources::default();
        let taken = |sources: &mut Sources, now| {
            (0..200).filter(|_| sources.take_stranger(now, source("192.0.2.1"), RATE)).count()
        };
        assert_eq!(taken(&mut sources, at(0)), 40);
        assert_eq!(taken(&mut sources, at(1)), 10);
        assert!(sources.take_stranger(at(1), source("192.0.2.2"), RATE), "another source has its own");
        assert!((0..200).all(|_| sources.take_known(at(1), source("192.0.2.3"), 0)), "0 is no limit");
    }

    #[test]
    fn bans_grow_and_end() {
        let mut sources = Sources::default();
        let (bad, mut now) = (source("192.0.2.1"), at(0));
        let mut lives = vec![];
        for _ in 0..6 {
            let needed = (1..).find(|_| sources.note(now, bad, Misdeed::Credentials, RATE).is_some()).expect("a ban");
            assert_eq!(needed, 5);
            let ban = sources.bans(now).pop().expect("it stands");
            lives.push(ban.until.since(ban.since).as_secs());
            assert!(sources.is_banned(now, bad));
            now = ban.until;
            assert!(!sources.is_banned(now, bad) && sources.bans(now).is_empty());
        }
        assert_eq!(lives, [60, 240, 960, 3840, 14_400, 14_400]);
        // A day later it is forgiven.
        now += FORGIVEN;
        for _ in 0..5 {
            sources.note(now, bad, Misdeed::Barred, RATE);
        }
        assert_eq!(sources.bans(now).pop().map(|ban| ban.until.since(now)), Some(BAN_FIRST));
        assert_eq!(sources.lift(now, Some(source("192.0.2.9"))), 0);
        assert_eq!(sources.lift(now, Some(bad)), 1);
        assert!(!sources.is_banned(now, bad));
    }

    #[test]
    fn wrong_credentials_of_one_we_know_count_by_the_minute_and_are_told_once() {
        let mut sources = Sources::default();
        // Half of it in each minute is no guessing.
        for minute in 0..10 {
            let told = |_| sources.note_failure(at(60 * minute), source("192.0.2.1"), 0);
            assert!((0..FAILURES_MAX / 2).filter_map(told).next().is_none());
        }
        // The hosts of an IPv6 customer are one source.
        let told: Vec<_> = (1..=3 * FAILURES_MAX)
            .filter_map(|n| Some((n, sources.note_failure(at(1000), source(&format!("2001:db8::{n:x}")), 0)?)))
            .collect();
        assert_eq!(told, [(FAILURES_MAX, at(1000) + FAILURES_WINDOW)]);
        let again = |_| sources.note_failure(at(1060), source("2001:db8::1"), 0);
        assert_eq!((1..=FAILURES_MAX).filter_map(again).count(), 1, "the next minute");
        assert_eq!(sources.known(), 2);
    }

    #[test]
    fn a_mistake_now_and_then_bans_nobody() {
        let mut sources = Sources::default();
        for minute in 0..600 {
            assert_eq!(sources.note(at(60 * minute), source("192.0.2.1"), Misdeed::Credentials, RATE), None);
        }
    }

    #[test]
    fn the_table_is_bounded_and_a_ban_survives_a_moderate_crowd() {
        let mut sources = Sources::default();
        let bad = source("192.0.2.1");
        while sources.note(at(0), bad, Misdeed::Barred, RATE).is_none() {}
        for n in 0..(2 * STRANGERS_MAX as u32) {
            sources.take_stranger(at(1), Source::of(IpAddr::V4((0x0a00_0000 + n).into())), RATE);
        }
        assert_eq!(sources.strangers.len(), STRANGERS_MAX);
        assert_eq!(sources.order.len(), STRANGERS_MAX);
        assert!(sources.is_banned(at(1), bad));
        assert_eq!(sources.strangers().1, STRANGERS_MAX as u64 + 1);
    }
}
