//! Whom a call comes from: what we believe of it, and what the next party is told (RFC 3323 to RFC 3325, RFC 5806,
//! RFC 7044). A number that a caller from outside withholds never becomes part of a call: only trusted trunks are told it.
//! What is shown of callers on trunks is a matter of policy: the trunk's, which is the operator's, and within it the tenant's.
//! An agent is known to its own centre by name whatever its phone withholds; the party that it calls is told nothing.
//!
//! From whom a call was diverted is its sender's word, on trunks that are not trusted, too, and goes on as such: RFC 5806
//! and RFC 7044 know nobody who vouches for it, and a circle of diversions ends only where all of them are counted.

use crate::base::{AgentId, DialString, Now, TenantId, TrunkId};
use crate::core::call::{Call, RouteStep};
use crate::core::journal::Direction;
use crate::core::switch::Switch;
use crate::core::tenant::directory::Presents;
use crate::core::tenant::provision::Shown;
use crate::proto::sip::{Audience, Diversion, Incoming, Origin};

/// The user part of a From that names nobody (RFC 3323 section 4.1.1.3).
const ANONYMOUS: &str = "anonymous";

/// Whom an INVITE of ours names as caller.
pub(super) struct Caller {
    pub user: String,
    pub display: Option<String>,
    /// `None`: our own address.
    pub host: Option<String>,
    pub origin: Origin,
    pub audience: Audience,
}

impl Caller {
    /// Who is shown instead of whom the call comes from, for its record.
    pub(super) fn unlike(&self, call: &Call) -> Option<String> {
        match (self.origin.private, call.origin.private) {
            (true, true) => None,
            (true, false) => Some("withheld".into()),
            (false, _) => (self.user != call.cdr.from.as_str()).then(|| self.user.clone()),
        }
    }
}

/// What a trunk shows of a caller.
pub(crate) struct Presented {
    /// This number, empty for none; `None` for whatever the call has.
    pub number: Option<String>,
    /// Not to people.
    pub withheld: bool,
}

impl Call {
    /// The number by which the caller is shown to people: none where it is withheld.
    fn shown(&self) -> Option<&str> {
        let from = self.shown_as.as_str();
        (!self.origin.private && !from.is_empty() && from != ANONYMOUS).then_some(from)
    }

