//! Paths to where a request is to go: from which listener, by which transport, to which address.

use std::net::SocketAddr;

use crate::base::TrunkId;
use crate::core::switch::{Output, Switch};
use crate::core::tenant::directory::Host;
use crate::core::trunk::target::Destination;
use crate::proto::sip::{Path, Transport};

impl Switch {
    /// Paths to a destination, best first; none where it cannot be reached from here.
    pub(crate) fn locate(&mut self, destination: &Destination, trunk: Option<TrunkId>) -> Vec<Path> {
        let Host::Address(address) = destination.host else { return Vec::new() };
        let transport = destination.plain_transport();
        let remote = SocketAddr::new(address, destination.port.unwrap_or(transport.default_port()));
        self.path_between(transport, remote, &destination.host, trunk).into_iter().collect()
    }

    /// The path of a request to an address: from our listener of that protocol and address family. TLS asks for a
    /// certificate that names `host`.
    fn path_between(
        &mut self,
        transport: Transport,
        remote: SocketAddr,
        host: &Host,
        trunk: Option<TrunkId>,
    ) -> Option<Path> {
        let fits = |(t, l): &&(Transport, SocketAddr)| *t == transport && l.is_ipv4() == remote.is_ipv4();
        let (transport, local) = *self.config.listeners.iter().find(fits)?;
        let mut path = Path::new(transport, local, remote);
        if transport == Transport::Tls {
            let tls = trunk.and_then(|trunk| self.directory.trunk(trunk)).and_then(|entry| entry.tls.as_ref());
            let name = match host {
                Host::Address(address) => address.to_string(),
                Host::Name(name) => name.clone(),
            };
            let (number, told) = self.profiles.number(trunk, tls, &name);
            path.profile = number;
            if let Some(profile) = told {
                self.emit(Output::TlsProfile(Box::new(profile)));
            }
        }
        Some(path)
    }
}
