//! Whom a call comes from: what we believe of it, and what the next party is told (RFC 3323 to RFC 3325, RFC 5806,
//! RFC 7044). A number that a caller from outside withholds never becomes part of a call: only trusted trunks are told it.
//! An agent is known to its own centre by name whatever its phone withholds; the party that it calls is told nothing.

use crate::base::{AgentId, Now, TrunkId};
use crate::core::call::{Call, RouteStep};
use crate::core::journal::Direction;
use crate::core::switch::Switch;
use crate::proto::sip::{Diversion, Incoming, Origin};

/// The user part of a From that names nobody (RFC 3323 section 4.1.1.3).
const ANONYMOUS: &str = "anonymous";

/// Whom an INVITE of ours names as caller.
pub(super) struct Caller {
    pub user: String,
    pub display: Option<String>,
    /// `None`: our own address.
    pub host: Option<String>,
    pub origin: Origin,
}

impl Call {
    /// The number by which the caller is shown to people: none where it is withheld.
    fn shown(&self) -> Option<&str> {
        let from = self.cdr.from.as_str();
        (!self.origin.private && !from.is_empty() && from != ANONYMOUS).then_some(from)
    }

    /// The attributes that flows find, beside those of every call.
    pub(super) fn origin_attributes(&self) -> Vec<(String, String)> {
        let diversions = &self.origin.diversions;
        let (by, first) = (diversions.first(), diversions.last());
        [
            self.origin.private.then(|| ("privacy", "id".to_owned())),
            first.map(|d| ("diverted_from", d.user.clone())),
            by.map(|d| ("diverted_by", d.user.clone())),
            by.map(|d| ("diverted_why", d.reason.clone())),
        ]
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// Puts into the record what it has no field for.
    pub(super) fn note_origin(&mut self, now: Now) {
        if self.origin.private {
            self.note(now, "caller-withheld", "");
        }
        let diverted = self.origin.diversions.last().map(|d| (d.user.clone(), d.reason.clone()));
        if let Some((user, reason)) = diverted {
            self.note(now, "diverted", format!("from {user}, {reason}"));
        }
    }
}

impl Switch {
    /// What we believe of an INVITE's origin, and the number that stands for the caller.
    pub(crate) fn admit_origin(
        &self,
        incoming: &Incoming,
        (trunk, agent): (Option<TrunkId>, Option<AgentId>),
    ) -> (Origin, String) {
        let mut origin = incoming.origin.clone();
        if agent.is_some() {
            // RFC 3325 section 5: whom we authenticated ourselves we may assert; what it says of itself counts for nothing.
            origin.asserted = Some(incoming.from_user.clone());
            origin.diversions.clear();
            return (origin, incoming.from_user.clone());
        }
        origin.asserted = origin.asserted.filter(|_| self.is_trusted(trunk));
        let caller = match (&origin.asserted, origin.private) {
            (_, true) => ANONYMOUS.to_owned(),
            (Some(user), false) => user.clone(),
            (None, false) => incoming.from_user.clone(),
        };
        (origin, caller)
    }

    /// Whether a trunk leads to our trust domain (RFC 3324).
    fn is_trusted(&self, trunk: Option<TrunkId>) -> bool {
        trunk.and_then(|trunk| self.directory.trunk(trunk)).is_some_and(|entry| entry.trusted)
    }

    /// What the party that `step` leads to is told.
    pub(super) fn caller_for(&self, call: &Call, step: &RouteStep) -> Caller {
        let trusted = self.is_trusted(step.trunk);
        let mut origin = call.origin.clone();
        origin.asserted = origin.asserted.filter(|_| trusted);
        // The number that the client dialled sends the call on.
        let dialled = call.cdr.to.as_str();
        let last = origin.diversions.first().map(|d| d.user.as_str());
        if call.cdr.direction == Direction::Inbound && !dialled.is_empty() && last != Some(dialled) {
            origin.diversions.insert(0, Diversion { user: dialled.to_owned(), reason: "unconditional".to_owned() });
        }
        if origin.history_private && !trusted {
            origin.diversions.clear();
        }
        origin.max_forwards = origin.max_forwards.saturating_sub(1);
        match call.shown() {
            Some(from) => Caller { user: from.to_owned(), display: None, host: None, origin },
            None if origin.private => Caller {
                user: ANONYMOUS.to_owned(),
                display: Some("Anonymous".to_owned()),
                host: Some("anonymous.invalid".to_owned()),
                origin,
            },
            None => Caller { user: ANONYMOUS.to_owned(), display: None, host: None, origin },
        }
    }
}
