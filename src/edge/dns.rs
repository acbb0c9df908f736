//! Questions for DNS: by UDP from a port and with a number that nobody can guess (RFC 5452), by TCP where an answer is cut short
//! (RFC 7766), to one server after the other. What is asked and what an answer means is the core's.
//!
//! One task a question on the executor of the switch thread; the core has a bounded number of them out. Names are absolute:
//! neither `search` of `/etc/resolv.conf` nor `/etc/hosts` has a say.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use smol::channel::{Receiver, Sender};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, Executor, Timer, future};

use crate::proto::dns::{self, Answer, DnsError, Question};

/// Port of DNS.
const PORT: u16 = 53;
/// Servers that are asked (resolv.conf(5): three).
pub const SERVERS_MAX: usize = 3;
/// Times that each of them is.
const ROUNDS: usize = 2;
/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same by TCP, from the connection to the last octet.
const PATIENCE_TCP: Duration = Duration::from_secs(4);
/// Datagrams with something else than the answer, until a server is taken for lost among forgeries.
const FOREIGN_MAX: u32 = 64;
/// Largest datagram without EDNS (RFC 1035 section 4.2.1), and some more that is read all the same.
const DATAGRAM_MAX: usize = 4_096;
/// Answers on their way to the core.
const ANSWERS: usize = 64;

/// What came of a question; `None`: nobody answered it.
pub type Outcome = (Question, Option<Answer>);

/// Counters since start.
#[derive(Default, Debug)]
struct Counters {
    /// Questions that nobody answered.
    failed: AtomicU64,
    /// Datagrams that were no answer to what was asked.
    foreign: AtomicU64,
}

/// Asks.
pub struct Resolver {
    executor: Arc<Executor<'static>>,
    /// As provisioned; none: those of the system.
    servers: Vec<SocketAddr>,
    outcomes: Sender<Outcome>,
    counters: Arc<Counters>,
}

impl Resolver {
    /// Asks the servers of `/etc/resolv.conf` until [`Resolver::set_servers`] names others. What comes of it is received.
    pub fn new(executor: Arc<Executor<'static>>) -> (Resolver, Receiver<Outcome>) {
        let (outcomes, inbox) = smol::channel::bounded(ANSWERS);
        (Resolver { executor, servers: Vec::new(), outcomes, counters: Arc::default() }, inbox)
    }

    /// Which servers are asked from now on; none: those of the system.
    pub fn set_servers(&mut self, servers: Vec<SocketAddr>) {
        self.servers = servers;
    }

    /// What went wrong since the start, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (String, u64)> {
        let counters = &self.counters;
        let counted = [("dns-unanswered", &counters.failed), ("dns-foreign", &counters.foreign)];
        let counted = counted.map(|(reason, count)| (reason.to_owned(), count.load(Ordering::Relaxed)));
        counted.into_iter().filter(|(_, count)| *count > 0)
    }

    /// Asks a question; exactly one outcome follows.
    pub fn ask(&self, question: Question) {
        // Small and in memory; read each time, because DHCP rewrites it.
        let servers = if self.servers.is_empty() { system_servers() } else { self.servers.clone() };
        let (outcomes, counters) = (self.outcomes.clone(), Arc::clone(&self.counters));
        let task = async move {
            let answer = resolve(&servers, &question, &counters).await;
            if let Err(failure) = &answer {
                counters.failed.fetch_add(1, Ordering::Relaxed);
                log::warn!(target: "dns", "{question}: {failure}");
            }
            // Nobody is left to be told when this fails.
            let _ = outcomes.send((question, answer.ok())).await;
        };
        self.executor.spawn(task).detach();
    }
}

/// The servers of the system (resolv.conf(5)): without any, one on this machine.
fn system_servers() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(Path::new("/etc/resolv.conf")).unwrap_or_default();
    let servers = parse_servers(&text);
    if servers.is_empty() { vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT)] } else { servers }
}

fn parse_servers(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("nameserver") {
            return None;
        }
        let word = words.next()?;
        let server = server(word);
        if server.is_none() {
            log::warn!(target: "dns", "resolv.conf: nameserver {word:?} is no address that can be asked");
        }
        server
    };
    text.lines().filter_map(address).take(SERVERS_MAX).collect()
}

