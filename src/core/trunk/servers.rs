//! How servers fare that calls go to: who fell silent, who asked to be left alone, who does not answer OPTIONS.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::{Instant, Now};
use crate::core::trunk::locator::Server;

/// A server that failed by status 503 or silence is passed over for so long, unless all others fail as well.
const PENALTY: Duration = Duration::from_secs(30);
/// Most servers of which something is remembered.
pub(crate) const SERVERS_MAX: usize = 4_096;

/// What is remembered of a server.
#[derive(Clone, Copy, Default, Debug)]
struct Fate {
    /// It did not answer the last OPTIONS.
    down: bool,
    /// Others come first until then.
    penalty: Option<Instant>,
    /// It is left alone until then.
    rest: Option<Instant>,
}

impl Fate {
    fn is_good(&self, now: Instant) -> bool {
        let over = |until: Option<Instant>| until.is_none_or(|until| until <= now);
        !self.down && over(self.penalty) && over(self.rest)
    }
}

/// The servers that do not fare well; all others do.
#[derive(Default, Debug)]
pub(crate) struct Servers {
    fates: HashMap<Server, Fate>,
    forgotten: u64,
}

impl Servers {
    /// Whether nothing speaks against a server.
    pub fn is_usable(&self, now: Now, server: Server) -> bool {
        self.fates.get(&server).is_none_or(|fate| fate.is_good(now.mono))
    }

    /// Until when a server is left alone.
    pub fn resting_until(&self, now: Now, server: Server) -> Option<Instant> {
        self.fates.get(&server)?.rest.filter(|until| *until > now.mono)
    }

    /// Whether a server did not answer the last OPTIONS.
    pub fn is_down(&self, server: Server) -> bool {
        self.fates.get(&server).is_some_and(|fate| fate.down)
    }

    /// It failed, and is left alone for as long as it said.
    pub fn failed(&mut self, now: Now, server: Server, rest: Option<Duration>) {
        let Some(fate) = self.fate(now, server) else { return };
        fate.penalty = Some(now.mono + PENALTY);
        fate.rest = rest.map(|rest| now.mono + rest).max(fate.rest);
    }

    /// It answered OPTIONS, or did not.
    pub fn probed(&mut self, now: Now, server: Server, lives: bool) {
        if lives && !self.fates.contains_key(&server) {
            return;
        }
        let Some(fate) = self.fate(now, server) else { return };
        fate.down = !lives;
        if lives {
            fate.penalty = None;
            let good = fate.is_good(now.mono);
            if good {
                self.fates.remove(&server);
            }
        }
    }

    /// Servers of which something is remembered, and how many were forgotten for want of room.
    pub fn usage(&self) -> (usize, u64) {
        (self.fates.len(), self.forgotten)
    }

    /// What is to be remembered of a server; `None` where there is no room for more.
    fn fate(&mut self, now: Now, server: Server) -> Option<&mut Fate> {
        if !self.fates.contains_key(&server) && self.fates.len() >= SERVERS_MAX {
            self.fates.retain(|_, fate| !fate.is_good(now.mono));
            if self.fates.len() >= SERVERS_MAX {
                self.forgotten += 1;
                return None;
            }
        }
        Some(self.fates.entry(server).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::proto::sip::Transport;

    fn at(seconds: u64) -> Now {
        Now { mono: Instant::ZERO + Duration::from_secs(seconds), wall: Timestamp(0) }
    }

    fn server(port: u16) -> Server {
        Server { transport: Transport::Udp, address: ([192, 0, 2, 1], port).into() }
    }

    #[test]
    fn who_failed_is_passed_over_and_who_asked_is_left_alone() {
        let mut servers = Servers::default();
        assert!(servers.is_usable(at(0), server(1)));
        servers.failed(at(0), server(1), None);
        assert!(!servers.is_usable(at(29), server(1)) && servers.is_usable(at(30), server(1)));
        assert_eq!(servers.resting_until(at(0), server(1)), None);
        servers.failed(at(0), server(2), Some(Duration::from_secs(120)));
        assert_eq!(servers.resting_until(at(119), server(2)), Some(at(120).mono));
        assert_eq!(servers.resting_until(at(120), server(2)), None);
        // An answer to OPTIONS ends the penalty, and not the rest that was asked for.
        servers.probed(at(1), server(1), true);
        servers.probed(at(1), server(2), true);
        assert!(servers.is_usable(at(1), server(1)) && !servers.is_usable(at(1), server(2)));
        servers.probed(at(1), server(3), false);
        assert!(servers.is_down(server(3)) && !servers.is_usable(at(9_999), server(3)));
        servers.probed(at(2), server(3), true);
        assert!(servers.is_usable(at(2), server(3)));
        assert_eq!(servers.usage().0, 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut servers = Servers::default();
        for port in 0..SERVERS_MAX as u16 + 5 {
            servers.failed(at(0), server(port), None);
        }
        assert_eq!(servers.usage(), (SERVERS_MAX, 5));
        servers.failed(at(31), server(60_000), None);
        assert_eq!(servers.usage(), (1, 5));
    }
}
