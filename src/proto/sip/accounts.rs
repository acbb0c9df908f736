//! Passwords guarded by user: however many addresses take part in guessing one, it is tried a few times an hour.
//!
//! Where a user logged in rightly of late, nothing here holds it up: otherwise anybody could lock anybody out. So a lock
//! does not end by a login from there either, which phones repeat every few minutes; it ends by time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::base::Instant;

use super::types::Event;
use super::wire::{Wake, Wire};

/// Wrong passwords for one user within [`WINDOW`] that lock it.
pub(super) const TRIES_MAX: u32 = 10;
/// Also the first lock; each further one is twice as long.
const WINDOW: Duration = Duration::from_secs(600);
/// The longest; after as long without one, the next is a first one again.
const LOCK_MAX: Duration = Duration::from_secs(3600);
/// How long a place is remembered after a right login: longer than any binding lasts.
const PLACE_LIFE: Duration = Duration::from_secs(25 * 3600);
/// Places of one user; a new one takes the place of that which was used longest ago.
const PLACES_MAX: usize = 8;

#[derive(Debug)]
struct Account {
    tries: u32,
    /// End of the lock, or of the window in which tries are counted.
    until: Instant,
    locked: bool,
    locks: u32,
    /// Where it logged in, and when last.
    places: Vec<(IpAddr, Instant)>,
}

/// Those users of ours for whom there is something to remember.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    by_user: HashMap<String, Account>,
}

impl Accounts {
    /// Whether passwords for the user from there are not to be believed. `source` is an address, or a /64.
    pub fn is_locked(&self, now: Instant, user: &str, source: IpAddr) -> bool {
        self.by_user.get(user).is_some_and(|a| a.locked && now < a.until && !a.is_place(now, source))
    }

    /// A right password.
    pub fn right(&mut self, now: Instant, user: &str, source: IpAddr) {
        let account = self.account(now, user);
        if let Some(place) = account.places.iter_mut().find(|(place, _)| *place == source) {
            place.1 = now;
            return;
        }
        if account.places.len() >= PLACES_MAX
            && let Some(at) = (0..account.places.len()).min_by_key(|at| account.places.get(*at).map(|place| place.1))
        {
            account.places.swap_remove(at);
        }
        account.places.push((source, now));
    }

    /// A wrong password for a user that exists.
    pub fn wrong(&mut self, now: Instant, wire: &mut Wire, user: &str, source: IpAddr) {
        let account = self.account(now, user);
        if account.locked && account.until <= now {
            unlock(user, account, wire);
        }
        if account.locked || account.is_place(now, source) {
            return;
        }
        if account.until <= now {
            if now.since(account.until) >= LOCK_MAX {
                account.locks = 0;
            }
            (account.tries, account.until) = (0, now + WINDOW);
        }
        account.tries += 1;
        if account.tries >= TRIES_MAX {
            let life = WINDOW.saturating_mul(2u32.saturating_pow(account.locks.min(8))).min(LOCK_MAX);
            (account.locked, account.until) = (true, now + life);
            account.locks = account.locks.saturating_add(1);
            let mut scheduled = None;
            wire.wake(Wake::Accounts, Some(account.until), &mut scheduled);
            wire.count("digest-locked");
            wire.event(Event::Locked { user: user.to_owned(), stands: true });
        }
    }

    /// Ends the locks whose time is over.
    pub fn wake(&mut self, now: Instant, wire: &mut Wire) {
        for (user, account) in self.by_user.iter_mut().filter(|(_, a)| a.locked && a.until <= now) {
            unlock(user, account, wire);
        }
    }

    /// Forgets all but these users.
    pub fn keep(&mut self, wire: &mut Wire, keep: impl Fn(&str) -> bool) {
        self.by_user.retain(|user, account| {
            let kept = keep(user);
            if !kept && account.locked {
                wire.event(Event::Locked { user: user.clone(), stands: false });
            }
            kept
        });
    }

    fn account(&mut self, now: Instant, user: &str) -> &mut Account {
        self.by_user.entry(user.to_owned()).or_insert_with(|| Account {
            tries: 0,
            until: now + WINDOW,
            locked: false,
            locks: 0,
            places: Vec::new(),
        })
    }
}

fn unlock(user: &str, account: &mut Account, wire: &mut Wire) {
    account.locked = false;
    wire.event(Event::Locked { user: user.to_owned(), stands: false });
}

impl Account {
    fn is_place(&self, now: Instant, source: IpAddr) -> bool {
        self.places.iter().any(|(place, at)| *place == source && now.since(*at) < PLACE_LIFE)
    }
}
