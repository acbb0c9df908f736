//! The recorder: a thread that writes recordings as stereo WAV files, 16 bits at 8 kHz.
//!
//! While it grows, a recording is `NAME.wav.part`; its header is brought up to date every second, so that what a killed
//! process leaves behind can be played. Complete ones are renamed to `NAME.wav`; those of an earlier run are renamed at
//! start.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;

use hound::{SampleFormat, WavSpec, WavWriter};

use crate::base::Bound;
use crate::edge::disk::{Room, Watch};
use crate::media::{FRAME, RecordError, RecordSink, Samples};

/// Frames on their way to the thread at most, of all recordings together: 20 s of two, 400 ms of a hundred.
const QUEUE: usize = 2_048;
/// Failures on their way back at most; one that finds no room is told with the recording's next frame.
const FAILURES: usize = 256;
/// Frames between two updates of a file's header: 1 s.
const FLUSH_FRAMES: u32 = 50;
/// Folders below `recordings` at most.
const DEPTH_MAX: usize = 8;

const SPEC: WavSpec =
    WavSpec { channels: 2, sample_rate: 8_000, bits_per_sample: 16, sample_format: SampleFormat::Int };

#[expect(clippy::large_enum_variant, reason = "frames go by value: boxing them would allocate on the media thread")]
enum Job {
    Frame(Arc<str>, [i16; 2 * FRAME]),
    Finish(Arc<str>),
}

/// How full the recorder's queue is; told to whoever asks, from any thread.
#[derive(Debug, Default)]
pub struct RecorderLoad {
    frames: AtomicUsize,
    refused: AtomicU64,
    disk_is_full: AtomicBool,
    /// Recordings that failed.
    failures: AtomicU64,
    is_failing: AtomicBool,
}

impl RecorderLoad {
    /// The queue with its use. A frame that finds no room ends its recording.
    pub fn bound(&self) -> Bound {
        Bound::new("recorder-frames", self.frames.load(Ordering::Relaxed), QUEUE, self.refused.load(Ordering::Relaxed))
    }

    /// Whether there is too little room on the disk for new recordings.
    pub fn disk_is_full(&self) -> bool {
        self.disk_is_full.load(Ordering::Relaxed)
    }

    /// Whether a recording has failed, and none that was begun after it was written whole, nor has the disk got room again.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    fn fail(&self) {
        self.failures.fetch_add(1, Ordering::SeqCst);
        self.is_failing.store(true, Ordering::SeqCst);
    }
}

/// The sink that the media thread writes to. Dropping it completes all recordings.
pub struct Recorder {
    load: Arc<RecorderLoad>,
    jobs: Option<SyncSender<Job>>,
    failures: Receiver<Arc<str>>,
    failed: Vec<Arc<str>>,
    /// Complete recordings whose message found no room.
    unfinished: Vec<Arc<str>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Starts the thread; files go to `data_dir/recordings`, which is made if need be. `wake` is called from the thread
    /// when [`RecorderLoad::disk_is_full`] has changed or recordings go well again; while there is hardly any room, recordings end by themselves.
    ///
    /// # Errors
    /// The folder cannot be made, or the thread cannot start.
    pub fn spawn(data_dir: &Path, wake: impl Fn() + Send + 'static) -> io::Result<Recorder> {
        let root = data_dir.join("recordings");
        private_folder(&root)?;
        let (jobs, inbox) = sync_channel(QUEUE);
        let (failures_out, failures) = sync_channel(FAILURES);
        let load = Arc::new(RecorderLoad::default());
        let writer = Writer {
            load: Arc::clone(&load),
            watch: Watch::new(&root),
            wake: Box::new(wake),
            root,
            open: HashMap::new(),
            broken: HashSet::new(),
            failures: failures_out,
        };
        let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || writer.run(&inbox))?;
        Ok(Recorder {
            load,
            jobs: Some(jobs),
            failures,
            failed: Vec::new(),
            unfinished: Vec::new(),
            thread: Some(thread),
        })
    }

    /// How full the queue is.
    pub fn load(&self) -> Arc<RecorderLoad> {
        Arc::clone(&self.load)
    }

    fn send(&self, job: Job) -> Result<(), RecordError> {
        let jobs = self.jobs.as_ref().ok_or(RecordError::Storage)?;
        self.load.frames.fetch_add(1, Ordering::Relaxed);
        jobs.try_send(job).map_err(|error| {
            self.load.frames.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => {
                    self.load.refused.fetch_add(1, Ordering::Relaxed);
                    RecordError::Overrun
                }
                TrySendError::Disconnected(_) => RecordError::Storage,
            }
        })
    }

    fn send_unfinished(&mut self) {
        while let Some(name) = self.unfinished.pop() {
            if self.send(Job::Finish(name.clone())) == Err(RecordError::Overrun) {
                self.unfinished.push(name);
                break;
            }
        }
    }
}

