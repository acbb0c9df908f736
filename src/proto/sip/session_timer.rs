//! Session timers (RFC 4028): how long a session lasts unless it is refreshed, and by whom.

use std::time::Duration;

use sip_codec::session::{MinSe, Refresher, SessionExpires};
use sip_codec::{HeaderName, Headers, TypedHeader};

use crate::base::{Cause, Instant};

use super::message::lists;
use super::session::{Io, Phase, Session};
use super::types::Event;

/// RFC 4028 section 5: no interval may be shorter, and who says nothing means this.
pub(super) const MIN_SE: Duration = Duration::from_secs(90);
/// Bounds of an interval that a peer sets, whatever it says.
const SHORTEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Answers with 422 in a row before a request is given up: each may name a larger Min-SE.
const TOO_SMALL_MAX: u8 = 4;
/// Bounds of the pause before a refresh that failed is tried again.
const RETRY_SHORTEST: Duration = Duration::from_secs(2);
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// What we ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SessionLimits {
    /// Session interval of ours; `None` asks for none, and takes what peers ask for.
    pub expires: Option<Duration>,
    /// Shortest interval that we take.
    pub min: Duration,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { expires: Some(Duration::from_secs(1_800)), min: MIN_SE }
    }
}

/// What the timer does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Refresh,
    Expire,
}

/// One session's timer.
#[derive(Debug)]
pub(super) struct SessionTimer {
    /// What the request under way asks for.
    asked: Option<SessionExpires>,
    /// Whether the peer knows session timers.
    supported: bool,
    /// Largest Min-SE heard in this session.
    min_se: Duration,
    interval: Option<Duration>,
    ours: bool,
    /// The peer named an interval, or was told one in an answer. Where it did not, no session ends for want of a refresh.
    agreed: bool,
    /// When the session ends unless it is refreshed.
    expires: Option<Instant>,
    due: Option<(Instant, Next)>,
    too_small: u8,
}

impl Default for SessionTimer {
    fn default() -> Self {
        Self {
            asked: None,
            supported: false,
            min_se: MIN_SE,
            interval: None,
            ours: false,
            agreed: false,
            expires: None,
            due: None,
            too_small: 0,
        }
    }
}

/// The interval that a message names, kept within bounds of ours: a peer must not have us refresh without pause.
fn session_expires(headers: &Headers) -> Option<SessionExpires> {
    let named = SessionExpires::decode(&headers.value(&HeaderName::SessionExpires)?).ok()?;
    Some(SessionExpires { interval: named.interval.clamp(SHORTEST, LONGEST), ..named })
}

fn min_se(headers: &Headers) -> Option<Duration> {
    headers.value(&HeaderName::MinSe).and_then(|value| MinSe::decode(&value).ok()).map(|min| min.0.min(LONGEST))
}

impl SessionTimer {
    pub fn due(&self) -> Option<Instant> {
        self.due.map(|(at, _)| at)
    }

    /// Header lines of an INVITE or UPDATE of ours (RFC 4028 sections 7.1 and 7.4).
    pub fn request_lines(&self, limits: &SessionLimits) -> String {
        let Some(interval) = self.interval.or(limits.expires) else { return String::new() };
        let refresher = match (self.interval, self.ours) {
            (None, _) => "",
            (Some(_), true) => ";refresher=uac",
            (Some(_), false) => ";refresher=uas",
        };
        let mut lines = format!("Session-Expires: {}{refresher}\r\n", interval.max(self.min_se).as_secs());
        if self.min_se > MIN_SE {
            lines.push_str(&format!("Min-SE: {}\r\n", self.min_se.as_secs()));
        }
        lines
    }

    /// Takes a 422 (RFC 4028 section 7.3). `true` when the request is worth sending again.
    pub fn take_422(&mut self, headers: &Headers) -> bool {
        let Some(min) = min_se(headers).filter(|min| *min > self.min_se) else { return false };
        self.min_se = min;
        self.too_small += 1;
        self.too_small <= TOO_SMALL_MAX
    }

    /// Takes a request of the peer's. `Err` are the header lines of the 422 that refuses it (RFC 4028 section 9).
    pub fn take_request(&mut self, headers: &Headers, limits: &SessionLimits) -> Result<(), String> {
        let supported =
            lists(headers, &HeaderName::Supported, b"timer") || lists(headers, &HeaderName::Require, b"timer");
        let asked = session_expires(headers);
        if supported && asked.is_some_and(|asked| asked.interval < limits.min) {
            return Err(format!("Min-SE: {}\r\n", limits.min.as_secs()));
        }
        self.asked = asked;
        self.supported = supported;
        self.min_se = self.min_se.max(min_se(headers).unwrap_or(MIN_SE));
        Ok(())
    }

