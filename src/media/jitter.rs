//! Jitter buffer for 8 kHz companded audio: packets of any length in, frames of 20 ms out.
//!
//! Octets lie in a ring at their RTP timestamp, with one bit each for presence; so reordering, duplicates, any packet
//! time and lost packets need no cases of their own. The play-out delay starts at 40 to 60 ms, grows when the buffer
//! runs dry (play-out waits for the late packet), and shrinks by one frame when it was longer than needed for two seconds.

use crate::media::{FRAME, Octets};

/// Octets (and timestamp units) in the ring: 512 ms.
const RING: u32 = 4_096;
/// Play-out starts so far behind the first packet: 40 ms, to which the wait for the next tick adds up to 20 ms.
const START_DELAY: u32 = 320;
/// A packet may be at most this far ahead of play-out (300 ms); beyond, the buffer starts anew.
const LEAD_MAX: i32 = 2_400;
/// Largest packet taken: 60 ms.
pub const PAYLOAD_MAX: usize = 480;
/// After so many empty frames in a row the next packet starts a new talkspurt.
const DRY_MAX: u8 = 10;
/// Frames between two decisions to shorten the delay: 2 s.
const WINDOW: u16 = 100;
/// Late packets in one window that make the delay one frame longer.
const LATE_MAX: u8 = 3;
/// A least lead above this during a window means that the delay is longer than needed: one frame over the start delay.
const LEAD_SPARE: i32 = (START_DELAY + FRAME as u32) as i32;

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

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Popped {
    /// Some or all octets.
    Audio,
    /// A gap inside a talkspurt: conceal it.
    Gap,
    /// Nothing to play: before the first packet, or after the last for long.
    Idle,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    octets: [u8; RING as usize],
    present: [u64; RING as usize / 64],
    /// Timestamp of the next octet to play.
    next: u32,
    /// Timestamp after the newest octet.
    end: u32,
    running: bool,
    dry: u8,
    window: u16,
    least_lead: i32,
    late: u8,
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
            running: false,
            dry: 0,
            window: 0,
            least_lead: i32::MAX,
            late: 0,
        }
    }

    /// Forgets everything: another source begins.
    pub fn reset(&mut self) {
        self.present = [0; RING as usize / 64];
        self.running = false;
    }

    /// Takes a packet's payload.
    pub fn insert(&mut self, timestamp: u32, payload: &[u8]) -> Inserted {
        if payload.is_empty() || payload.len() > PAYLOAD_MAX {
            return Inserted::Refused;
        }
        let len = payload.len() as u32;
        let restart = !self.running || (self.dry >= DRY_MAX) || self.lead(timestamp) > LEAD_MAX;
        if restart {
            self.start(timestamp);
        }
        let mut lead = self.lead(timestamp);
        if lead.saturating_add(len.cast_signed()) <= 0 {
            // A sender that set its clock back would be late for ever.
            if lead < -LEAD_MAX * 2 {
                self.start(timestamp);
                lead = self.lead(timestamp);
            } else {
                self.count_late();
                return Inserted::Late;
            }
        }
        self.least_lead = self.least_lead.min(lead);
        let skipped = u32::try_from(-lead).unwrap_or(0);
        self.store(timestamp.wrapping_add(skipped), payload.get(skipped as usize..).unwrap_or_default())
    }

    fn store(&mut self, timestamp: u32, payload: &[u8]) -> Inserted {
        let mut added = false;
        for (offset, &octet) in (0u32..).zip(payload) {
            let at = slot(timestamp.wrapping_add(offset));
            let (word, bit) = (at / 64, 1u64 << (at % 64));
            if let (Some(to), Some(present)) = (self.octets.get_mut(at), self.present.get_mut(word)) {
                added |= *present & bit == 0;
                *present |= bit;
                *to = octet;
            }
        }
        let end = timestamp.wrapping_add(payload.len() as u32);
        if end.wrapping_sub(self.end).cast_signed() > 0 {
            self.end = end;
        }
        if added { Inserted::Kept } else { Inserted::Duplicate }
    }

    /// Takes the next 20 ms into `frame`; octets that are missing are `silence`.
    pub fn pop(&mut self, silence: u8, frame: &mut Octets) -> Popped {
        frame.fill(silence);
        if !self.running {
            return Popped::Idle;
        }
        self.adapt();
        // Dry: play-out stands still, so the delay grows by as much as the packet is late.
        if self.end.wrapping_sub(self.next).cast_signed() <= 0 {
            self.dry = self.dry.saturating_add(1);
            return if self.dry > DRY_MAX { Popped::Idle } else { Popped::Gap };
        }
        self.dry = 0;
        let mut present = false;
        for (offset, to) in (0u32..).zip(frame.iter_mut()) {
            let at = slot(self.next.wrapping_add(offset));
            let (word, bit) = (at / 64, 1u64 << (at % 64));
            if let (Some(&octet), Some(bits)) = (self.octets.get(at), self.present.get_mut(word))
                && *bits & bit != 0
            {
                *bits &= !bit;
                *to = octet;
                present = true;
            }
        }
        self.next = self.next.wrapping_add(FRAME as u32);
        if present { Popped::Audio } else { Popped::Gap }
    }

    fn start(&mut self, timestamp: u32) {
        self.present = [0; RING as usize / 64];
        self.next = timestamp.wrapping_sub(START_DELAY);
        self.end = timestamp;
        self.running = true;
        self.dry = 0;
        self.begin_window();
    }

    fn begin_window(&mut self) {
        self.window = 0;
        self.least_lead = i32::MAX;
        self.late = 0;
    }

    fn adapt(&mut self) {
        self.window += 1;
        if self.window < WINDOW {
            return;
        }
        if self.least_lead != i32::MAX && self.least_lead > LEAD_SPARE {
            self.discard_frame();
        }
        self.begin_window();
    }

    fn discard_frame(&mut self) {
        for offset in 0..FRAME as u32 {
            let at = slot(self.next.wrapping_add(offset));
            if let Some(bits) = self.present.get_mut(at / 64) {
                *bits &= !(1u64 << (at % 64));
            }
        }
        self.next = self.next.wrapping_add(FRAME as u32);
    }

    fn count_late(&mut self) {
        self.late = self.late.saturating_add(1);
        if self.late >= LATE_MAX {
            // Play-out steps back one frame; the octets there were played already, so a gap is concealed.
            self.next = self.next.wrapping_sub(FRAME as u32);
            self.begin_window();
        }
    }

    /// How far ahead of play-out a timestamp lies.
    fn lead(&self, timestamp: u32) -> i32 {
        timestamp.wrapping_sub(self.next).cast_signed()
    }
}