impl RecordSink for Recorder {
    fn frame(&mut self, name: &Arc<str>, left: &Samples, right: &Samples) -> Result<(), RecordError> {
        self.send_unfinished();
        while let Ok(failed) = self.failures.try_recv() {
            self.failed.push(failed);
        }
        if self.failed.contains(name) {
            return Err(RecordError::Storage);
        }
        let mut both = [0; 2 * FRAME];
        for (pair, (&left, &right)) in both.chunks_exact_mut(2).zip(left.iter().zip(right)) {
            pair.copy_from_slice(&[left, right]);
        }
        self.send(Job::Frame(name.clone(), both)).inspect_err(|_| self.load.fail())
    }

    fn finish(&mut self, name: &Arc<str>) {
        self.failed.retain(|failed| failed != name);
        self.unfinished.push(name.clone());
        self.send_unfinished();
    }

    fn settle(&mut self) -> bool {
        self.send_unfinished();
        !self.unfinished.is_empty()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // The thread completes all files when the channel ends.
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the recorder broke down");
        }
    }
}

struct Writer {
    load: Arc<RecorderLoad>,
    root: PathBuf,
    watch: Watch,
    wake: Box<dyn Fn() + Send>,
    open: HashMap<Arc<str>, Recording>,
    /// Recordings that failed and are not finished yet: their frames are dropped.
    broken: HashSet<Arc<str>>,
    failures: SyncSender<Arc<str>>,
}

