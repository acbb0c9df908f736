//! Listeners: from `udp:ADDRESS:PORT` to a bound socket.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use smol::Async;

use super::Limits;
use super::timed;
use crate::proto::sip::Transport;

/// Most listeners of one appliance.
pub const LISTENERS_MAX: usize = 64;

/// Octets that the kernel may hold for us on a UDP listener: a burst of some thousand requests while the switch thread is
/// busy. The kernel counts about 2 KiB for each, whatever its length.
const UDP_RECEIVE_BUFFER: usize = 8 << 20;

/// Connections that the kernel may hold until they are accepted.
const TCP_ACCEPT_BACKLOG: i32 = 1024;

/// Why we do not listen.
#[derive(Debug)]
pub enum ListenError {
    /// Not `udp:ADDRESS:PORT`, `tcp:ADDRESS:PORT` or `tls:ADDRESS:PORT`.
    Form {
        /// The entry as given.
        entry: String,
    },
    /// More than [`LISTENERS_MAX`] entries.
    TooMany,
    /// The system refused.
    Bind {
        /// The entry as given.
        entry: String,
        /// Its reason.
        source: io::Error,
    },
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form { entry } => {
                write!(f, "sip.listen: `{entry}` is not `udp:ADDRESS:PORT`, `tcp:...` or `tls:...` (IPv6 as `[::1]`)")
            }
            Self::TooMany => write!(f, "sip.listen: more than {LISTENERS_MAX} entries"),
            Self::Bind { entry, source } => write!(f, "cannot listen on {entry}: {source}{}", hint(source)),
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } => Some(source),
            Self::Form { .. } | Self::TooMany => None,
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another process holds the port, name a free one in [sip] listen",
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE",
        _ => "",
    }
}

/// Reads a listener's name.
///
/// # Errors
///
/// [`ListenError::Form`].
pub fn parse_listen(entry: &str) -> Result<(Transport, SocketAddr), ListenError> {
    let form = || ListenError::Form { entry: entry.to_owned() };
    let (transport, address) = entry.split_once(':').ok_or_else(form)?;
    let transport = Transport::ALL.into_iter().find(|known| known.name() == transport).ok_or_else(form)?;
    Ok((transport, address.parse().map_err(|_| form())?))
}

/// A UDP socket bound to `address`; IPv6 ones take no IPv4.
pub(super) fn udp(address: SocketAddr) -> io::Result<Async<UdpSocket>> {
    let socket = socket(address, SocketType::DGRAM)?;
    timed::prepare(&socket, UDP_RECEIVE_BUFFER)?;
    rustix::net::bind(&socket, &address)?;
    Async::new_nonblocking(UdpSocket::from(socket))
}

/// A TCP listener on `address`.
pub(super) fn tcp(address: SocketAddr) -> io::Result<Async<TcpListener>> {
    let socket = socket(address, SocketType::STREAM)?;
    // A restart must not wait for connections of the last run in TIME-WAIT.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, TCP_ACCEPT_BACKLOG)?;
    Async::new_nonblocking(TcpListener::from(socket))
}

/// Connects from `local`'s address (any port) to `remote`. The caller bounds the time.
pub(super) async fn connect(local: SocketAddr, remote: SocketAddr) -> io::Result<Async<TcpStream>> {
    let socket = socket(remote, SocketType::STREAM)?;
    if local.is_ipv4() == remote.is_ipv4() {
        rustix::net::bind(&socket, &SocketAddr::new(local.ip(), 0))?;
    }
    match rustix::net::connect(&socket, &remote) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let stream = Async::new_nonblocking(TcpStream::from(socket))?;
    stream.writable().await?;
    match stream.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

/// Has the kernel end a connection whose peer's host acknowledges nothing: what is not acknowledged breaks it after the
/// time for writing, and probes find out about a silent one.
pub(super) fn bound_silence(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    let timeout = u32::try_from(limits.write_timeout.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, timeout)?;
    sockopt::set_tcp_keepidle(stream, limits.ping_interval)?;
    sockopt::set_tcp_keepintvl(stream, limits.write_timeout)?;
    Ok(sockopt::set_socket_keepalive(stream, true)?)
}

fn socket(address: SocketAddr, kind: SocketType) -> io::Result<rustix::fd::OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let protocol = if kind == SocketType::DGRAM { ipproto::UDP } else { ipproto::TCP };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, Some(protocol))?;
    if address.is_ipv6() {
        // So that `[::]:5060` and `0.0.0.0:5060` can stand side by side.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

/// The address from which this machine would send to `remote`: what a listener on all addresses puts into Via and
/// Contact. Connecting a datagram socket sends nothing.
pub(super) fn source_address(remote: IpAddr) -> io::Result<IpAddr> {
    let any = if remote.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let probe = UdpSocket::bind((any, 0))?;
    probe.connect((remote, 9))?;
    Ok(probe.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_transport_address_port() {
        assert_eq!(parse_listen("udp:127.0.0.1:5060").unwrap(), (Transport::Udp, "127.0.0.1:5060".parse().unwrap()));
        assert_eq!(parse_listen("tcp:[::1]:0").unwrap(), (Transport::Tcp, "[::1]:0".parse().unwrap()));
        for bad in ["", "udp", "ws:127.0.0.1:5061", "udp:localhost:5060", "udp:127.0.0.1", "udp:127.0.0.1:70000"] {
            assert!(matches!(parse_listen(bad), Err(ListenError::Form { .. })), "{bad}");
        }
    }

    #[test]
    fn a_taken_port_is_explained() {
        let first = udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.get_ref().local_addr().unwrap();
        let source = udp(address).unwrap_err();
        let text = ListenError::Bind { entry: format!("udp:{address}"), source }.to_string();
        assert!(text.contains("another process holds the port"), "{text}");
    }

    #[test]
    fn the_source_towards_loopback_is_loopback() {
        assert!(source_address(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap().is_loopback());
    }
}
