//! The serial console: whoever is at the line watches the appliance, and can change nothing.
//!
//! It lives on a thread of its own and asks through a [`Watcher`], at most 20 times a second; so neither a device that
//! blocks, nor one that vanishes, nor noise on the wire is felt by calls. A vanished device is opened again when it is
//! back. Callers appear by the last two digits of their numbers.

mod editor;
mod paper;
mod session;
#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Read, Write};
use std::str::FromStr;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use serialport::{ClearBuffer, DataBits, FlowControl, Parity, SerialPort, StopBits, TTYPort};

use super::{WatchError, Watcher};
use crate::base::Instant;
use crate::core::control::{Query, Reply};
use crate::edge::clock::Clock;
use session::Session;

/// Speed when none is given, in baud.
pub const BAUD: u32 = 115_200;
/// Speeds that can be asked for, in baud. The device may know fewer.
const BAUDS: std::ops::RangeInclusive<u32> = 50..=4_000_000;

/// Longest sleep: how late the thread may learn that the appliance has stopped.
const TICK: Duration = Duration::from_millis(250);
/// How long the device may take no octet until what it was to be sent is dropped.
const WRITE_STALL: Duration = Duration::from_secs(1);
/// Least time between two questions to the appliance.
const QUERY_GAP: Duration = Duration::from_millis(50);
/// Pause before a lost device is opened again: doubled each time, from the first to the second.
const REOPEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long the end of the thread, and the last words on the wire, are waited for.
const FAREWELL: Duration = Duration::from_secs(2);

/// A serial device and its speed, as in `/dev/ttyS0:9600`. Always 8 data bits, no parity, 1 stop bit, no flow control.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SerialAddress {
    /// Path of the device.
    pub device: String,
    /// Speed, in baud.
    pub baud: u32,
}

impl FromStr for SerialAddress {
    type Err = SerialAddressError;

    /// `DEVICE[:BAUD]`. A colon that no number follows belongs to the device, as in `/dev/serial/by-path/`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |baud: &str| !baud.is_empty() && baud.chars().all(|c| c.is_ascii_digit());
        let (device, baud) = match text.rsplit_once(':') {
            Some((device, baud)) if number(baud) => {
                let baud = baud.parse().ok().filter(|b| BAUDS.contains(b)).ok_or(SerialAddressError::Baud)?;
                (device, baud)
            }
            _ => (text, BAUD),
        };
        if device.is_empty() {
            return Err(SerialAddressError::Device);
        }
        Ok(Self { device: device.to_owned(), baud })
    }
}

/// What is wrong with a [`SerialAddress`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SerialAddressError {
    /// It names no device.
    Device,
    /// The speed is out of range.
    Baud,
}

impl fmt::Display for SerialAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device => f.write_str("expected DEVICE[:BAUD], as in /dev/ttyS0:115200"),
            Self::Baud => write!(f, "expected a speed of {} to {} baud", BAUDS.start(), BAUDS.end()),
        }
    }
}

impl std::error::Error for SerialAddressError {}

/// Why the serial console cannot start.
#[derive(Debug)]
pub enum SerialError {
    /// The device cannot be opened.
    Open {
        /// Its path.
        device: String,
        /// Why.
        source: serialport::Error,
    },
    /// The system has no thread for it.
    Thread(io::Error),
}

impl fmt::Display for SerialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use serialport::ErrorKind as Serial;
        let (device, source) = match self {
            Self::Thread(source) => return write!(f, "serial console: {source}"),
            Self::Open { device, source } => (device, source),
        };
        let advice = match source.kind() {
            Serial::Io(ErrorKind::NotFound) => "`ls /dev/tty* /dev/serial/by-id` shows what there is",
            Serial::Io(ErrorKind::PermissionDenied) => {
                "the user who runs cordboard must be in the device's group, `dialout` on Debian"
            }
            Serial::NoDevice | Serial::Io(ErrorKind::WouldBlock) => {
                "another program may hold it: stop its getty, or choose another device"
            }
            _ => "is it a serial device, and does it know this speed?",
        };
        write!(f, "serial console {device}: {source}; {advice}")
    }
}

impl std::error::Error for SerialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open { source, .. } => Some(source),
            Self::Thread(source) => Some(source),
        }
    }
}

/// An open serial device that nobody serves yet.
pub struct SerialConsole {
    address: SerialAddress,
    port: TTYPort,
    reopen: (Duration, Duration),
}

impl SerialConsole {
    /// Opens the device, for us alone.
    ///
    /// # Errors
    /// [`SerialError::Open`], with advice.
    pub fn open(address: SerialAddress) -> Result<Self, SerialError> {
        let port =
            open_port(&address).map_err(|source| SerialError::Open { device: address.device.clone(), source })?;
        Ok(Self { address, port, reopen: REOPEN })
    }

    /// Serves it on a thread of its own until the appliance behind `watcher` stops.
    ///
    /// # Errors
    /// [`SerialError::Thread`].
    pub fn serve(self, watcher: Watcher) -> Result<SerialThread, SerialError> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let line = Line {
            address: self.address,
            reopen: self.reopen,
            watcher,
            host,
            clock: Clock::start(),
            asked: Instant::ZERO,
            stalled: false,
        };
        let port = self.port;
        let thread = thread::Builder::new().name("serial".into()).spawn(move || line.run(port));
        thread.map(SerialThread).map_err(SerialError::Thread)
    }
}

/// The thread that serves a serial console.
pub struct SerialThread(JoinHandle<()>);