struct Recording {
    writer: WavWriter<BufWriter<File>>,
    part: PathBuf,
    complete: PathBuf,
    unflushed: u32,
    /// Recordings that had failed when it was begun.
    failures: u64,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Job>) {
        complete_leftovers(&self.root, 0);
        loop {
            let job = inbox.recv_timeout(self.watch.due_in());
            self.load.frames.fetch_sub(usize::from(job.is_ok()), Ordering::Relaxed);
            let room = self.watch.look();
            let full = room != Room::Enough;
            if self.load.disk_is_full.swap(full, Ordering::Relaxed) != full {
                if !full {
                    self.load.is_failing.store(false, Ordering::SeqCst);
                }
                (self.wake)();
            }
            match job {
                Ok(Job::Frame(name, _)) if room == Room::Store => {
                    self.fail(name, Some(io::ErrorKind::StorageFull.into()))
                }
                Ok(Job::Frame(name, samples)) => self.frame(name, &samples),
                Ok(Job::Finish(name)) => self.finish(&name),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        debug_assert_eq!(inbox.try_recv().err(), Some(TryRecvError::Disconnected));
        for (name, recording) in std::mem::take(&mut self.open) {
            self.complete(&name, recording);
        }
    }

    fn frame(&mut self, name: Arc<str>, samples: &[i16]) {
        let result = match self.open.get_mut(&name) {
            Some(recording) => recording.write(samples),
            None if self.broken.contains(&name) => Err(None),
            None => self.create(&name).map_err(Some).and_then(|mut recording| {
                let result = recording.write(samples);
                self.open.insert(name.clone(), recording);
                result
            }),
        };
        if let Err(error) = result {
            self.fail(name, error);
        }
    }

    /// Ends a recording before its call. `None`: that was said already.
    fn fail(&mut self, name: Arc<str>, error: Option<io::Error>) {
        if let Some(error) = error.filter(|_| !self.broken.contains(&name)) {
            log::error!("recording {name}: {error}");
            self.load.fail();
        }
        // What was written stays, as far as it can be completed.
        if let Some(recording) = self.open.remove(&name) {
            report(&name, recording.complete());
        }
        self.broken.insert(name.clone());
        // Without room it is told again with the next frame.
        let _ = self.failures.try_send(name);
    }

    fn finish(&mut self, name: &Arc<str>) {
        self.broken.remove(name);
        if let Some(recording) = self.open.remove(name) {
            self.complete(name, recording);
        }
    }

    fn create(&self, name: &str) -> io::Result<Recording> {
        let failures = self.load.failures.load(Ordering::SeqCst);
        Recording::create(&self.root, name, failures)
    }

    /// A recording came to its end. Where it was written whole and nothing failed since it was begun, that trouble is over.
    fn complete(&self, name: &str, recording: Recording) {
        let failures = recording.failures;
        let result = recording.complete();
        if result.is_err() {
            self.load.fail();
        } else if failures == self.load.failures.load(Ordering::SeqCst)
            && self.load.is_failing.swap(false, Ordering::SeqCst)
        {
            (self.wake)();
        }
        report(name, result);
    }
}

/// What people said is for the owner of the data folder alone.
fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl Recording {
    fn create(root: &Path, name: &str, failures: u64) -> io::Result<Recording> {
        let (part, complete) = paths(root, name)?;
        if let Some(folder) = part.parent() {
            private_folder(folder)?;
        }
        if complete.exists() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let file = File::options().write(true).create_new(true).mode(0o600).open(&part)?;
        let writer = WavWriter::new(BufWriter::new(file), SPEC).map_err(io_error)?;
        Ok(Recording { writer, part, complete, unflushed: 0, failures })
    }

    fn write(&mut self, samples: &[i16]) -> Result<(), Option<io::Error>> {
        let mut write = || {
            for &sample in samples {
                self.writer.write_sample(sample)?;
            }
            self.unflushed += 1;
            if self.unflushed >= FLUSH_FRAMES {
                self.unflushed = 0;
                self.writer.flush()?;
            }
            Ok(())
        };
        write().map_err(|error| Some(io_error(error)))
    }

    fn complete(self) -> io::Result<()> {
        // Without room for the last of it, what is there has a header that is right up to the last second.
        let finished = self.writer.finalize().map_err(io_error);
        fs::rename(&self.part, &self.complete)?;
        finished
    }
}

fn report(name: &str, result: io::Result<()>) {
    if let Err(error) = result {
        log::error!("recording {name}: {error}");
    }
}

fn io_error(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        other => io::Error::other(other),
    }
}