/// An address, of a link with its zone: a number or the name of an interface (RFC 4007 section 11).
fn server(text: &str) -> Option<SocketAddr> {
    let Some((address, zone)) = text.split_once('%') else {
        return Some(SocketAddr::new(text.parse().ok()?, PORT));
    };
    let by_name = || std::fs::read_to_string(Path::new("/sys/class/net").join(zone).join("ifindex")).ok();
    let index = zone.parse().ok().or_else(|| by_name()?.trim().parse().ok())?;
    Some(SocketAddrV6::new(address.parse().ok()?, PORT, 0, index).into())
}

/// Why nobody answered: what the last server that was asked did.
#[derive(Debug)]
struct Failure {
    server: Option<SocketAddr>,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    /// There is no server, or what is asked for is no name.
    NotAsked,
    Network(io::Error),
    Answer(DnsError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(server) = self.server {
            write!(f, "{server}: ")?;
        }
        match &self.reason {
            Reason::NotAsked => f.write_str("cannot be asked for"),
            Reason::Network(error) if error.kind() == io::ErrorKind::TimedOut => f.write_str("no answer"),
            Reason::Network(error) => error.fmt(f),
            Reason::Answer(error) => error.fmt(f),
        }
    }
}

async fn resolve(servers: &[SocketAddr], question: &Question, counters: &Counters) -> Result<Answer, Failure> {
    let mut failure = Failure { server: None, reason: Reason::NotAsked };
    for _ in 0..ROUNDS {
        for server in servers.iter().take(SERVERS_MAX) {
            match ask(*server, question, counters).await {
                Ok(answer) => return Ok(answer),
                Err(reason) => failure = Failure { server: Some(*server), reason },
            }
        }
    }
    Err(failure)
}

async fn ask(server: SocketAddr, question: &Question, counters: &Counters) -> Result<Answer, Reason> {
    let mut id = [0; 2];
    getrandom(&mut id, GetRandomFlags::empty()).map_err(|error| Reason::Network(error.into()))?;
    let id = u16::from_be_bytes(id);
    let query = dns::query(id, question).ok_or(Reason::NotAsked)?;
    let answered = future::or(by_udp(server, id, question, &query, counters), late(PATIENCE)).await;
    match answered {
        Err(Reason::Answer(DnsError::Truncated)) => {
            future::or(by_tcp(server, id, question, &query), late(PATIENCE_TCP)).await
        }
        other => other,
    }
}

async fn late(patience: Duration) -> Result<Answer, Reason> {
    Timer::after(patience).await;
    Err(Reason::Network(io::ErrorKind::TimedOut.into()))
}

/// Asks from a port that the system draws, connected, so that it lets through what comes from the server alone.
async fn by_udp(
    server: SocketAddr,
    id: u16,
    question: &Question,
    query: &[u8],
    counters: &Counters,
) -> Result<Answer, Reason> {
    let any = if server.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = Async::<UdpSocket>::bind((any, 0)).map_err(Reason::Network)?;
    socket.get_ref().connect(server).map_err(Reason::Network)?;
    socket.send(query).await.map_err(Reason::Network)?;
    let mut buffer = [0; DATAGRAM_MAX];
    for _ in 0..FOREIGN_MAX {
        let length = socket.recv(&mut buffer).await.map_err(Reason::Network)?;
        match dns::read(id, question, buffer.get(..length).unwrap_or_default()) {
            // RFC 5452 section 9.1: what is not the answer is as if it had not come, or who guesses could end the question.
            Err(DnsError::Foreign) => counters.foreign.fetch_add(1, Ordering::Relaxed),
            Err(error) => return Err(Reason::Answer(error)),
            Ok(answer) => return Ok(answer),
        };
    }
    Err(Reason::Answer(DnsError::Foreign))
}

