//! The log: lines on standard error, for people, journald or machines, with a level per module that can be changed while
//! running.
//!
//! A caller formats its line and puts it into a bounded queue; one thread writes. When standard error is slower than the
//! callers, lines are dropped and counted, and a line says how many: logging never holds up a call.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use std::{fmt, io, thread};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::base::Bound;

/// Lines that wait to be written; more are dropped and counted.
pub const QUEUE_MAX: usize = 8192;

/// Most modules with a level of their own.
pub const RULES_MAX: usize = 64;

/// Longest line, in octets; the rest is cut off.
const LINE_MAX: usize = 8192;

/// How long [`Logging::flush`] waits.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// The name that stands for all modules without a level of their own.
pub const ALL: &str = "all";

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// `TIME LEVEL MODULE: MESSAGE`.
    #[default]
    Text,
    /// As text, without the time and with the priority prefix `<N>` that journald reads (sd-daemon(3)).
    Journal,
    /// One JSON object per line: `time`, `level`, `module`, `message`.
    Json,
}

impl Format {
    /// [`Format::Journal`] when systemd has connected standard error to the journal, which stamps lines itself.
    pub fn detect() -> Self {
        if std::env::var_os("JOURNAL_STREAM").is_some() { Self::Journal } else { Self::Text }
    }
}

/// Why a level was not set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LevelError {
    /// Not a module's name: letters, digits, `_` and `::`.
    Module,
    /// Not `off`, `error`, `warn`, `info`, `debug` or `trace`.
    Level,
    /// [`RULES_MAX`] modules have a level already.
    TooMany,
}

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module => write!(f, "not a module's name; `net`, `proto::sip` or `{ALL}` are"),
            Self::Level => f.write_str("not a level; off, error, warn, info, debug and trace are"),
            Self::TooMany => write!(f, "{RULES_MAX} modules have a level of their own already"),
        }
    }
}

impl std::error::Error for LevelError {}

/// Handle on the process's log.
#[derive(Clone)]
pub struct Logging(Arc<Shared>);

struct Shared {
    format: Format,
    levels: RwLock<Levels>,
    queue: SyncSender<Line>,
    waiting: AtomicUsize,
    dropped: AtomicU64,
}

enum Line {
    Text(String),
    Flush(SyncSender<()>),
}

/// Levels by module.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Levels {
    default: LevelFilter,
    rules: Vec<(String, LevelFilter)>,
}

impl Levels {
    /// The level for a target: that of the rule with the longest name that stands in the target as whole segments, so
    /// that `sip` covers `cordboard::proto::sip::dialog`.
    fn of(&self, target: &str) -> LevelFilter {
        let fitting = self.rules.iter().filter(|(module, _)| names(module, target));
        fitting.max_by_key(|(module, _)| module.len()).map_or(self.default, |(_, level)| *level)
    }

    fn set(&mut self, module: &str, level: LevelFilter) -> Result<(), LevelError> {
        if module == ALL {
            self.default = level;
            return Ok(());
        }
        if let Some(rule) = self.rules.iter_mut().find(|(name, _)| name == module) {
            rule.1 = level;
            return Ok(());
        }
        if self.rules.len() >= RULES_MAX {
            return Err(LevelError::TooMany);
        }
        self.rules.push((module.to_owned(), level));
        Ok(())
    }

    fn most(&self) -> LevelFilter {
        self.rules.iter().map(|(_, level)| *level).max().unwrap_or(LevelFilter::Off).max(self.default)
    }
}

fn names(module: &str, target: &str) -> bool {
    target.match_indices(module).any(|(at, _)| {
        let (before, rest) = target.split_at(at);
        let after = rest.strip_prefix(module).unwrap_or_default();
        (before.is_empty() || before.ends_with("::")) && (after.is_empty() || after.starts_with("::"))
    })
}

impl Logging {
    /// Makes this the process's log, with `level` for all modules.
    ///
    /// # Errors
    ///
    /// When the process has a log already, or no thread can be started.
    pub fn install(format: Format, level: LevelFilter) -> io::Result<Logging> {
        let (logging, lines) = Self::new(format, level);
        let writer = logging.clone();
        thread::Builder::new().name("log".into()).spawn(move || writer.write_all(&lines, &mut io::stderr()))?;
        log::set_boxed_logger(Box::new(logging.clone())).map_err(io::Error::other)?;
        log::set_max_level(level);
        Ok(logging)
    }

