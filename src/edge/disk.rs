//! Room on the disk: who may still write there, and a reserve for the store where others have taken the rest.
//!
//! Recordings are what fills a disk. They end early, so that the store, whose few octets a call are worth more than any
//! recording, goes on; and when something else has filled the disk to the last block, the store gives up its
//! [`Reserve`] and goes on in that.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// Between two looks at the room.
const LOOK_APART: Duration = Duration::from_secs(1);
/// Recordings begin while this share of the file system is free: 1 in so many.
const RECORDING_SHARE: u64 = 20;
/// The least and the most of it, in octets.
const RECORDING_OCTETS: (u64, u64) = (16 << 20, 512 << 20);
/// The store's reserve, in octets.
const RESERVE_OCTETS: u64 = 8 << 20;

/// For what there is room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// For everything.
    Enough,
    /// For what is being recorded. Nothing new is recorded.
    Low,
    /// For the store alone.
    Store,
}

impl Room {
    /// What so many free octets of a file system of `size` are enough for. Once it was too little, a quarter more is
    /// wanted, so that a deleted file does not open the door for one recording.
    fn of(free: u64, size: u64, before: Room) -> Room {
        let low = (size / RECORDING_SHARE).clamp(RECORDING_OCTETS.0, RECORDING_OCTETS.1);
        let enough = if before == Room::Enough { low } else { low + low / 4 };
        match free {
            free if free < low / 2 => Room::Store,
            free if free < enough => Room::Low,
            _ => Room::Enough,
        }
    }
}

/// Looks at the room every now and then.
#[derive(Debug)]
pub struct Watch {
    dir: PathBuf,
    room: Room,
    next: Instant,
}

impl Watch {
    /// Of the file system that `dir` is on.
    pub fn new(dir: &Path) -> Watch {
        Watch { dir: dir.to_owned(), room: Room::Enough, next: Instant::now() }
    }

    /// How long the next look may wait.
    pub fn due_in(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// The room, at most a second old.
    pub fn look(&mut self) -> Room {
        let now = Instant::now();
        if now < self.next {
            return self.room;
        }
        self.next = now + LOOK_APART;
        // A file system that does not tell is treated as it was.
        let Ok((free, size)) = free_and_size(&self.dir) else { return self.room };
        let room = Room::of(free, size, self.room);
        if room != self.room {
            match room {
                Room::Enough => log::info!(target: "disk", "there is room again: {} MiB are free", free >> 20),
                Room::Low => log::error!(target: "disk", "{} MiB are free: nothing new is recorded", free >> 20),
                Room::Store => log::error!(target: "disk", "{} MiB are free: recordings end", free >> 20),
            }
            self.room = room;
        }
        room
    }
}

/// Octets that a process without privileges may still use, and all there are.
fn free_and_size(dir: &Path) -> io::Result<(u64, u64)> {
    let fs = statvfs(dir)?;
    Ok((fs.f_bavail.saturating_mul(fs.f_frsize), fs.f_blocks.saturating_mul(fs.f_frsize)))
}

/// Blocks of the disk that nobody else gets, in the file `reserve` of the data folder. Given up when the store finds no
/// room, taken again when there is.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    held: bool,
    next: Instant,
    /// That it cannot be taken has been said.
    said: bool,
}

impl Reserve {
    /// The file that it is in.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("reserve")
    }

    /// Takes the reserve if there is room for it and as much again.
    pub fn take(dir: &Path) -> Reserve {
        let mut reserve = Reserve { path: Self::path(dir), held: false, next: Instant::now(), said: false };
        reserve.restore();
        reserve
    }

    /// Gives it up. True: there was one, so there is room now.
    pub fn release(&mut self) -> bool {
        self.held = false;
        self.next = Instant::now() + LOOK_APART;
        give_up(&self.path)
    }

    /// Gives up what an earlier process left in a data folder, as [`Reserve::release`] does.
    pub fn release_left(dir: &Path) -> bool {
        give_up(&Self::path(dir))
    }

    /// Takes it again where it was given up and there is room; looks once a second at most.
    pub fn restore(&mut self) {
        let now = Instant::now();
        if self.held || now < self.next {
            return;
        }
        self.next = now + LOOK_APART;
        match self.allocate() {
            Ok(held) => (self.held, self.said) = (held, false),
            Err(error) => {
                if !std::mem::replace(&mut self.said, true) {
                    log::warn!(target: "disk", "{}: {error}; the store is without a reserve", self.path.display());
                }
                // Half of one is no use to anyone.
                drop(fs::remove_file(&self.path));
                // A file system that cannot do it need not be asked every second.
                self.next = now + 60 * LOOK_APART;
            }
        }
    }

    fn allocate(&self) -> io::Result<bool> {
        let file: File = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        if file.metadata()?.len() >= RESERVE_OCTETS {
            return Ok(true);
        }
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let (free, _) = free_and_size(dir)?;
        if free < 2 * RESERVE_OCTETS {
            return Ok(false);
        }
        fallocate(&file, FallocateFlags::empty(), 0, RESERVE_OCTETS)?;
        Ok(true)
    }
}

fn give_up(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() > 0) && fs::remove_file(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn recordings_leave_a_twentieth_and_wait_for_a_quarter_more() {
        let of = |free: u64, size: u64, before| Room::of(free * MIB, size * MIB, before);
        assert_eq!(of(51, 1024, Room::Enough), Room::Low, "a twentieth of a gibibyte is 51.2");
        assert_eq!(of(52, 1024, Room::Enough), Room::Enough);
        assert_eq!(of(60, 1024, Room::Low), Room::Low);
        assert_eq!(of(64, 1024, Room::Low), Room::Enough);
        assert_eq!(of(25, 1024, Room::Low), Room::Store);
        assert_eq!(of(26, 1024, Room::Store), Room::Low);
        assert_eq!(of(15, 64, Room::Enough), Room::Low, "16 MiB at least");
        assert_eq!(of(512, 1 << 20, Room::Enough), Room::Enough, "512 MiB at most");
    }

    #[test]
    fn a_reserve_is_given_up_once_and_taken_again() {
        let dir = std::env::temp_dir().join(format!("cordboard-reserve-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a temporary folder");
        let mut reserve = Reserve::take(&dir);
        let path = dir.join("reserve");
        use std::os::unix::fs::MetadataExt;
        let found = fs::metadata(&path).expect("it is there");
        assert!(found.len() == RESERVE_OCTETS && found.blocks() * 512 >= RESERVE_OCTETS, "{found:?}");
        assert!(reserve.release() && !path.exists());
        assert!(!reserve.release(), "once");
        reserve.next = Instant::now();
        reserve.restore();
        assert!(path.exists());
        // The next process finds it as it is.
        drop(Reserve::take(&dir));
        fs::remove_dir_all(&dir).expect("removed");
    }
}
