//! One stream, TCP or TLS: a task that reads chunks into the bounded inbox and writes what its outbox holds.

use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use rustls::ServerConfig;
use smol::channel::{Receiver, Sender};
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use smol::{Async, Timer, future};

use super::{Limits, Report, listen, tls};
use crate::proto::sip::Path;

/// Octets read at once.
const CHUNK: usize = 4096;
/// RFC 5626 section 4.4.1.
const PING: Bytes = Bytes::from_static(b"\r\n\r\n");
const PONG: &[u8] = b"\r\n";

/// Our end of a connection: where messages for it go. Dropping it closes the connection once they are written.
pub(super) struct Outbox {
    sender: Sender<Bytes>,
    queued: Arc<AtomicUsize>,
    octets_max: usize,
}

impl Outbox {
    /// Messages that wait.
    pub(super) fn messages(&self) -> usize {
        self.sender.len()
    }

    /// Octets that wait.
    pub(super) fn octets(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Queues a message; false when the peer reads so slowly that the backlog is full, or the connection is gone.
    pub(super) fn push(&self, bytes: Bytes) -> bool {
        let length = bytes.len();
        if self.queued.load(Ordering::Relaxed).saturating_add(length) > self.octets_max {
            return false;
        }
        self.queued.fetch_add(length, Ordering::Relaxed);
        self.sender.try_send(bytes).is_ok()
    }
}

/// The task's end of an [`Outbox`].
pub(super) struct Inlet {
    receiver: Receiver<Bytes>,
    queued: Arc<AtomicUsize>,
}

/// A pair of ends.
pub(super) fn outbox(limits: &Limits) -> (Outbox, Inlet) {
    let (sender, receiver) = smol::channel::bounded(limits.backlog_messages_max);
    let queued = Arc::new(AtomicUsize::new(0));
    let inlet = Inlet { receiver, queued: Arc::clone(&queued) };
    (Outbox { sender, queued, octets_max: limits.backlog_octets_max }, inlet)
}

/// A TCP connection, perhaps with TLS on it.
pub(super) enum Stream {
    Tcp(Async<TcpStream>),
    Tls(Box<TlsStream<Async<TcpStream>>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream.get_ref(),
            Self::Tls(stream) => stream.get_ref().0.get_ref(),
        }
    }

    /// The domains of the peer's certificate, which is verified; none without one.
    pub(super) fn domains(&self) -> Vec<String> {
        match self {
            Self::Tcp(_) => Vec::new(),
            Self::Tls(stream) => tls::domains(stream.get_ref().1.peer_certificates()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_close(cx),
            Self::Tls(stream) => Pin::new(stream).poll_close(cx),
        }
    }
}

/// The server's side of a handshake, within the time for it.
pub(super) async fn accept(stream: Async<TcpStream>, config: Arc<ServerConfig>, limits: &Limits) -> io::Result<Stream> {
    let handshake = async { TlsAcceptor::from(config).accept(stream).await };
    let stream = future::or(handshake, late(limits.handshake_timeout)).await?;
    Ok(Stream::Tls(Box::new(stream.into())))
}

async fn connect(path: Path, client: Option<tls::Client>, limits: &Limits) -> io::Result<Stream> {
    let stream = future::or(listen::connect(path.local, path.remote), late(limits.connect_timeout)).await?;
    let Some(client) = client else { return Ok(Stream::Tcp(stream)) };
    let handshake = async { TlsConnector::from(client.config).connect(client.name, stream).await };
    let stream = future::or(handshake, late(limits.handshake_timeout)).await?;
    Ok(Stream::Tls(Box::new(stream.into())))
}

/// Connects, then serves. `path` is the one of the message that asked for it; it is reported when the connection fails.
pub(super) async fn dial(
    path: Path,
    connection: u64,
    client: Option<tls::Client>,
    inlet: Inlet,
    reports: Sender<Report>,
    limits: Limits,
) {
    let verified = client.as_ref().and_then(|client| client.verified.clone());
    match connect(path, client, &limits).await {
        Ok(stream) => {
            // A certificate says who is there only where it was held against a name, and nothing but that name: who we
            // call could show one of any other domain.
            let mut domains = stream.domains();
            domains.retain(|domain| verified.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(domain)));
            // A receiver that is gone means that the sockets are closed: nobody is left to be told.
            if domains.is_empty() || reports.send(Report::Identified { connection, domains }).await.is_ok() {
                serve(stream, path, connection, inlet, reports, limits, true).await;
            }
        }
        Err(error) => {
            log::info!(target: "net", "cannot connect to {}:{}: {error}", path.transport.name(), path.remote);
            let _ = reports.send(Report::Failed { path, connection }).await;
        }
    }
}

