//! Jitter buffer for companded audio, 8,000 octets a second: packets of any length in, as many octets out as play-out
//! asks for.
//!
//! Octets lie in a ring at their RTP timestamp, with one bit each for presence; so reordering, duplicates, any packet
//! time and lost packets need no cases of their own. How long play-out waits is [`Delay`]'s; where it waits too long or
//! too short, [`JitterBuffer::pace`] says so, and a talkspurt after a pause begins at the right delay at once. A pause
//! that the sequence numbers show to be one is no loss, however long.

use crate::media::FRAME;
use crate::media::delay::{Delay, MOST};
use crate::proto::rtp::packet::Header;

/// Octets (and timestamp units) in the ring: 1,024 ms.
const RING: u32 = 8_192;
/// A packet may be at most this far ahead of play-out (800 ms); beyond, the buffer starts anew.
const LEAD_MAX: i32 = 6_400;
/// A packet so far behind play-out (1 s) is of a sender that set its clock back.
const BEHIND_MAX: i32 = 8_000;
/// Largest packet taken: 60 ms.
pub const PAYLOAD_MAX: usize = 480;
/// So long a failing stream is waited for; then it pauses: 200 ms.
const DRY_MAX: u32 = 10 * FRAME as u32;
/// Off the target by more than this, play-out goes faster or slower: 30 ms and 10 ms.
const AHEAD: i32 = 240;
const BEHIND: i32 = 80;

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inserted {
    /// At least part of it will be played.
    Kept,
    /// It came after its time.
    Late,
    /// All of it is there already.
    Duplicate,
    /// Longer than [`PAYLOAD_MAX`], or empty.
    Refused,
}

/// What lies at the point of play-out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Run {
    /// So many octets.
    Audio(usize),
    /// So many octets are missing: conceal them.
    Gap(usize),
    /// Nothing is meant to be heard: a pause, or no stream.
    Quiet,
}

