//! The registrar (RFC 3261 section 10.3): where our users can be reached.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use sip_codec::headers::ContactValue;
use sip_codec::{HeaderName, Request, TypedHeader, Uri};

use crate::base::{Instant, Now, Timestamp};

use super::Path;
use super::hanging::Hanging;
use super::message::{Head, number, text};
use super::types::{Binding, Event};
use super::wire::{Wake, Wire};

/// Lifetime, in seconds, where the phone names none.
const EXPIRES_DEFAULT_S: u32 = 3600;
/// Longest lifetime granted.
const EXPIRES_MAX_S: u32 = 7200;
/// Shortest; a shorter wish gets 423 (RFC 3261 section 10.3 step 7).
const EXPIRES_MIN_S: u32 = 30;
/// Bindings of one user; one more takes the oldest's place, so that a phone that changes its port is not shut out.
const PER_USER_MAX: usize = 4;
/// Longest contact URI, in octets.
const CONTACT_MAX: usize = 512;

#[derive(Debug)]
struct Entry {
    binding: Binding,
    expires: Instant,
    /// Key in `expiries`, with `expires`.
    serial: u64,
    call_id: Vec<u8>,
    cseq: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Registrar {
    /// Newest last.
    users: HashMap<String, Vec<Entry>>,
    expiries: BTreeMap<(Instant, u64), String>,
    /// By their keys in `expiries`.
    hanging: Hanging<(Instant, u64)>,
    max: usize,
    scheduled: Option<Instant>,
}

/// Why a REGISTER changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// A Contact, or what goes with it, makes no sense.
    BadContact,
    /// RFC 3261 section 10.3 step 7: older than what we have.
    OutOfOrder,
    /// Shorter than [`EXPIRES_MIN_S`].
    TooBrief,
    /// `bindings_max` is reached.
    Full,
}

impl Refusal {
    /// Whether it is for want of room.
    pub fn is_full(self) -> bool {
        self == Self::Full
    }

    /// Status, reason phrase and header lines.
    pub fn answer(self) -> (u16, &'static str, String) {
        match self {
            Self::BadContact => (400, "Malformed Contact or Expires", String::new()),
            Self::OutOfOrder => (500, "CSeq out of order", String::new()),
            Self::TooBrief => (423, "Interval Too Brief", format!("Min-Expires: {EXPIRES_MIN_S}\r\n")),
            Self::Full => (503, "Too many bindings", "Retry-After: 60\r\n".into()),
        }
    }
}

impl Registrar {
    pub fn new(max: usize) -> Self {
        Self { users: HashMap::new(), expiries: BTreeMap::new(), hanging: Hanging::default(), max, scheduled: None }
    }

    pub fn len(&self) -> usize {
        self.expiries.len()
    }

    /// The newest binding.
    pub fn binding(&self, user: &str) -> Option<&Binding> {
        self.users.get(user)?.last().map(|e| &e.binding)
    }

    /// Carries out an authenticated REGISTER; answers with the Contact lines of the 200.
    pub fn register(
        &mut self,
        now: Now,
        wire: &mut Wire,
        user: &str,
        path: Path,
        (head, request): (&Head, &Request),
    ) -> Result<String, Refusal> {
        let default = match request.headers.value(&HeaderName::Expires) {
            // RFC 3261 section 20.19: a malformed value counts as 3600.
            Some(_) => number(&request.headers, &HeaderName::Expires).unwrap_or(EXPIRES_DEFAULT_S),
            None => EXPIRES_DEFAULT_S,
        };
        let mut wishes = Vec::new();
        for row in request.headers.get_all(&HeaderName::Contact) {
            for value in ContactValue::decode_list(&row.value()).map_err(|_| Refusal::BadContact)? {
                match value {
                    ContactValue::Wildcard => {
                        if default != 0 || request.headers.count(&HeaderName::Contact) != 1 {
                            return Err(Refusal::BadContact);
                        }
                        self.check_order(user, head, |_| true)?;
                        self.remove_user(wire, user);
                    }
                    ContactValue::Address(address) => {
                        let expires = match address.param("expires") {
                            Some(v) => std::str::from_utf8(v).ok().and_then(|v| v.parse().ok()).unwrap_or(default),
                            None => default,
                        };
                        wishes.push((address.uri, expires));
                    }
                }
            }
        }
        self.check_wishes(user, head, &wishes)?;
        for (uri, expires) in wishes.into_iter().take(PER_USER_MAX) {
            let life = Duration::from_secs(u64::from(expires.min(EXPIRES_MAX_S)));
            let (user, contact) = (user.to_owned(), text(&uri.to_bytes()));
            let binding = Binding { user, contact, path, expires_at: now.after(life).wall };
            self.carry_out(now, wire, binding, head, life);
        }
        self.schedule(wire);
        Ok(self.contact_lines(now, user))
    }