    /// The attributes that flows find, beside those of every call.
    pub(super) fn origin_attributes(&self) -> Vec<(String, String)> {
        let diversions = &self.origin.diversions;
        let (by, first) = (diversions.first().filter(|d| is_shown(d)), diversions.last().filter(|d| is_shown(d)));
        [
            self.origin.private.then(|| ("privacy", "id".to_owned())),
            first.map(|d| ("diverted_from", d.user.as_str().to_owned())),
            by.map(|d| ("diverted_by", d.user.as_str().to_owned())),
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
        let diversions = &self.origin.diversions;
        let withheld = diversions.iter().any(|d| d.withheld);
        let diverted = diversions.last().filter(|d| is_shown(d));
        if let Some(detail) = diverted.map(|d| format!("from {}, {}", d.user.as_str(), d.reason)) {
            self.note(now, "diverted", detail);
        }
        if withheld {
            self.note(now, "diverted-withheld", "");
        }
    }
}

/// Whether people and flows may see whom the call was diverted from.
fn is_shown(diversion: &Diversion) -> bool {
    !diversion.withheld && !diversion.user.is_empty()
}

impl Switch {
    /// What we believe of an INVITE's origin, and the number that stands for the caller: empty where it cannot be read as one.
    pub(crate) fn admit_origin(
        &self,
        incoming: &Incoming,
        (trunk, agent): (Option<TrunkId>, Option<AgentId>),
    ) -> (Origin, DialString) {
        let mut origin = incoming.origin.clone();
        if agent.is_some() {
            // RFC 3325 section 5: whom we authenticated ourselves we may assert; what it says of itself counts for nothing.
            let user = incoming.authenticated.as_deref().unwrap_or_default();
            let user = DialString::new(user).unwrap_or_default();
            origin.asserted = Some(user.clone()).filter(|user| !user.is_empty());
            origin.diversions.clear();
            origin.attributes.clear();
            return (origin, user);
        }
        origin.asserted = origin.asserted.filter(|_| self.is_trusted(trunk));
        if trunk.and_then(|trunk| self.node_of(trunk)).is_none() {
            origin.attributes.clear();
        }
        let caller = match (&origin.asserted, origin.private) {
            (_, true) => DialString::new(ANONYMOUS).unwrap_or_default(),
            (Some(user), false) => user.clone(),
            (None, false) => DialString::new(incoming.from_user.as_str()).unwrap_or_default(),
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
        if step.trunk.and_then(|trunk| self.node_of(trunk)).is_none() {
            origin.attributes.clear();
        }
        // The number that the client dialled sends the call on. Always: one that is there already tells of a circle, which
        // ends only if each round makes the list longer.
        let user = call.cdr.to.clone();
        if call.cdr.direction == Direction::Inbound && !user.is_empty() {
            let (reason, withheld) = ("unconditional".to_owned(), origin.history_private);
            origin.diversions.insert(0, Diversion { user, reason, withheld });
        }
        // An agent's telephone behind a trunk is told what its peer may be told.
        let audience = match (step.trunk, step.agent) {
            (None, Some(_)) => Audience::Phone,
            _ if trusted => Audience::Trusted,
            _ => Audience::Peer,
        };
        origin.max_forwards = origin.max_forwards.saturating_sub(1);
        let mut shown = call.shown().map(str::to_owned);
        // Appliances of ours tell each other who calls, and show it by their own policies.
        if let Some(trunk) = step.trunk.filter(|trunk| self.node_of(*trunk).is_none()) {
            let emergency = self.is_emergency_number(&step.number);
            let presented = self.presented(trunk, call.tenant, [call.shown(), Some(call.cdr.to.as_str())], emergency);
            if let Some(number) = presented.number {
                // Nobody asserts a number that the policy does not let it show.
                origin.asserted = DialString::new(number.as_str()).ok().filter(|n| trusted && !n.is_empty());
                shown = Some(number).filter(|number| !number.is_empty());
            }
            origin.private |= presented.withheld;
        }
        match shown.filter(|_| !origin.private) {
            Some(user) => Caller { user, display: None, host: None, origin, audience },
            None if origin.private => Caller {
                user: ANONYMOUS.to_owned(),
                display: Some("Anonymous".to_owned()),
                host: Some("anonymous.invalid".to_owned()),
                origin,
                audience,
            },
            None => Caller { user: ANONYMOUS.to_owned(), display: None, host: None, origin, audience },
        }
    }

    /// What a trunk shows of a tenant's caller, by the trunk's policy and the tenant's. `known` are numbers of the call that may
    /// be the tenant's own, the caller's first.
    pub(crate) fn presented(
        &self,
        trunk: TrunkId,
        tenant: Option<TenantId>,
        known: [Option<&str>; 2],
        emergency: bool,
    ) -> Presented {
        let presents = self.directory.trunk(trunk).map_or(&Presents::Own, |entry| &entry.presents);
        let wanted = tenant.and_then(|tenant| self.directory.tenant(tenant)).map_or(Shown::Caller, |of| of.shown);
        // Who comes to help calls back whoever called, by whatever number, but not themselves.
        let to_help = |number: &&str| emergency && self.is_emergency_number(number);
        let main = || tenant.and_then(|tenant| self.directory.caller_id(tenant)).filter(|number| !to_help(number));
        let own = || {
            let is_own = |number: &&str| tenant.is_some_and(|tenant| self.directory.owns(tenant, number));
            let mut known = known.into_iter().flatten().filter(|number| !to_help(number));
            let caller = known.clone().next().filter(|_| emergency);
            known.find(is_own).or_else(main).or(caller)
        };
        let number = match (presents, wanted) {
            (Presents::Fixed(number), _) => Some(number.as_str()),
            (Presents::Any, Shown::Caller | Shown::Withheld) => None,
            (Presents::Any | Presents::Own | Presents::Withheld, Shown::Main) => Some(main().unwrap_or_default()),
            (Presents::Own | Presents::Withheld, Shown::Caller | Shown::Withheld) => Some(own().unwrap_or_default()),
        };
        // Who comes to help wants to call back.
        let withheld = !emergency && (*presents == Presents::Withheld || wanted == Shown::Withheld);
        Presented { number: number.map(str::to_owned), withheld }
    }
}