    /// Header lines of our 2xx to the request taken last; the timer starts anew (RFC 4028 section 9).
    pub fn answer_lines(&mut self, now: Instant, limits: &SessionLimits) -> String {
        let asked = self.asked.take();
        let ours = limits.expires.map(|expires| expires.max(self.min_se));
        let interval = match (&asked, ours) {
            // An interval may be shortened, but not below Min-SE; never made longer.
            (Some(asked), Some(ours)) => Some(asked.interval.min(ours)),
            (Some(asked), None) => Some(asked.interval),
            (None, ours) => ours,
        };
        // RFC 4028 table 2. Where the choice is ours we refresh: then we know that it is done.
        self.ours = !(self.supported && asked.as_ref().is_some_and(|asked| asked.refresher == Some(Refresher::Uac)));
        self.agreed = self.supported || asked.is_some();
        self.start(now, interval);
        let Some(interval) = interval.filter(|_| self.agreed) else { return String::new() };
        let (refresher, require) =
            (if self.ours { "uas" } else { "uac" }, if self.supported { "Require: timer\r\n" } else { "" });
        format!("Session-Expires: {};refresher={refresher}\r\n{require}", interval.as_secs())
    }

    /// Takes the 2xx to a request of ours (RFC 4028 section 7.2). A peer that does not know session timers leaves the
    /// refreshing to us.
    pub fn take_answer(&mut self, now: Instant, headers: &Headers, limits: &SessionLimits) {
        self.too_small = 0;
        let agreed = session_expires(headers);
        self.ours = agreed.as_ref().is_none_or(|agreed| agreed.refresher != Some(Refresher::Uas));
        self.agreed = agreed.is_some();
        let asked = || self.interval.or(limits.expires).map(|interval| interval.max(self.min_se));
        let interval = agreed.map(|agreed| agreed.interval).or_else(asked);
        self.start(now, interval);
    }

    /// RFC 4028 section 10: a refresher refreshes at half the interval, the other side gives up shortly before its end.
    fn start(&mut self, now: Instant, interval: Option<Duration>) {
        self.interval = interval;
        self.expires = interval.map(|interval| now + patience(interval));
        self.due = match interval {
            Some(interval) if self.ours => Some((now + interval / 2, Next::Refresh)),
            _ => self.expires.map(|at| (at, Next::Expire)),
        };
    }

    /// What carried the refresh of a session was refused, or nothing carried it. `answered`: by a final response of the
    /// peer's, which may say when to come back, in seconds.
    pub fn failed(&mut self, now: Instant, answered: bool, retry_after_s: Option<u32>) {
        let Some((expires, Next::Expire)) = self.due.filter(|_| self.ours) else { return };
        if answered && !self.agreed {
            // It knows of no session timer, so the session does not expire (RFC 4028 section 7.2); and it lives.
            return self.start(now, self.interval);
        }
        // RFC 4028 section 10 ends the session only where no refresh got through in time: it is tried again until then.
        let left = expires.since(now);
        let pause = match retry_after_s {
            Some(seconds) => Duration::from_secs(u64::from(seconds)).min(left / 2),
            None => (left / 4).min(RETRY_LONGEST),
        };
        let at = now + pause.max(RETRY_SHORTEST);
        if at < expires {
            self.due = Some((at, Next::Refresh));
        }
    }
}

/// RFC 4028 section 10: BYE is to be sent the lesser of 32 s and a third of the interval before its end.
fn patience(interval: Duration) -> Duration {
    interval.saturating_sub(Duration::from_secs(32).min(interval / 3))
}

impl Session {
    /// Refreshes the session, or ends it where nobody did.
    pub fn wake_timer(&mut self, io: &mut Io<'_>) {
        let now = io.mono();
        let Some((_, next)) = self.timer.due.filter(|(at, _)| *at <= now) else { return };
        match next {
            Next::Refresh => {
                self.timer.due = self.timer.expires.map(|at| (at, Next::Expire));
                self.refresh(io);
            }
            Next::Expire => {
                io.wire.count("session-expired");
                self.timer.due = None;
                self.tell(io, Event::Ended { session: self.id, cause: Cause::TimerExpired });
                if matches!(self.phase, Phase::Up) {
                    self.bye(io, Cause::TimerExpired);
                }
            }
        }
    }
}