    /// All or nothing: nothing is changed before the whole request is known to be good.
    fn check_wishes(&self, user: &str, head: &Head, wishes: &[(Uri, u32)]) -> Result<(), Refusal> {
        for (uri, expires) in wishes {
            if !uri.scheme().is_sip() || uri.to_bytes().len() > CONTACT_MAX {
                return Err(Refusal::BadContact);
            }
            if (1..EXPIRES_MIN_S).contains(expires) {
                return Err(Refusal::TooBrief);
            }
            self.check_order(user, head, |entry| same(&entry.binding.contact, uri))?;
        }
        let known = self.users.get(user).map_or(0, Vec::len);
        let wanted = wishes.iter().filter(|(_, expires)| *expires > 0).count().min(PER_USER_MAX);
        let full = self.len() + wanted.saturating_sub(known) > self.max;
        if full { Err(Refusal::Full) } else { Ok(()) }
    }

    fn check_order(&self, user: &str, head: &Head, which: impl Fn(&Entry) -> bool) -> Result<(), Refusal> {
        let entries = self.users.get(user).map(Vec::as_slice).unwrap_or_default();
        let stale = entries.iter().any(|e| which(e) && e.call_id == head.call_id && head.cseq <= e.cseq);
        if stale { Err(Refusal::OutOfOrder) } else { Ok(()) }
    }

    fn carry_out(&mut self, now: Now, wire: &mut Wire, binding: Binding, head: &Head, life: Duration) {
        let user = binding.user.clone();
        let uri = Uri::parse(Bytes::copy_from_slice(binding.contact.as_bytes()));
        let mut gone = self.remove(&user, |entry| uri.as_ref().is_ok_and(|uri| same(&entry.binding.contact, uri)));
        if life.is_zero() {
            tell_gone(wire, &user, gone);
            return;
        }
        // One that was written differently is another one to whoever keeps them.
        gone.retain(|contact| *contact != binding.contact);
        tell_gone(wire, &user, gone);
        wire.event(Event::Registered { binding: binding.clone() });
        let (call_id, cseq) = (head.call_id.clone(), head.cseq);
        self.insert(wire, Entry { binding, expires: now.mono + life, serial: 0, call_id, cseq });
    }

    /// Most bindings.
    pub fn max(&self) -> usize {
        self.max
    }

    fn insert(&mut self, wire: &mut Wire, mut entry: Entry) {
        let user = entry.binding.user.clone();
        entry.serial = wire.id();
        self.expiries.insert((entry.expires, entry.serial), user.clone());
        self.hanging.moved((entry.expires, entry.serial), 0, entry.binding.path.connection);
        let entries = self.users.entry(user.clone()).or_default();
        entries.push(entry);
        if entries.len() > PER_USER_MAX {
            let oldest = entries.remove(0);
            self.forget(&oldest);
            wire.count("binding-displaced");
            tell_gone(wire, &user, vec![oldest.binding.contact]);
        }
    }

    /// The contacts of those that went.
    fn remove(&mut self, user: &str, which: impl Fn(&Entry) -> bool) -> Vec<String> {
        let Some(entries) = self.users.get_mut(user) else { return Vec::new() };
        let gone: Vec<Entry> = entries.extract_if(.., |entry| which(entry)).collect();
        if entries.is_empty() {
            self.users.remove(user);
        }
        gone.iter().for_each(|entry| self.forget(entry));
        gone.into_iter().map(|entry| entry.binding.contact).collect()
    }

