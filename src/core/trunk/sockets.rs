//! Local RTP sockets that the media plane has bound and the core may give to legs.

use std::collections::VecDeque;

use crate::core::media::MediaCommand;
use crate::core::switch::Switch;

/// Sockets kept ready: one call needs two, and binding more takes a round to the media thread, in which a burst of calls
/// can come.
const LOW_WATER: usize = 256;
/// Sockets asked for at once.
const BATCH: u16 = 256;

/// Free sockets, used in turn so that a port rests as long as possible between two calls.
#[derive(Default, Debug)]
pub(crate) struct SocketPool {
    free: VecDeque<u16>,
    asked: bool,
    exhausted: bool,
    pub total: usize,
}

impl SocketPool {
    /// Free sockets.
    pub fn free(&self) -> usize {
        self.free.len()
    }
}

impl Switch {
    /// Whether calls can be served: the media plane has said which sockets there are.
    pub fn is_ready(&self) -> bool {
        self.sockets.total > 0 || self.sockets.exhausted
    }

    /// Asks the plane for more sockets when few are left.
    pub(crate) fn sockets_ask(&mut self) {
        if self.sockets.free.len() < LOW_WATER && !self.sockets.asked && !self.sockets.exhausted {
            self.sockets.asked = true;
            self.media(MediaCommand::BindSockets(BATCH));
        }
    }

    /// The plane bound these.
    pub(crate) fn sockets_bound(&mut self, ports: Vec<u16>) {
        self.sockets.asked = false;
        self.sockets.total += ports.len();
        self.sockets.free.extend(ports);
        self.sockets_ask();
    }

    /// The plane can bind no more.
    pub(crate) fn sockets_exhausted(&mut self) {
        self.sockets.asked = false;
        self.sockets.exhausted = true;
    }

    /// A leg's socket is free again.
    pub(crate) fn socket_back(&mut self, port: u16) {
        self.sockets.free.push_back(port);
    }

    /// A socket for a new leg.
    pub(crate) fn socket_take(&mut self) -> Option<u16> {
        let socket = self.sockets.free.pop_front();
        self.sockets_ask();
        if socket.is_none() {
            self.counters.sockets_refused += 1;
        }
        socket
    }
}
