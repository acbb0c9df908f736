//! What is bounded inside the endpoint, for `status`.

use crate::base::Bound;

use super::endpoint::Endpoint;

impl Endpoint {
    /// Bounds with their use. What one message or session may hold is told by the counters.
    pub fn bounds(&self) -> Vec<Bound> {
        let counted = |what: &str| self.counters().get(what).copied().unwrap_or(0);
        let (servers, clients) = (self.transactions.servers_len(), self.transactions.clients_len());
        let most = self.transactions.max();
        vec![
            Bound::new("sip-sessions", self.sessions.len(), self.sessions_max, counted("sessions-full")),
            Bound::new("sip-transactions", servers, most, counted("transactions-full")),
            Bound::new("sip-requests", clients, most, counted("requests-full")),
            Bound::new("sip-registrations", self.bindings_len(), self.registrar.max(), counted("registrations-full")),
            self.streams.bound(),
            self.guard.bound(),
        ]
    }
}