    fn new(format: Format, default: LevelFilter) -> (Self, Receiver<Line>) {
        let (queue, lines) = sync_channel(QUEUE_MAX);
        let levels = RwLock::new(Levels { default, rules: Vec::new() });
        (
            Self(Arc::new(Shared { format, levels, queue, waiting: AtomicUsize::new(0), dropped: AtomicU64::new(0) })),
            lines,
        )
    }

    /// Sets the level of a module and all within it; [`ALL`] for those without a level of their own.
    ///
    /// # Errors
    ///
    /// [`LevelError`]; nothing is changed.
    pub fn set_level(&self, module: &str, level: &str) -> Result<(), LevelError> {
        let well_formed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        if module.is_empty() || module.len() > 128 || !module.chars().all(well_formed) {
            return Err(LevelError::Module);
        }
        let level = level.parse().map_err(|_| LevelError::Level)?;
        let mut levels = self.0.levels.write().unwrap_or_else(PoisonError::into_inner);
        levels.set(module, level)?;
        log::set_max_level(levels.most());
        Ok(())
    }

    /// Lines dropped since start because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// The queue with its use.
    pub fn bound(&self) -> Bound {
        Bound::new("log-lines", self.0.waiting.load(Ordering::Relaxed), QUEUE_MAX, self.dropped())
    }

    fn write_all(&self, lines: &Receiver<Line>, out: &mut impl Write) {
        let mut told = 0;
        while let Ok(line) = lines.recv() {
            match line {
                // Nobody is left to be told that standard error is gone.
                Line::Text(text) => {
                    self.0.waiting.fetch_sub(1, Ordering::Relaxed);
                    let _ = out.write_all(text.as_bytes());
                }
                Line::Flush(done) => {
                    let _ = out.flush();
                    let _ = done.try_send(());
                }
            }
            let dropped = self.dropped();
            if dropped > told {
                let message = format_args!("{} log lines dropped: standard error is too slow", dropped - told);
                let _ = out.write_all(self.line(Level::Warn, module_path!(), &message).as_bytes());
                told = dropped;
            }
        }
    }

    fn line(&self, level: Level, target: &str, message: &fmt::Arguments<'_>) -> String {
        let time = || jiff::Timestamp::now();
        let target = target.strip_prefix("cordboard::").unwrap_or(target);
        let mut line = String::with_capacity(128);
        // Writing to a String cannot fail.
        let _ = match self.0.format {
            Format::Text => write!(line, "{:.3} {level:<5} {target}: {}", time(), OneLine(message)),
            Format::Journal => write!(line, "<{}>{target}: {}", priority(level), OneLine(message)),
            Format::Json => {
                let object = serde_json::json!({
                    "time": format!("{:.3}", time()),
                    "level": level.as_str().to_ascii_lowercase(),
                    "module": target,
                    "message": OneLine(message).to_string(),
                });
                write!(line, "{object}")
            }
        };
        line.push('\n');
        line
    }
}

/// The priorities of syslog (RFC 5424 section 6.2.1).
const fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// A message as one line of bounded length: what came from outside cannot forge a line or steer a terminal.
struct OneLine<'a>(&'a fmt::Arguments<'a>);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>, usize);
        impl fmt::Write for Escape<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                for c in text.chars() {
                    if self.1 > LINE_MAX {
                        return Ok(());
                    }
                    self.1 += c.len_utf8();
                    if c.is_control() { write!(self.0, "{}", c.escape_default())? } else { self.0.write_char(c)? }
                }
                Ok(())
            }
        }
        Escape(f, 0).write_fmt(*self.0)
    }
}

