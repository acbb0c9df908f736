//! A datagram read together with what the kernel notes on it: when it arrived, and how many were dropped before it.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

/// A wait longer than this is a clock that was set, not a queue.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A datagram and its notes.
pub(super) struct Timed {
    pub length: usize,
    pub remote: SocketAddr,
    /// How long it stood in the socket.
    pub waited: Duration,
    /// Datagrams that the socket has dropped for want of room since it was made, modulo 2^32.
    pub dropped: Option<u32>,
}

/// Has the kernel take notes on what it receives, and hold up to `buffer` octets of it: all of them where we may say so
/// (CAP_NET_ADMIN), else as many as `net.core.rmem_max` permits.
pub(super) fn prepare(socket: &impl std::os::fd::AsFd, buffer: usize) -> io::Result<()> {
    let socket = socket.as_fd().as_raw_fd();
    setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(socket, sockopt::RxqOvfl, &1)?;
    if setsockopt(socket, sockopt::RcvBufForce, &buffer).is_err() {
        setsockopt(socket, sockopt::RcvBuf, &buffer)?;
    }
    Ok(())
}

/// Room for the notes on one datagram.
pub(super) fn room() -> Vec<u8> {
    cmsg_space!(TimeSpec, u32)
}

/// Reads one datagram; `notes` is of [`room`].
///
/// # Errors
/// As `recvmsg(2)`; `WouldBlock` where there is none.
pub(super) fn receive(socket: &UdpSocket, into: &mut [u8], notes: &mut Vec<u8>) -> io::Result<Timed> {
    notes.clear();
    let mut slices = [IoSliceMut::new(into)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(notes), MsgFlags::empty())?;
    let remote = message.address.as_ref().and_then(address).ok_or(io::ErrorKind::InvalidData)?;
    let (mut waited, mut dropped) = (Duration::ZERO, None);
    for note in message.cmsgs() {
        match note {
            ControlMessageOwned::ScmTimestampns(at) => waited = since(at),
            ControlMessageOwned::RxqOvfl(count) => dropped = Some(count),
            _ => {}
        }
    }
    Ok(Timed { length: message.bytes, remote, waited, dropped })
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4| SocketAddr::from(std::net::SocketAddrV4::from(*v4)));
    v4.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::from(std::net::SocketAddrV6::from(*v6))))
}

/// The kernel stamps by the wall clock.
#[allow(clippy::disallowed_methods, reason = "the kernel's stamps are of the wall clock, finer than base::Timestamp")]
fn since(at: TimeSpec) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let waited = now.saturating_sub(Duration::from(at));
    if waited > WAIT_MAX { Duration::ZERO } else { waited }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_tells_how_long_it_waited_and_what_was_lost_before_it() {
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        prepare(&receiver, 4096).expect("notes");
        receiver.set_nonblocking(true).expect("nonblocking");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let (mut buffer, mut notes) = ([0; 64], room());
        assert!(receive(&receiver, &mut buffer, &mut notes).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock));
        // The first process that wants stamps has the kernel begin with it, and that some time later.
        let begun = (0..1000).any(|_| {
            sender.send_to(b"early", receiver.local_addr().expect("bound")).expect("sent");
            std::thread::sleep(Duration::from_millis(10));
            !receive(&receiver, &mut buffer, &mut notes).expect("a datagram").waited.is_zero()
        });
        assert!(begun, "no stamp within 10 s");
        for _ in 0..200 {
            sender.send_to(b"hello", receiver.local_addr().expect("bound")).expect("sent");
        }
        std::thread::sleep(Duration::from_millis(30));
        let first = receive(&receiver, &mut buffer, &mut notes).expect("a datagram");
        assert_eq!((first.length, first.remote), (5, sender.local_addr().expect("bound")));
        assert!(
            first.waited >= Duration::from_millis(30) && first.waited < Duration::from_secs(20),
            "{:?}",
            first.waited
        );
        let taken = 1 + std::iter::from_fn(|| receive(&receiver, &mut buffer, &mut notes).ok()).count() as u32;
        assert!(taken < 200, "a buffer of 4 KiB cannot hold so many");
        sender.send_to(b"again", receiver.local_addr().expect("bound")).expect("sent");
        let last = receive(&receiver, &mut buffer, &mut notes).expect("a datagram");
        assert_eq!(last.dropped, Some(200 - taken));
    }
}