async fn by_tcp(server: SocketAddr, id: u16, question: &Question, query: &[u8]) -> Result<Answer, Reason> {
    let exchange = async {
        let mut stream = Async::<TcpStream>::connect(server).await?;
        // RFC 1035 section 4.2.2: a length before each message. One write, so that it is one segment.
        let length = u16::try_from(query.len()).unwrap_or(u16::MAX).to_be_bytes();
        stream.write_all(&[&length, query].concat()).await?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).await?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message).await?;
        Ok(message)
    };
    let message = exchange.await.map_err(Reason::Network)?;
    dns::read(id, question, &message).map_err(Reason::Answer)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::proto::dns::{Kind, Record};

    fn question() -> Question {
        Question { name: "sip.example.org".into(), kind: Kind::A }
    }

    /// The answer to a query: its question, and one address.
    fn answer(query: &[u8], flags: u16) -> Vec<u8> {
        let mut message = query.to_vec();
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        if flags & 0x0200 == 0 {
            message[7] = 1;
            message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        }
        message
    }

    fn bind() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn ask_all(servers: &[SocketAddr]) -> (Result<Answer, String>, u64) {
        let counters = Counters::default();
        let answer = smol::block_on(resolve(servers, &question(), &counters)).map_err(|failure| failure.to_string());
        (answer, counters.foreign.into_inner())
    }

    fn right() -> Answer {
        Answer { records: vec![Record::Address("192.0.2.1".parse().unwrap())], ttl_s: 60 }
    }

    #[test]
    fn forgeries_do_not_end_a_question() {
        let (socket, address) = bind();
        let server = thread::spawn(move || {
            let mut query = [0; 512];
            let (length, from) = socket.recv_from(&mut query).unwrap();
            let good = answer(&query[..length], 0x8180);
            let (mut number, mut name) = (good.clone(), good.clone());
            number[0] ^= 1;
            name[13] ^= 1;
            for message in [&number[..], &name[..], b"", b"\xff", &good[..]] {
                socket.send_to(message, from).unwrap();
            }
        });
        assert_eq!(ask_all(&[address]), (Ok(right()), 4));
        server.join().unwrap();
    }

    #[test]
    fn an_answer_that_is_cut_short_is_asked_for_by_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = UdpSocket::bind(address).unwrap();
        let server = thread::spawn(move || {
            let mut query = [0; 512];
            let (length, from) = socket.recv_from(&mut query).unwrap();
            socket.send_to(&answer(&query[..length], 0x8380), from).unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            let mut again = vec![0; 2 + length];
            stream.read_exact(&mut again).unwrap();
            let whole = answer(&again[2..], 0x8180);
            // In two halves, and the length in a part of its own.
            stream.write_all(&u16::try_from(whole.len()).unwrap().to_be_bytes()).unwrap();
            stream.write_all(&whole[..9]).unwrap();
            stream.flush().unwrap();
            thread::sleep(Duration::from_millis(20));
            stream.write_all(&whole[9..]).unwrap();
        });
        assert_eq!(ask_all(&[address]), (Ok(right()), 0));
        server.join().unwrap();
    }

    #[test]
    fn the_next_server_is_asked_where_one_fails() {
        let (failing, first) = bind();
        let (working, second) = bind();
        // Nobody listens here: the system says so at once.
        let (_, gone) = bind();
        let servers = thread::spawn(move || {
            let mut query = [0; 512];
            let (length, from) = failing.recv_from(&mut query).unwrap();
            failing.send_to(&answer(&query[..length], 0x8182), from).unwrap();
            let (length, from) = working.recv_from(&mut query).unwrap();
            working.send_to(&answer(&query[..length], 0x8180), from).unwrap();
        });
        assert_eq!(ask_all(&[gone, first, second]), (Ok(right()), 0));
        servers.join().unwrap();
        let (answer, _) = ask_all(&[gone]);
        assert!(answer.unwrap_err().starts_with(&gone.to_string()));
    }

    #[test]
    fn servers_of_the_system() {
        let text = "# a comment\nsearch example.org\nnameserver 192.0.2.53\nnameserver\t2001:db8::53 \nnameserver x\n\
                    nameserver 192.0.2.54\nnameserver 192.0.2.55\n";
        let servers: Vec<String> = parse_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.53:53", "[2001:db8::53]:53", "192.0.2.54:53"]);
        assert_eq!(parse_servers(""), []);
        let index = std::fs::read_to_string("/sys/class/net/lo/ifindex").expect("the loopback interface");
        let servers = parse_servers("nameserver fe80::1%lo\nnameserver fe80::1%7\nnameserver fe80::1%nowhere\n");
        let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, [format!("[fe80::1%{}]:53", index.trim()), "[fe80::1%7]:53".into()]);
    }
}