    /// An entry is none of its user's any more.
    fn forget(&mut self, entry: &Entry) {
        self.expiries.remove(&(entry.expires, entry.serial));
        self.hanging.moved((entry.expires, entry.serial), entry.binding.path.connection, 0);
    }

    fn remove_user(&mut self, wire: &mut Wire, user: &str) {
        let gone = self.remove(user, |_| true);
        tell_gone(wire, user, gone);
    }

    fn contact_lines(&self, now: Now, user: &str) -> String {
        let mut lines = String::new();
        for entry in self.users.get(user).map(Vec::as_slice).unwrap_or_default() {
            let left = entry.expires.since(now.mono).as_secs();
            let _ = write!(lines, "Contact: <{}>;expires={left}\r\n", entry.binding.contact);
        }
        lines
    }

    /// Puts a binding back after a restart. `false` where there is no room or no life left.
    pub fn restore(&mut self, now: Now, wire: &mut Wire, mut binding: Binding) -> bool {
        let left_ms = binding.expires_at.as_millis().saturating_sub(now.wall.as_millis());
        let longest = i64::from(EXPIRES_MAX_S) * 1000;
        if left_ms <= 0 || self.len() >= self.max || Uri::parse(Bytes::from(binding.contact.clone())).is_err() {
            return false;
        }
        let left_ms = left_ms.min(longest);
        binding.expires_at = Timestamp(now.wall.as_millis() + left_ms);
        binding.path.connection = 0;
        let expires = now.mono + Duration::from_millis(u64::try_from(left_ms).unwrap_or_default());
        self.insert(wire, Entry { binding, expires, serial: 0, call_id: Vec::new(), cseq: 0 });
        self.schedule(wire);
        true
    }

    /// Drops the bindings of all but these users.
    pub fn keep_users(&mut self, wire: &mut Wire, keep: impl Fn(&str) -> bool) {
        let mut gone: Vec<String> = self.users.keys().filter(|user| !keep(user)).cloned().collect();
        gone.sort_unstable();
        for user in gone {
            self.remove_user(wire, &user);
        }
    }

    /// A stream is gone: its bindings stay, and a request makes the edge connect anew.
    pub fn connection_closed(&mut self, connection: u64) {
        for key in self.hanging.on(connection) {
            self.hanging.moved(key, connection, 0);
            let entries = self.expiries.get(&key).and_then(|user| self.users.get_mut(user));
            if let Some(entry) = entries.into_iter().flatten().find(|entry| (entry.expires, entry.serial) == key) {
                entry.binding.path.connection = 0;
            }
        }
    }

    /// Drops what has expired.
    pub fn wake(&mut self, now: Instant, wire: &mut Wire, at: Instant) {
        if self.scheduled == Some(at) {
            self.scheduled = None;
        }
        while let Some((&(expires, serial), _)) = self.expiries.first_key_value() {
            if expires > now {
                break;
            }
            let Some(user) = self.expiries.remove(&(expires, serial)) else { break };
            let gone = self.remove(&user, |entry| entry.serial == serial);
            tell_gone(wire, &user, gone);
        }
        self.schedule(wire);
    }

    fn schedule(&mut self, wire: &mut Wire) {
        let due = self.expiries.first_key_value().map(|((at, _), _)| *at);
        wire.wake(Wake::Registrar, due, &mut self.scheduled);
    }

    pub fn check_invariants(&self) {
        assert!(self.len() <= self.max);
        assert_eq!(self.users.values().map(Vec::len).sum::<usize>(), self.expiries.len());
        let entries = self.users.values().flatten();
        self.hanging.check(entries.map(|e| ((e.expires, e.serial), e.binding.path.connection)));
        assert!(self.users.values().all(|e| (1..=PER_USER_MAX).contains(&e.len())));
    }
}

fn tell_gone(wire: &mut Wire, user: &str, contacts: Vec<String>) {
    for contact in contacts {
        wire.event(Event::Unregistered { user: user.to_owned(), contact });
    }
}

/// RFC 3261 section 19.1.4.
fn same(contact: &str, uri: &Uri) -> bool {
    contact.as_bytes() == uri.to_bytes()
        || Uri::parse(Bytes::copy_from_slice(contact.as_bytes())).is_ok_and(|known| known.equivalent(uri))
}
