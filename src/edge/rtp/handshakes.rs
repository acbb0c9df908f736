//! What the media thread tells the one for DTLS handshakes, and what it has still to tell. It never waits: while that
//! thread's queue is full a new handshake is refused, and everything else is said again until it was heard.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use crate::base::{Instant, PortId};
use crate::edge::dtls::{Gauges, Order};
use crate::proto::sdp::Association;

/// DTLS records that a port hands on each second at most, those of strangers and those of hosts that signalling knows, so
/// that a flood on one leaves room for the others: a handshake has some ten, with repetitions.
const RECORDS_PER_SECOND: u32 = 50;

/// See the module.
pub(super) struct Handshakes {
    /// The way to the handshake thread, if there is one.
    orders: Option<SyncSender<Order>>,
    gauges: Arc<Gauges>,
    /// Ports that the handshake thread knows.
    ports: HashMap<PortId, Handshaking>,
    /// What found no room, the newest of each port.
    untold: BTreeMap<PortId, Order>,
    /// Of the newest handshake.
    generation: u32,
    records_since: Instant,
}

/// A port whose keys come by a handshake.
struct Handshaking {
    /// Which of the handshakes that began.
    generation: u32,
    association: Association,
    /// Hosts that signalling knows as the peer's.
    hosts: [IpAddr; 2],
    /// Records handed on since `records_since`, of strangers and of those hosts.
    records: [u32; 2],
}

impl Handshakes {
    pub fn new(orders: Option<SyncSender<Order>>, gauges: Arc<Gauges>) -> Self {
        Self {
            orders,
            gauges,
            ports: HashMap::new(),
            untold: BTreeMap::new(),
            generation: 0,
            records_since: Instant::ZERO,
        }
    }

    /// A port needs keys; `false` when it gets none, as the handshake thread is too busy. For the same association the
    /// handshake is the same one, also where the peer moved (RFC 5763 section 6.6 would have it begin anew).
    pub fn begin(
        &mut self,
        port: PortId,
        association: Association,
        (remote, signalling): (SocketAddr, IpAddr),
        answered: bool,
    ) -> bool {
        let hosts = [remote.ip(), signalling];
        let Association { active, fingerprint, .. } = association;
        let order = |generation| Order::Begin { port, generation, remote, signalling, active, fingerprint, answered };
        if let Some(same) = self.ports.get_mut(&port).filter(|before| before.association == association) {
            same.hosts = hosts;
            let order = order(same.generation);
            self.tell(port, order);
            return true;
        }
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        if self.offer(order(generation)).is_err() {
            self.gauges.lost.fetch_add(1, Ordering::Relaxed);
            // What there was before must bring no keys any more. That this has to wait is no second loss.
            if self.ports.remove(&port).is_some() {
                self.keep(port, Order::End { port });
            }
            return false;
        }
        // It ends the one before it.
        self.untold.remove(&port);
        self.ports.insert(port, Handshaking { generation, association, hosts, records: [0; 2] });
        true
    }

    /// A port needs no keys any more.
    pub fn end(&mut self, port: PortId) {
        if self.ports.remove(&port).is_some() {
            self.tell(port, Order::End { port });
        }
    }

    /// Whether a port's handshake is this one.
    pub fn is_current(&self, port: PortId, generation: u32) -> bool {
        self.ports.get(&port).is_some_and(|current| current.generation == generation)
    }

