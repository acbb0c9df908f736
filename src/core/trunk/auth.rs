//! Who may call: SIP peers by their certificate or address, agents' phones by digest, nobody else.

use crate::base::{AgentId, TrunkId};
use crate::core::switch::Switch;
use crate::proto::sip::Incoming;

/// Where an INVITE comes from, as far as we trust it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// A trunk's peer.
    Trunk(TrunkId),
    /// An agent's phone, authenticated.
    Phone(AgentId),
    /// It must authenticate first.
    Challenge,
    /// An agent's phone that speaks for another than it proved to be.
    Misnamed,
    /// It proved to be somebody who may not call from here.
    Stranger,
}

impl Switch {
    pub(super) fn identify(&self, incoming: &Incoming) -> Source {
        let by_address = || {
            let trunk = self.trunk_of(incoming.path.remote.ip())?;
            // A peer that is known by its certificate is not known without.
            let entry = self.directory.trunk(trunk)?;
            (!entry.tls.as_ref().is_some_and(|tls| tls.identify)).then_some(trunk)
        };
        if let Some(trunk) = self.trunk_by_certificate(incoming.path.connection).or_else(by_address) {
            let Some(entry) = self.directory.trunk(trunk) else { return Source::Stranger };
            let wants = entry.authenticate.then_some(entry.user.as_deref()).flatten();
            return match (wants, incoming.authenticated.as_deref()) {
                (None, _) => Source::Trunk(trunk),
                (Some(user), Some(given)) if user == given => Source::Trunk(trunk),
                (Some(_), _) => Source::Challenge,
            };
        }
        match incoming.authenticated.as_deref() {
            Some(user) => match self.directory.agent_by_user(user) {
                // A phone speaks for its own address of record, or for nobody (RFC 3323 section 4.1.1.3).
                Some(a) if user == incoming.from_user || incoming.origin.nobody => Source::Phone(a.id),
                Some(_) => Source::Misnamed,
                None => Source::Stranger,
            },
            // Whoever it claims to be: a name that is known gets no other answer than one that is not.
            None => Source::Challenge,
        }
    }
}