/// How play-out stands to its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Near it.
    Even,
    /// It waits too long: play faster.
    Faster,
    /// It waits too short: play slower.
    Slower,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// No talkspurt.
    Pause,
    /// One has begun but its time has not come.
    Waiting,
    Playing,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    octets: [u8; RING as usize],
    present: [u64; RING as usize / 64],
    /// Timestamp of the next octet to play.
    next: u32,
    /// Timestamp after the newest octet, and that packet's sequence number.
    end: u32,
    sequence: u16,
    state: State,
    /// Units concealed while play-out stood still.
    held: u32,
    /// The sender said that it pauses.
    pausing: bool,
    delay: Delay,
    /// Octets that were missing when their time came.
    missing: u64,
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl JitterBuffer {
    /// An empty buffer.
    pub fn new() -> JitterBuffer {
        JitterBuffer {
            octets: [0; RING as usize],
            present: [0; RING as usize / 64],
            next: 0,
            end: 0,
            sequence: 0,
            state: State::Pause,
            held: 0,
            pausing: false,
            delay: Delay::default(),
            missing: 0,
        }
    }

    /// Forgets the stream: another source begins. What was counted stays.
    pub fn reset(&mut self) {
        self.present = [0; RING as usize / 64];
        self.state = State::Pause;
        self.held = 0;
        self.delay = Delay::default();
    }

    /// Takes a packet's payload, `now` in timestamp units of any origin.
    pub fn insert(&mut self, now: u32, header: &Header, payload: &[u8]) -> Inserted {
        if payload.is_empty() || payload.len() > PAYLOAD_MAX {
            return Inserted::Refused;
        }
        let timestamp = header.timestamp;
        let lead = self.lead(timestamp);
        if self.state != State::Pause && !(-BEHIND_MAX..=LEAD_MAX).contains(&lead) {
            // A jump of the timestamp: nothing that was learnt holds.
            self.reset();
        }
        self.delay.arrived(now, timestamp);
        if self.begins_talkspurt(header, payload.len()) {
            self.start(timestamp, header.sequence == self.sequence.wrapping_add(1));
        }
        if self.state == State::Waiting && self.lead(timestamp) < 0 {
            self.next = timestamp;
        }
        let lead = self.lead(timestamp);
        let skipped = (-lead).max(0).cast_unsigned();
        let Some(rest) = payload.get(skipped as usize..).filter(|rest| !rest.is_empty()) else {
            self.delay.came_late(now, timestamp);
            return Inserted::Late;
        };
        self.close_gap(timestamp);
        let inserted = self.store(timestamp.wrapping_add(skipped), rest);
        if inserted == Inserted::Kept {
            self.pausing = false;
        }
        let end = timestamp.wrapping_add(payload.len() as u32);
        if end.wrapping_sub(self.end).cast_signed() > 0 {
            (self.end, self.sequence) = (end, header.sequence);
        }
        inserted
    }

    /// Whether the packet is the first after a pause: nothing plays, or all was played and more time has passed in its
    /// timestamp than the packets lost before it can have held.
    fn begins_talkspurt(&self, header: &Header, len: usize) -> bool {
        let gap = header.timestamp.wrapping_sub(self.end).cast_signed();
        let lost = header.sequence.wrapping_sub(self.sequence).wrapping_sub(1);
        let explained = i32::from(lost).saturating_mul(len as i32);
        match self.state {
            State::Pause => true,
            State::Waiting => false,
            State::Playing => self.lead(self.end) <= 0 && lost < 0x8000 && gap > explained,
        }
    }

    fn start(&mut self, timestamp: u32, follows: bool) {
        let held = std::mem::take(&mut self.held);
        if follows {
            // Nothing was lost: what was concealed at the end of the talkspurt before was its pause.
            self.missing -= u64::from(held);
        }
        self.present = [0; RING as usize / 64];
        (self.next, self.end) = (timestamp, timestamp);
        self.state = State::Waiting;
    }

    /// Packets after a loss that was waited for: what was concealed meanwhile stands for what is missing.
    fn close_gap(&mut self, timestamp: u32) {
        let gap = self.lead(timestamp).max(0).cast_unsigned();
        self.next = self.next.wrapping_add(std::mem::take(&mut self.held).min(gap));
    }

    /// The sender pauses: comfort noise came (RFC 3389).
    pub fn pause(&mut self) {
        self.pausing = true;
    }

    fn store(&mut self, timestamp: u32, payload: &[u8]) -> Inserted {
        let at = slot(timestamp);
        let first = payload.len().min(RING as usize - at);
        let (head, tail) = payload.split_at(first);
        for (at, part) in [(at, head), (0, tail)] {
            if let Some(to) = self.octets.get_mut(at..at + part.len()) {
                to.copy_from_slice(part);
            }
        }
        let mut added = false;
        words(timestamp, payload.len(), |word, mask| {
            if let Some(present) = self.present.get_mut(word) {
                added |= *present & mask != mask;
                *present |= mask;
            }
        });
        if added { Inserted::Kept } else { Inserted::Duplicate }
    }

    /// What lies at the point of play-out, up to `most` octets of it, which are copied into `to` and played herewith.
    pub fn pop(&mut self, now: u32, to: &mut [u8]) -> Run {
        let most = to.len();
        match self.state {
            State::Pause => return Run::Quiet,
            State::Waiting if self.ahead(now) < -(FRAME as i32) / 2 => return Run::Quiet,
            State::Waiting => self.state = State::Playing,
            State::Playing => {}
        }
        let left = self.lead(self.end);
        // A frame that is not there whole yet is waited for, unless the delay is at its bound or a pause follows.
        if left < most as i32 && !(self.pausing && left > 0) {
            return self.wait(now, most);
        }
        self.held = 0;
        let run = self.run(most);
        if let Run::Audio(len) = run {
            self.peek(&mut to[..len]);
        }
        let len = match run {
            Run::Audio(len) => len,
            Run::Gap(len) => {
                self.missing += len as u64;
                len
            }
            Run::Quiet => 0,
        };
        self.advance(len);
        run
    }

    fn wait(&mut self, now: u32, most: usize) -> Run {
        if self.pausing {
            self.missing -= u64::from(std::mem::take(&mut self.held));
        }
        if self.pausing || self.held >= DRY_MAX {
            self.state = State::Pause;
            return Run::Quiet;
        }
        self.missing += most as u64;
        if self.delay.at(now, self.next) >= MOST as i32 {
            self.advance(most);
        } else {
            self.held += most as u32;
        }
        Run::Gap(most)
    }

    fn run(&self, most: usize) -> Run {
        let present = self.is_present(0);
        let whole = present && self.all_present(most);
        let len = if whole { most } else { (1..most).find(|&n| self.is_present(n) != present).unwrap_or(most) };
        if present { Run::Audio(len) } else { Run::Gap(len) }
    }

    fn is_present(&self, offset: usize) -> bool {
        let at = slot(self.next.wrapping_add(offset as u32));
        self.present.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    fn all_present(&self, len: usize) -> bool {
        let mut all = true;
        words(self.next, len, |word, mask| all &= self.present.get(word).is_some_and(|bits| bits & mask == mask));
        all
    }

    /// Copies octets that are all there without playing them. False: they are not.
    pub fn look_ahead(&self, to: &mut [u8]) -> bool {
        let there = self.lead(self.end) >= to.len() as i32 && self.all_present(to.len());
        if there {
            self.peek(to);
        }
        there
    }

    fn peek(&self, to: &mut [u8]) {
        let at = slot(self.next);
        let first = to.len().min(RING as usize - at);
        let (head, tail) = to.split_at_mut(first);
        for (at, part) in [(at, head), (0, tail)] {
            if let Some(from) = self.octets.get(at..at + part.len()) {
                part.copy_from_slice(from);
            }
        }
    }

    /// Moves play-out on.
    pub fn advance(&mut self, len: usize) {
        words(self.next, len, |word, mask| {
            if let Some(present) = self.present.get_mut(word) {
                *present &= !mask;
            }
        });
        self.next = self.next.wrapping_add(len as u32);
        if self.lead(self.end) < 0 {
            self.end = self.next;
        }
    }

    /// Whether play-out should go faster or slower.
    pub fn pace(&self, now: u32) -> Pace {
        if self.state != State::Playing {
            return Pace::Even;
        }
        match self.ahead(now) {
            ahead if ahead > AHEAD => Pace::Faster,
            ahead if ahead < -BEHIND => Pace::Slower,
            _ => Pace::Even,
        }
    }

    /// By how much play-out waits longer than it should.
    fn ahead(&self, now: u32) -> i32 {
        self.delay.at(now, self.next) - self.delay.target().cast_signed()
    }

    /// What play-out waits now beyond the fastest packet's time; 0 in a pause.
    pub fn delay(&self, now: u32) -> u32 {
        if self.state == State::Playing { self.delay.at(now, self.next).max(0).cast_unsigned() } else { 0 }
    }

    /// Octets that were missing when their time came, over all sources.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// How far ahead of play-out a timestamp lies.
    fn lead(&self, timestamp: u32) -> i32 {
        timestamp.wrapping_sub(self.next).cast_signed()
    }
}

fn slot(timestamp: u32) -> usize {
    (timestamp % RING) as usize
}

/// The words of the presence bits from a timestamp on, each with the bits meant.
#[inline]
fn words(timestamp: u32, len: usize, mut each: impl FnMut(usize, u64)) {
    let (mut at, mut left) = (slot(timestamp), len);
    while left > 0 {
        let bit = at % 64;
        let count = left.min(64 - bit);
        each(at / 64, (u64::MAX >> (64 - count)) << bit);
        at = (at + count) % RING as usize;
        left -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(n: u32, timestamp: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence: n as u16, timestamp, ssrc: 1 }
    }

    fn packet(n: u32) -> [u8; 160] {
        [(n % 250) as u8 + 1; 160]
    }

    /// Ticks until audio comes; how many were quiet.
    fn prime(buffer: &mut JitterBuffer, now: &mut u32, frame: &mut [u8]) -> usize {
        (0..50)
            .find(|_| {
                *now += 160;
                matches!(buffer.pop(*now, frame), Run::Audio(_))
            })
            .unwrap_or(usize::MAX)
    }

    #[test]
    fn keeps_order_over_the_wraps_and_tells_duplicates() {
        let mut buffer = JitterBuffer::new();
        let (mut frame, mut now) = ([0; FRAME], 77);
        assert_eq!(buffer.pop(now, &mut frame), Run::Quiet);
        let base = u32::MAX - 200;
        for (n, expected) in [(0, Inserted::Kept), (2, Inserted::Kept), (1, Inserted::Kept), (1, Inserted::Duplicate)] {
            let header = Header { sequence: 65_535u16.wrapping_add(n as u16), ..header(0, base.wrapping_add(n * 160)) };
            assert_eq!(buffer.insert(now, &header, &packet(n)), expected);
        }
        assert!(prime(&mut buffer, &mut now, &mut frame) <= 2);
        assert_eq!(frame, packet(0));
        for n in 1..=2 {
            now += 160;
            assert_eq!(buffer.pop(now, &mut frame), Run::Audio(FRAME));
            assert_eq!(frame, packet(n));
        }
        assert_eq!(buffer.pop(now + 160, &mut frame), Run::Gap(FRAME));
        assert_eq!(buffer.insert(now, &header(0, 5), &[]), Inserted::Refused);
        assert_eq!(buffer.insert(now, &header(0, 5), &[0; PAYLOAD_MAX + 1]), Inserted::Refused);
    }

    /// Sends packets of 20 ms by a plan of (number, arrival in frames); returns what each of so many ticks said.
    fn play(plan: &[(u32, u32)], ticks: u32) -> (Vec<Run>, JitterBuffer) {
        let mut buffer = JitterBuffer::new();
        let mut frame = [0; FRAME];
        let runs = (0..ticks).map(|tick| {
            for &(n, _) in plan.iter().filter(|(_, at)| *at == tick) {
                buffer.insert(tick * 160, &header(n, n * 160), &packet(n));
            }
            buffer.pop(tick * 160 + 80, &mut frame)
        });
        let runs = runs.collect();
        (runs, buffer)
    }

    #[test]
    fn a_lost_packet_is_a_gap_of_its_length() {
        let plan: Vec<_> = (0..50).filter(|&n| n != 20 && n != 30 && n != 31).map(|n| (n, n)).collect();
        let (runs, buffer) = play(&plan, 50);
        assert_eq!(runs.iter().filter(|run| matches!(run, Run::Gap(_))).count(), 3);
        assert_eq!(buffer.missing(), 480);
    }

    #[test]
    fn a_late_packet_is_waited_for_when_the_buffer_is_dry() {
        // All packets from the 20th on 80 ms later than before.
        let plan: Vec<_> = (0..60).map(|n| (n, if n < 20 { n } else { n + 4 })).collect();
        let (runs, buffer) = play(&plan, 60);
        let gaps = runs.iter().filter(|run| matches!(run, Run::Gap(_))).count();
        assert!((2..=4).contains(&gaps), "{gaps}");
        assert_eq!(runs.last(), Some(&Run::Audio(FRAME)), "nothing was thrown away");
        assert_eq!(buffer.missing(), gaps as u64 * 160);
    }

    #[test]
    fn a_pause_is_no_loss() {
        // 10 packets, a pause of a second in the timestamp, no hole in the sequence.
        let mut buffer = JitterBuffer::new();
        let mut frame = [0; FRAME];
        for tick in 0..120u32 {
            let n = if tick < 10 { tick } else { tick.saturating_sub(50) };
            if !(10..60).contains(&tick) {
                buffer.insert(tick * 160, &header(n, tick * 160), &packet(n));
            }
            let run = buffer.pop(tick * 160 + 80, &mut frame);
            assert!(tick < 63 || run == Run::Audio(FRAME), "tick {tick}: {run:?}");
        }
        assert_eq!(buffer.missing(), 0);
        // Told by comfort noise, it is none from its beginning.
        let missing = buffer.missing();
        buffer.pause();
        for tick in 120..200u32 {
            buffer.pop(tick * 160 + 80, &mut frame);
        }
        assert_eq!(buffer.missing(), missing);
    }

    #[test]
    fn jumps_of_the_timestamp_start_anew_and_the_delay_is_bounded() {
        let mut buffer = JitterBuffer::new();
        let (mut frame, mut now) = ([0; FRAME], 0);
        let mut timestamp = 0u32;
        for n in 0..2_000u32 {
            if n % 400 == 399 {
                timestamp = timestamp.wrapping_add(if n % 800 == 799 { 480_000 } else { 4_000_000_000 });
            }
            buffer.insert(now, &header(n, timestamp), &packet(n));
            timestamp = timestamp.wrapping_add(160);
            now += 160;
            buffer.pop(now, &mut frame);
            assert!(buffer.delay(now) <= MOST + FRAME as u32);
        }
        assert!(buffer.missing() < 4 * 480, "{}", buffer.missing());
    }
}