    /// Hands on a record. Rare enough to allocate: a handshake has some six datagrams.
    pub fn record(&mut self, port: PortId, from: SocketAddr, record: &[u8]) {
        let Some(handshaking) = self.ports.get_mut(&port) else { return };
        let known = handshaking.hosts.contains(&from.ip());
        let Some(records) = handshaking.records.get_mut(usize::from(known)) else { return };
        *records += 1;
        let taken =
            *records <= RECORDS_PER_SECOND && self.offer(Order::Record { port, from, datagram: record.into() }).is_ok();
        if !taken {
            self.gauges.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether something must be said again.
    pub fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Says again what found no room, and lets ports hand on records again, each second.
    pub fn turn(&mut self, now: Instant) {
        while let Some((port, order)) = self.untold.pop_first() {
            if let Err(order) = self.offer(order) {
                self.keep(port, order);
                break;
            }
        }
        if now - self.records_since >= Duration::from_secs(1) {
            self.records_since = now;
            self.ports.values_mut().for_each(|handshaking| handshaking.records = [0; 2]);
        }
    }

    /// Says something that must be heard, in place of what the port had still to say.
    fn tell(&mut self, port: PortId, order: Order) {
        self.untold.remove(&port);
        if let Err(order) = self.offer(order) {
            self.gauges.lost.fetch_add(1, Ordering::Relaxed);
            self.keep(port, order);
        }
    }

    /// Keeps what must be said again, if there is anybody to hear it.
    fn keep(&mut self, port: PortId, order: Order) {
        if self.orders.is_some() {
            self.untold.insert(port, order);
        }
    }

    /// Tells the handshake thread; the order comes back when that is too busy, or not there. One that is gone does not come
    /// back, so nothing waits for it.
    fn offer(&mut self, order: Order) -> Result<(), Order> {
        let Some(orders) = &self.orders else { return Err(order) };
        // Counted before it is there to be taken.
        self.gauges.waiting.fetch_add(1, Ordering::Relaxed);
        orders.try_send(order).map_err(|error| {
            self.gauges.waiting.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(order) => order,
                TrySendError::Disconnected(order) => {
                    self.orders = None;
                    self.untold.clear();
                    order
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;
    use crate::proto::sdp::Fingerprint;

    const PORT: PortId = PortId(1);

    fn of_one() -> (Handshakes, Receiver<Order>) {
        let (orders, ordered) = sync_channel(1);
        (Handshakes::new(Some(orders), Arc::default()), ordered)
    }

    /// A peer at the same host, by its port.
    fn begin(handshakes: &mut Handshakes, port: PortId, fingerprint: u8, at: u16) -> bool {
        let remote = SocketAddr::from(([192, 0, 2, 1], at));
        let association = Association { active: true, fingerprint: Fingerprint([fingerprint; 32]), tls_id: None };
        handshakes.begin(port, association, (remote, remote.ip()), true)
    }

    /// What was told: of a beginning its generation and where the peer is.
    fn told(ordered: &Receiver<Order>) -> Option<Option<(u32, u16)>> {
        match ordered.try_recv().ok()? {
            Order::Begin { generation, remote, .. } => Some(Some((generation, remote.port()))),
            Order::End { .. } => Some(None),
            Order::Record { .. } => panic!("a record"),
        }
    }

    #[test]
    fn where_a_peer_is_now_is_told_again() {
        let (mut handshakes, ordered) = of_one();
        assert!(begin(&mut handshakes, PORT, 1, 1_000));
        // The queue is full, and a move is no reason to fail.
        assert!(begin(&mut handshakes, PORT, 1, 2_000) && begin(&mut handshakes, PORT, 1, 3_000));
        assert!(handshakes.has_untold());
        handshakes.turn(Instant::ZERO);
        assert_eq!(told(&ordered), Some(Some((1, 1_000))));
        handshakes.turn(Instant::ZERO);
        assert_eq!(told(&ordered), Some(Some((1, 3_000))), "the last word alone");
        assert!(!handshakes.has_untold());
        assert_eq!(handshakes.gauges.lost.load(Ordering::Relaxed), 2, "each was felt once");
    }

    #[test]
    fn a_late_end_does_not_end_what_began_after_it() {
        let (mut handshakes, ordered) = of_one();
        assert!(begin(&mut handshakes, PORT, 1, 1_000));
        handshakes.end(PORT);
        assert!(handshakes.has_untold());
        assert_eq!(told(&ordered), Some(Some((1, 1_000))));
        assert!(begin(&mut handshakes, PORT, 2, 1_000));
        assert_eq!(told(&ordered), Some(Some((2, 1_000))), "which ends the first one, too");
        handshakes.turn(Instant::ZERO);
        assert_eq!(told(&ordered), None);
        assert!(handshakes.is_current(PORT, 2));
    }

    #[test]
    fn one_that_is_refused_leaves_nothing_of_the_one_before() {
        let (mut handshakes, ordered) = of_one();
        assert!(begin(&mut handshakes, PORT, 1, 1_000));
        assert!(!begin(&mut handshakes, PORT, 2, 1_000), "the queue is full");
        assert!(!handshakes.is_current(PORT, 1), "its keys would be another certificate's");
        assert_eq!(handshakes.gauges.lost.load(Ordering::Relaxed), 1, "one handshake, one loss");
        assert_eq!(told(&ordered), Some(Some((1, 1_000))));
        handshakes.turn(Instant::ZERO);
        assert_eq!(told(&ordered), Some(None));
        assert!(!begin(&mut Handshakes::new(None, Arc::default()), PORT, 1, 1_000), "no thread");
    }

    #[test]
    fn nothing_waits_for_a_thread_that_is_gone() {
        let (mut handshakes, ordered) = of_one();
        assert!(begin(&mut handshakes, PORT, 1, 1_000) && begin(&mut handshakes, PORT, 1, 2_000));
        assert!(handshakes.has_untold());
        drop(ordered);
        handshakes.turn(Instant::ZERO);
        assert!(!handshakes.has_untold());
        handshakes.end(PORT);
        assert!(!handshakes.has_untold());
        assert!(!begin(&mut handshakes, PORT, 2, 1_000));
        assert_eq!(handshakes.gauges.waiting.load(Ordering::Relaxed), 1, "what was in the queue, and no more");
    }

    #[test]
    fn strangers_leave_the_peer_its_records() {
        let (orders, ordered) = sync_channel(200);
        let mut handshakes = Handshakes::new(Some(orders), Arc::default());
        assert!(begin(&mut handshakes, PORT, 1, 4_000));
        assert!(told(&ordered).is_some());
        for n in 0..100 {
            handshakes.record(PORT, SocketAddr::from(([198, 51, 100, n], 9)), &[22]);
        }
        assert_eq!(ordered.try_iter().count(), RECORDS_PER_SECOND as usize);
        assert_eq!(handshakes.gauges.lost.load(Ordering::Relaxed), 50, "the others are counted");
        let peer = SocketAddr::from(([192, 0, 2, 1], 4_000));
        handshakes.record(PORT, peer, &[22]);
        assert!(matches!(ordered.try_recv(), Ok(Order::Record { from, .. }) if from == peer));
    }
}