/// Serves a connection until either side ends it. On one that `we_made` we ping (RFC 5626 section 3.5.1).
pub(super) async fn serve(
    stream: Stream,
    path: Path,
    connection: u64,
    inlet: Inlet,
    reports: Sender<Report>,
    limits: Limits,
    we_made: bool,
) {
    if let Err(error) = stream.tcp().set_nodelay(true) {
        log::debug!(target: "net", "no TCP_NODELAY towards {}: {error}", path.remote);
    }
    if let Err(error) = listen::bound_silence(stream.tcp(), &limits) {
        log::debug!(target: "net", "no TCP_USER_TIMEOUT towards {}: {error}", path.remote);
    }
    let received = Path { connection, ..path };
    let heard = Heard::default();
    let (reader, writer) = smol::io::split(stream);
    let ended = future::or(
        read(reader, received, &reports, &limits, &heard),
        write(writer, &inlet, &limits, we_made.then_some(&heard)),
    )
    .await;
    let unsent = inlet.queued.load(Ordering::Relaxed) > 0;
    if let Err(error) = ended {
        log::info!(target: "net", "connection with {}: {error}", path.remote);
    }
    // Requests went out under the path that asked for the connection: those without an answer fail by it.
    let asked = if we_made { path } else { received };
    let report = match unsent {
        true => Report::Failed { path: asked, connection },
        false => Report::Closed { connection, asked: we_made.then_some(asked) },
    };
    let _ = reports.send(report).await;
}

/// What the writing half must know of the reading one.
#[derive(Default)]
struct Heard {
    /// Something came since the last ping.
    since_ping: AtomicBool,
    /// The peer has answered a ping before, so silence to one means that the flow is broken.
    answers: AtomicBool,
}

async fn read(
    mut stream: impl AsyncRead + Unpin,
    path: Path,
    reports: &Sender<Report>,
    limits: &Limits,
    heard: &Heard,
) -> io::Result<()> {
    let mut chunk = [0; CHUNK];
    let mut patience = limits.first_octet_timeout;
    loop {
        let length = future::or(stream.read(&mut chunk), late(patience)).await?;
        let Some(bytes) = chunk.get(..length).filter(|b| !b.is_empty()) else { return Ok(()) };
        patience = limits.idle_timeout;
        if !heard.since_ping.swap(true, Ordering::Relaxed) && bytes == PONG {
            heard.answers.store(true, Ordering::Relaxed);
        }
        // A full inbox holds this reader back, and TCP the peer.
        let report = Report::Chunk { path, bytes: Bytes::copy_from_slice(bytes), read_at: Instant::now() };
        if reports.send(report).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    mut stream: impl AsyncWrite + Unpin,
    inlet: &Inlet,
    limits: &Limits,
    pinged: Option<&Heard>,
) -> io::Result<()> {
    let mut pong_due = false;
    loop {
        let quiet = async {
            match pinged {
                Some(_) if pong_due => Timer::after(limits.pong_timeout).await,
                Some(_) => Timer::after(limits.ping_interval).await,
                None => future::pending().await,
            };
            Ok(None)
        };
        let message = match future::or(async { inlet.receiver.recv().await.map(Some) }, quiet).await {
            Ok(Some(message)) => message,
            Ok(None) => {
                let Some(heard) = pinged else { continue };
                if pong_due {
                    pong_due = false;
                    // RFC 5626 section 4.4.1: no pong within 10 s is a failed flow. Who never answered one knows none.
                    if !heard.since_ping.load(Ordering::Relaxed) && heard.answers.load(Ordering::Relaxed) {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer to a keep-alive"));
                    }
                    continue;
                }
                pong_due = true;
                heard.since_ping.store(false, Ordering::Relaxed);
                put(&mut stream, &PING, limits).await?;
                continue;
            }
            Err(_) => break,
        };
        put(&mut stream, &message, limits).await?;
        inlet.queued.fetch_sub(message.len(), Ordering::Relaxed);
    }
    // TLS says good-bye; a peer that takes nothing is not waited for.
    let _ = future::or(stream.close(), late(limits.write_timeout)).await;
    Ok(())
}

async fn put(stream: &mut (impl AsyncWrite + Unpin), message: &[u8], limits: &Limits) -> io::Result<()> {
    let mut rest = message;
    while !rest.is_empty() {
        let length = future::or(stream.write(rest), late(limits.write_timeout)).await?;
        rest = rest.get(length..).filter(|_| length > 0).ok_or(io::ErrorKind::WriteZero)?;
    }
    future::or(stream.flush(), late(limits.write_timeout)).await
}

async fn late<T>(after: Duration) -> io::Result<T> {
    Timer::after(after).await;
    Err(io::ErrorKind::TimedOut.into())
}
