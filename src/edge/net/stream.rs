//! One TCP connection: a task that reads chunks into the bounded inbox and writes what its outbox holds.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use smol::channel::{Receiver, Sender};
use smol::{Async, Timer, future};

use super::{Limits, Report, listen};
use crate::proto::sip::Path;

/// Octets read at once.
const CHUNK: usize = 4096;

/// Our end of a connection: where messages for it go. Dropping it closes the connection once they are written.
pub(super) struct Outbox {
    sender: Sender<Bytes>,
    queued: Arc<AtomicUsize>,
    octets_max: usize,
}

impl Outbox {
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

/// Connects, then serves. `path` is the one of the message that asked for it; it is reported when the connection fails.
pub(super) async fn dial(path: Path, connection: u64, inlet: Inlet, reports: Sender<Report>, limits: Limits) {
    let connected = future::or(listen::connect(path.local, path.remote), late(limits.connect_timeout)).await;
    match connected {
        Ok(stream) => serve(stream, path, connection, inlet, reports, limits).await,
        Err(error) => {
            log::info!(target: "net", "cannot connect to {}: {error}", path.remote);
            // A receiver that is gone means that the sockets are closed: nobody is left to be told.
            let _ = reports.send(Report::Failed { path, connection }).await;
        }
    }
}

/// Serves a connection until either side ends it.
pub(super) async fn serve(
    stream: Async<TcpStream>,
    path: Path,
    connection: u64,
    inlet: Inlet,
    reports: Sender<Report>,
    limits: Limits,
) {
    if let Err(error) = stream.get_ref().set_nodelay(true) {
        log::debug!(target: "net", "no TCP_NODELAY towards {}: {error}", path.remote);
    }
    let received = Path { connection, ..path };
    let ended = future::or(read(&stream, received, &reports, &limits), write(&stream, &inlet, &limits)).await;
    let unsent = inlet.queued.load(Ordering::Relaxed) > 0;
    let report = match ended {
        Err(error) => {
            log::info!(target: "net", "connection with {}: {error}", path.remote);
            if unsent { Report::Failed { path: received, connection } } else { Report::Closed { connection } }
        }
        Ok(()) if unsent => Report::Failed { path: received, connection },
        Ok(()) => Report::Closed { connection },
    };
    let _ = reports.send(report).await;
}

async fn read(stream: &Async<TcpStream>, path: Path, reports: &Sender<Report>, limits: &Limits) -> io::Result<()> {
    let mut chunk = [0; CHUNK];
    let mut patience = limits.first_octet_timeout;
    loop {
        let length = future::or(stream.read_with(|mut s| s.read(&mut chunk)), late(patience)).await?;
        let Some(bytes) = chunk.get(..length).filter(|b| !b.is_empty()) else { return Ok(()) };
        patience = limits.idle_timeout;
        // A full inbox holds this reader back, and TCP the peer.
        let report = Report::Chunk { path, bytes: Bytes::copy_from_slice(bytes) };
        if reports.send(report).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(stream: &Async<TcpStream>, inlet: &Inlet, limits: &Limits) -> io::Result<()> {
    while let Ok(message) = inlet.receiver.recv().await {
        let mut rest = message.as_ref();
        while !rest.is_empty() {
            let length = future::or(stream.write_with(|mut s| s.write(rest)), late(limits.write_timeout)).await?;
            rest = rest.get(length..).filter(|_| length > 0).ok_or(io::ErrorKind::WriteZero)?;
        }
        inlet.queued.fetch_sub(message.len(), Ordering::Relaxed);
    }
    Ok(())
}

async fn late<T>(after: Duration) -> io::Result<T> {
    Timer::after(after).await;
    Err(io::ErrorKind::TimedOut.into())
}