fn slot(timestamp: u32) -> usize {
    (timestamp % RING) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: u8 = 0xff;

    fn packet(n: u32) -> [u8; 160] {
        [(n % 250) as u8 + 1; 160]
    }

    /// Octets between play-out and the newest one: the delay in timestamp units.
    fn depth(buffer: &JitterBuffer) -> i32 {
        buffer.end.wrapping_sub(buffer.next).cast_signed()
    }

    /// Pops until audio comes; returns how many frames were empty before it.
    fn prime(buffer: &mut JitterBuffer, frame: &mut Octets) -> usize {
        (0..).find(|_| buffer.pop(SILENCE, frame) == Popped::Audio).unwrap_or(0)
    }

    #[test]
    fn starts_two_frames_behind_and_keeps_order() {
        let mut buffer = JitterBuffer::new();
        let mut frame = [0; FRAME];
        assert_eq!(buffer.pop(SILENCE, &mut frame), Popped::Idle);
        // Reordered, across the wrap of the timestamp.
        let base = u32::MAX - 200;
        assert_eq!(buffer.insert(base, &packet(0)), Inserted::Kept);
        assert_eq!(buffer.insert(base.wrapping_add(320), &packet(2)), Inserted::Kept);
        assert_eq!(buffer.insert(base.wrapping_add(160), &packet(1)), Inserted::Kept);
        assert_eq!(buffer.insert(base.wrapping_add(160), &packet(1)), Inserted::Duplicate);
        assert_eq!(prime(&mut buffer, &mut frame), 2);
        assert_eq!(frame, packet(0));
        for n in 1..=2 {
            assert_eq!(buffer.pop(SILENCE, &mut frame), Popped::Audio);
            assert_eq!(frame, packet(n));
        }
        assert_eq!(buffer.pop(SILENCE, &mut frame), Popped::Gap);
    }

    #[test]
    fn a_lost_packet_is_a_gap() {
        let mut buffer = JitterBuffer::new();
        let mut frame = [0; FRAME];
        for n in [0u32, 2] {
            buffer.insert(n * 160, &packet(n));
        }
        prime(&mut buffer, &mut frame);
        assert_eq!(buffer.pop(SILENCE, &mut frame), Popped::Gap);
        assert_eq!(buffer.pop(SILENCE, &mut frame), Popped::Audio);
        assert_eq!(frame, packet(2));
    }

    #[test]
    fn any_packet_time_becomes_frames() {
        for len in [80usize, 240, 320, 480, 33] {
            let mut buffer = JitterBuffer::new();
            let mut frame = [0; FRAME];
            let mut sent = 0u32;
            let mut played = Vec::new();
            for _ in 0..100 {
                while sent < played.len() as u32 + 640 {
                    let payload: Vec<u8> = (0..len as u32).map(|k| ((sent + k) % 251) as u8).collect();
                    assert_eq!(buffer.insert(sent, &payload), Inserted::Kept, "{len}");
                    sent += len as u32;
                }
                if buffer.pop(SILENCE, &mut frame) == Popped::Audio {
                    played.extend(frame);
                }
            }
            assert!(played.len() > 10_000, "{len}");
            assert!(played.iter().enumerate().all(|(k, &octet)| octet == (k % 251) as u8), "{len}");
        }
    }

    #[test]
    fn a_late_packet_is_waited_for_when_the_buffer_is_dry() {
        let mut buffer = JitterBuffer::new();
        let mut frame = [0; FRAME];
        buffer.insert(0, &packet(0));
        prime(&mut buffer, &mut frame);
        assert_eq!(buffer.pop(SILENCE, &mut frame), Popped::Gap);
        assert_eq!(buffer.insert(160, &packet(1)), Inserted::Kept);
        assert_eq!(buffer.pop(SILENCE, &mut frame), Popped::Audio);
        assert_eq!(frame, packet(1));
    }

    #[test]
    fn the_delay_is_bounded_and_shrinks() {
        let mut buffer = JitterBuffer::new();
        let mut frame = [0; FRAME];
        // A burst of 200 ms at once, then one packet a frame.
        for n in 0..10u32 {
            buffer.insert(n * 160, &packet(n));
        }
        for n in 10..2_000u32 {
            buffer.pop(SILENCE, &mut frame);
            buffer.insert(n * 160, &packet(n));
        }
        assert!(depth(&buffer) <= LEAD_SPARE + FRAME as i32, "{}", depth(&buffer));
        // A jump ahead starts anew rather than waiting a minute.
        buffer.insert(2_000 * 160 + 480_000, &packet(1));
        assert_eq!(depth(&buffer), LEAD_SPARE);
        // A jump back, too.
        buffer.insert(7, &packet(1));
        assert_eq!(depth(&buffer), LEAD_SPARE);
    }

    #[test]
    fn repeated_lateness_lengthens_the_delay() {
        let mut buffer = JitterBuffer::new();
        let mut frame = [0; FRAME];
        let mut late = 0;
        // Even packets come in time, odd ones 100 ms later.
        for tick in 0..400u32 {
            if tick % 2 == 0 {
                buffer.insert(tick * 160, &packet(tick));
            } else if tick >= 7 && buffer.insert((tick - 6) * 160, &packet(tick)) == Inserted::Late {
                late += 1;
            }
            buffer.pop(SILENCE, &mut frame);
        }
        assert!((1..=20).contains(&late), "{late} late packets: the delay did not follow");
    }

    #[test]
    fn silence_for_long_restarts_the_delay() {
        let mut buffer = JitterBuffer::new();
        let mut frame = [0; FRAME];
        buffer.insert(0, &packet(0));
        prime(&mut buffer, &mut frame);
        for _ in 0..DRY_MAX {
            assert_eq!(buffer.pop(SILENCE, &mut frame), Popped::Gap);
        }
        assert_eq!(buffer.pop(SILENCE, &mut frame), Popped::Idle);
        buffer.insert(160 * 12, &packet(1));
        assert_eq!(prime(&mut buffer, &mut frame), 2, "a talkspurt begins with the full delay");
        assert_eq!(buffer.insert(0, &[]), Inserted::Refused);
        assert_eq!(buffer.insert(0, &[0; PAYLOAD_MAX + 1]), Inserted::Refused);
    }
}