impl Log for Logging {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let levels = self.0.levels.read().unwrap_or_else(PoisonError::into_inner);
        metadata.level() <= levels.of(metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = self.line(record.level(), record.target(), record.args());
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        if self.0.queue.try_send(Line::Text(line)).is_err() {
            self.0.waiting.fetch_sub(1, Ordering::Relaxed);
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was logged before is written, at most two seconds.
    fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.0.queue.try_send(Line::Flush(done)).is_ok() {
            // A writer that hangs on a full pipe must not hold up the end of the process.
            let _ = written.recv_timeout(FLUSH_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emit(logging: &Logging, level: Level, target: &str, message: &str) {
        logging.log(&Record::builder().level(level).target(target).args(format_args!("{message}")).build());
    }

    fn written(logging: Logging, lines: &Receiver<Line>) -> String {
        let pending: Vec<Line> = lines.try_iter().collect();
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        for line in pending {
            sender.try_send(line).ok().unwrap();
        }
        drop(sender);
        let mut out = Vec::new();
        logging.write_all(&receiver, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_longest_named_module_decides() {
        let mut levels = Levels { default: LevelFilter::Warn, rules: Vec::new() };
        levels.set("proto", LevelFilter::Error).unwrap();
        levels.set("proto::sip", LevelFilter::Trace).unwrap();
        assert_eq!(levels.of("cordboard::proto::sip::dialog"), LevelFilter::Trace);
        assert_eq!(levels.of("cordboard::proto::sdp"), LevelFilter::Error);
        assert_eq!(levels.of("cordboard::protocol"), LevelFilter::Warn);
        assert_eq!(levels.most(), LevelFilter::Trace);
        levels.set("proto::sip", LevelFilter::Off).unwrap();
        levels.set(ALL, LevelFilter::Info).unwrap();
        assert_eq!(levels.of("cordboard::proto::sip"), LevelFilter::Off);
        assert_eq!(levels.of("net"), LevelFilter::Info);
        assert_eq!(levels.rules.len(), 2);
    }

    #[test]
    fn rules_are_bounded_and_checked() {
        let (logging, _lines) = Logging::new(Format::Text, LevelFilter::Info);
        assert_eq!(logging.set_level("a b", "info"), Err(LevelError::Module));
        assert_eq!(logging.set_level("", "info"), Err(LevelError::Module));
        assert_eq!(logging.set_level("net", "loud"), Err(LevelError::Level));
        let mut levels = Levels { default: LevelFilter::Info, rules: Vec::new() };
        for n in 0..RULES_MAX {
            levels.set(&format!("m{n}"), LevelFilter::Debug).unwrap();
        }
        assert_eq!(levels.set("one_more", LevelFilter::Debug), Err(LevelError::TooMany));
        assert_eq!(levels.set("m0", LevelFilter::Info), Ok(()));
    }

    #[test]
    fn text_has_time_level_module_and_stays_on_one_line() {
        let (logging, lines) = Logging::new(Format::Text, LevelFilter::Info);
        emit(&logging, Level::Warn, "cordboard::edge::net", "bad\nTIME ERROR forged\x1b[2J");
        emit(&logging, Level::Debug, "cordboard::edge::net", "not shown");
        let text = written(logging, &lines);
        assert_eq!(text.lines().count(), 1);
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert_eq!(rest, "WARN  edge::net: bad\\nTIME ERROR forged\\u{1b}[2J\n");
    }

    #[test]
    fn json_is_one_object_per_line_and_the_journal_gets_priorities() {
        let (logging, lines) = Logging::new(Format::Json, LevelFilter::Info);
        emit(&logging, Level::Info, "net", "say \"hi\"");
        let object: serde_json::Value = serde_json::from_str(&written(logging, &lines)).unwrap();
        assert_eq!((&object["level"], &object["module"]), (&"info".into(), &"net".into()));
        assert_eq!(object["message"], "say \"hi\"");
        let (logging, lines) = Logging::new(Format::Journal, LevelFilter::Info);
        emit(&logging, Level::Error, "net", "gone");
        assert_eq!(written(logging, &lines), "<3>net: gone\n");
    }

    #[test]
    fn overflow_is_counted_and_told() {
        let (logging, lines) = Logging::new(Format::Text, LevelFilter::Info);
        for _ in 0..QUEUE_MAX + 3 {
            emit(&logging, Level::Info, "net", &"x".repeat(10));
        }
        assert_eq!(logging.dropped(), 3);
        let text = written(logging, &lines);
        assert_eq!(text.lines().count(), QUEUE_MAX + 1);
        assert!(text.contains("3 log lines dropped"));
    }
}