impl SerialThread {
    /// Lets the console take its leave after the appliance has stopped; waits 2 s at most.
    pub fn finish(self) {
        let clock = Clock::start();
        let began = clock.mono();
        while !self.0.is_finished() && clock.mono().since(began) < FAREWELL {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn open_port(address: &SerialAddress) -> serialport::Result<TTYPort> {
    serialport::new(address.device.as_str(), address.baud)
        .data_bits(DataBits::Eight)
        .parity(Parity::None)
        .stop_bits(StopBits::One)
        .flow_control(FlowControl::None)
        .timeout(TICK)
        .open_native()
}

/// Why a conversation ended.
enum End {
    /// The appliance has stopped.
    Stopped,
    /// The device is gone.
    Lost(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

struct Line {
    address: SerialAddress,
    reopen: (Duration, Duration),
    watcher: Watcher,
    host: String,
    clock: Clock,
    /// When the appliance was last asked.
    asked: Instant,
    /// The device took nothing when last written to.
    stalled: bool,
}

impl Line {
    fn run(mut self, mut port: TTYPort) {
        let device = self.address.device.clone();
        let (first, longest) = self.reopen;
        let mut pause = first;
        loop {
            let began = self.clock.mono();
            let End::Lost(error) = self.converse(&mut port) else {
                self.take_leave(&mut port);
                return;
            };
            drop(port);
            log::warn!(target: "console", "serial console {device}: {error}; opened again when it is back");
            // A loose plug, up for moments only, is not tried every second for ever.
            if self.clock.mono().since(began) >= longest {
                pause = first;
            }
            port = loop {
                if !self.rest(pause) {
                    return;
                }
                pause = (pause * 2).min(longest);
                match open_port(&self.address) {
                    Ok(port) => break port,
                    Err(error) => log::debug!(target: "console", "serial console {device}: {error}"),
                }
            };
            log::info!(target: "console", "serial console {device}: back");
        }
    }

    /// Talks until one side is gone.
    fn converse(&mut self, port: &mut TTYPort) -> End {
        let mut out = Vec::new();
        let now = self.clock.now();
        let host = self.host.clone();
        let mut session = Session::open(now, &host, &mut |query| self.ask(query), &mut out);
        loop {
            match self.exchange(port, &mut session, &mut out) {
                Ok(()) if self.watcher.is_gone() => return End::Stopped,
                Ok(()) => {}
                Err(error) => return End::Lost(error),
            }
        }
    }

    /// Writes what there is to say, then waits for what is typed or due.
    fn exchange(&mut self, port: &mut TTYPort, session: &mut Session, out: &mut Vec<u8>) -> io::Result<()> {
        self.write(port, out)?;
        out.clear();
        port.set_timeout(session.poll_timeout().since(self.clock.mono()).min(TICK))?;
        let mut typed = [0; 64];
        let length = match port.read(&mut typed) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if is_passing(&error) => 0,
            Err(error) => return Err(error),
        };
        let now = self.clock.now();
        let mut ask = |query| self.ask(query);
        session.input(now, typed.get(..length).unwrap_or_default(), &mut ask, out);
        session.handle_timeout(now, &mut ask, out);
        Ok(())
    }

    /// Asks, not more often than every [`QUERY_GAP`]: typing fast must not keep the switch thread busy.
    fn ask(&mut self, query: Query) -> Result<Reply, WatchError> {
        let passed = self.clock.mono().since(self.asked);
        thread::sleep(QUERY_GAP.saturating_sub(passed));
        self.asked = self.clock.mono();
        self.watcher.query(query)
    }

    /// Writes, or drops what a stalled device does not take. Octet by octet: the port waits for room before each write,
    /// but then blocks, for ever if need be, until all that it was given is taken; for one octet there is room.
    fn write(&mut self, port: &mut TTYPort, octets: &[u8]) -> io::Result<()> {
        port.set_timeout(WRITE_STALL)?;
        for octet in octets.chunks(1) {
            match port.write(octet) {
                Ok(_) => self.stalled = false,
                Err(error) if is_passing(&error) => {
                    if !std::mem::replace(&mut self.stalled, true) {
                        let device = &self.address.device;
                        log::warn!(target: "console", "serial console {device}: takes no output; what it misses is lost");
                    }
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            if self.watcher.is_gone() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Says good-bye. What the device does not send in time is discarded: closing it would wait for that much longer.
    fn take_leave(&mut self, port: &mut TTYPort) {
        let began = self.clock.mono();
        let said = port
            .set_timeout(FAREWELL / 4)
            .map_err(io::Error::from)
            .and_then(|()| b"\r\nCordboard has stopped.\r\n".chunks(1).try_for_each(|octet| port.write_all(octet)));
        if let Err(error) = said {
            log::debug!(target: "console", "serial console {}: {error}", self.address.device);
        }
        while port.bytes_to_write().is_ok_and(|waiting| waiting > 0) {
            if self.clock.mono().since(began) >= FAREWELL / 2 {
                // It is closed next; there is nothing more to do about it.
                let _ = port.clear(ClearBuffer::Output);
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sleeps; false when the appliance stops meanwhile.
    fn rest(&self, pause: Duration) -> bool {
        let began = self.clock.mono();
        while !self.watcher.is_gone() {
            let left = pause.saturating_sub(self.clock.mono().since(began));
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(TICK));
        }
        false
    }
}

/// Nothing came or went in time; the device is there.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock)
}