/// The two paths of a recording. Its name may have folders, of letters, digits, `-`, `_` and inner dots only, so that it
/// never leaves `root`.
fn paths(root: &Path, name: &str) -> io::Result<(PathBuf, PathBuf)> {
    let fits = |component: &str| {
        !component.is_empty()
            && !component.starts_with('.')
            && component.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    if name.split('/').count() > DEPTH_MAX || !name.split('/').all(fits) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok((root.join(format!("{name}.wav.part")), root.join(format!("{name}.wav"))))
}

/// Gives recordings of a process that was killed their names; their headers are at most a second behind.
fn complete_leftovers(folder: &Path, depth: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => complete_leftovers(&path, depth + 1),
            Ok(kind) if kind.is_file() && path.extension().is_some_and(|e| e == "part") => {
                report(&path.to_string_lossy(), fs::rename(&path, path.with_extension("")));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own per test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("cordboard-recorder-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a temporary folder");
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn spawn(folder: &Folder) -> io::Result<Recorder> {
        Recorder::spawn(&folder.0, || {})
    }

    fn name(text: &str) -> Arc<str> {
        Arc::from(text)
    }

    #[test]
    fn recordings_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("private");
        let mut recorder = spawn(&folder).expect("a recorder");
        recorder.frame(&name("acme/1"), &[1; FRAME], &[2; FRAME]).expect("room");
        drop(recorder);
        for (path, mode) in [("recordings", 0o700), ("recordings/acme", 0o700), ("recordings/acme/1.wav", 0o600)] {
            let found = fs::metadata(folder.0.join(path)).expect(path).permissions().mode();
            assert_eq!(found & 0o777, mode, "{path}");
        }
    }

    #[test]
    fn a_recording_is_stereo_and_complete() {
        let folder = Folder::new("complete");
        let mut recorder = spawn(&folder).expect("spawned");
        let call = name("acme/2026-11/call-1");
        for n in 0..60 {
            recorder.frame(&call, &[n; FRAME], &[-n; FRAME]).expect("room");
        }
        recorder.finish(&call);
        drop(recorder);
        let path = folder.0.join("recordings/acme/2026-11/call-1.wav");
        let mut reader = hound::WavReader::open(&path).expect("a WAV file");
        assert_eq!(reader.spec(), SPEC);
        let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("a sample")).collect();
        assert_eq!(samples.len(), 60 * 2 * FRAME);
        assert_eq!(samples[samples.len() - 2..], [59, -59]);
        assert!(!path.with_extension("wav.part").exists());
    }

    #[test]
    fn dropping_the_sink_completes_open_recordings_and_a_start_those_left_behind() {
        let folder = Folder::new("leftover");
        let mut recorder = spawn(&folder).expect("spawned");
        recorder.frame(&name("open"), &[1; FRAME], &[2; FRAME]).expect("room");
        drop(recorder);
        let complete = folder.0.join("recordings/open.wav");
        assert!(hound::WavReader::open(&complete).is_ok());

        let part = folder.0.join("recordings/killed.wav.part");
        fs::rename(&complete, &part).expect("renamed");
        drop(spawn(&folder).expect("spawned"));
        assert!(folder.0.join("recordings/killed.wav").exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told() {
        let folder = Folder::new("broken");
        let mut recorder = spawn(&folder).expect("spawned");
        let bad = name("../escape");
        // The thread tells with a delay that is bounded by the queue: after it is full at the latest.
        let told = (0..100_000_000u64).find_map(|_| match recorder.frame(&bad, &[0; FRAME], &[0; FRAME]) {
            Err(RecordError::Storage) => Some(()),
            Ok(()) | Err(RecordError::Overrun) => None,
        });
        assert!(told.is_some());
        recorder.finish(&bad);
        drop(recorder);
        assert!(!folder.0.join("escape.wav.part").exists());
    }

    #[test]
    fn a_failure_is_over_when_a_recording_that_was_begun_after_it_is_whole() {
        let folder = Folder::new("failing");
        let mut recorder = spawn(&folder).expect("spawned");
        let load = recorder.load();
        let frame = |recorder: &mut Recorder, text: &str| recorder.frame(&name(text), &[0; FRAME], &[0; FRAME]).is_ok();
        let until = |what: &str, done: &dyn Fn() -> bool| {
            assert!(
                (0..2_000).any(|_| done() || {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    false
                }),
                "{what}"
            );
        };
        assert!(frame(&mut recorder, "before") && !load.is_failing());
        assert!(frame(&mut recorder, "../escape"));
        until("it fails", &|| load.is_failing());
        recorder.finish(&name("before"));
        recorder.finish(&name("../escape"));
        let whole = |text: &str| folder.0.join(format!("recordings/{text}.wav")).exists();
        until("it is whole", &|| whole("before"));
        assert!(frame(&mut recorder, "after"));
        assert!(load.is_failing(), "one that was begun before shows nothing, nor does a beginning");
        recorder.finish(&name("after"));
        until("it is over", &|| !load.is_failing());
        // A file that cannot get its name in the end is a failure, too.
        assert!(frame(&mut recorder, "blocked"));
        until("it is begun", &|| folder.0.join("recordings/blocked.wav.part").exists());
        fs::create_dir(folder.0.join("recordings/blocked.wav")).expect("a folder");
        recorder.finish(&name("blocked"));
        until("it fails", &|| load.is_failing());
    }

    #[test]
    fn names_stay_below_the_root() {
        let root = Path::new("/r");
        for bad in ["", "/etc/x", "a//b", "../x", "a/../b", ".hidden", "a b", "a/b/c/d/e/f/g/h/i", "x\0"] {
            assert!(paths(root, bad).is_err(), "{bad:?}");
        }
        assert_eq!(paths(root, "t/1.2").map(|(_, complete)| complete).ok(), Some(PathBuf::from("/r/t/1.2.wav")));
    }
}
