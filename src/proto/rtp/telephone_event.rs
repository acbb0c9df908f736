//! RTP payload for telephony events (RFC 4733).

/// The last DTMF event code: 0-9, `*`, `#`, A-D are 0..=15 (RFC 4733 section 3.2, table 3).
const DTMF_LAST: u8 = 15;
const DTMF: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// One event as it stands in a payload (RFC 4733 section 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TelephoneEvent {
    /// Event code.
    pub event: u8,
    /// Whether this packet ends the event.
    pub end: bool,
    /// Power level in dBm0 without its sign, 0..=63.
    pub volume: u8,
    /// Duration so far, in timestamp units.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Octets of one event.
    pub const LEN: usize = 4;

    /// Reads the first event of a payload. Further events of the same payload (RFC 4733 section 2.5.1.5) are not
    /// looked at: DTMF senders do not pack.
    pub fn read(payload: &[u8]) -> Option<TelephoneEvent> {
        let &[event, flags, d0, d1] = payload.first_chunk()?;
        Some(TelephoneEvent {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([d0, d1]),
        })
    }

    /// The payload of this event.
    pub fn to_octets(&self) -> [u8; Self::LEN] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | (self.volume & 0x3f), d0, d1]
    }
}

/// The digit of an event code; `None` for codes other than DTMF.
pub fn digit(event: u8) -> Option<char> {
    DTMF.get(usize::from(event)).copied()
}

/// The event code of a digit `0-9*#A-D` (small letters too).
pub fn code(digit: char) -> Option<u8> {
    (0..=DTMF_LAST).find(|&event| self::digit(event) == Some(digit.to_ascii_uppercase()))
}

/// Tells new events from further packets of known ones. Packets of one event share its RTP timestamp (RFC 4733
/// section 2.2), and the last one is sent three times (section 2.5.1.4).
#[derive(Clone, Copy, Default, Debug)]
pub struct EventReceiver {
    last: Option<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    ssrc: u32,
    timestamp: u32,
    event: TelephoneEvent,
}

/// A packet this far behind the newest event, in timestamp units, belongs to a sender that started anew rather than
/// to a reordered network: 5 s.
const REORDERED_MAX: u32 = 40_000;

impl EventReceiver {
    /// Takes an event packet; returns the digit if this is the first packet of a DTMF event, whichever of its packets
    /// that is (the first ones may be lost).
    pub fn receive(&mut self, ssrc: u32, timestamp: u32, event: TelephoneEvent) -> Option<char> {
        let digit = digit(event.event)?;
        if let Some(last) = &mut self.last
            && last.ssrc == ssrc
        {
            let behind = last.timestamp.wrapping_sub(timestamp);
            if behind == 0 {
                if event.duration > last.event.duration || event.end {
                    last.event = event;
                }
                return None;
            }
            if behind <= REORDERED_MAX {
                return None;
            }
            // RFC 4733 section 2.5.2.3: a segment of a long event starts where the segment before it ended, and only
            // the last segment carries the end bit.
            let follows = timestamp.wrapping_sub(last.timestamp) == u32::from(last.event.duration);
            if follows && last.event.event == event.event && !last.event.end {
                *last = Seen { ssrc, timestamp, event };
                return None;
            }
        }
        self.last = Some(Seen { ssrc, timestamp, event });
        Some(digit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(code: u8, duration: u16, end: bool) -> TelephoneEvent {
        TelephoneEvent { event: code, end, volume: 10, duration }
    }

    #[test]
    fn digits_and_codes_agree() {
        for (index, digit) in "0123456789*#ABCD".chars().enumerate() {
            assert_eq!(code(digit), u8::try_from(index).ok());
            assert_eq!(self::digit(index as u8), Some(digit));
        }
        assert_eq!(code('d'), Some(15));
        assert_eq!(code('E'), None);
        assert_eq!(digit(16), None, "flash is no digit");
    }

    #[test]
    fn payload_is_that_of_figure_1() {
        let octets = TelephoneEvent { event: 11, end: true, volume: 10, duration: 800 }.to_octets();
        assert_eq!(octets, [11, 0x80 | 10, 3, 0x20]);
        assert_eq!(TelephoneEvent::read(&octets).map(|e| e.to_octets()), Some(octets));
        assert_eq!(TelephoneEvent::read(&octets[..3]), None);
    }

    #[test]
    fn an_event_counts_once() {
        let mut receiver = EventReceiver::default();
        assert_eq!(receiver.receive(1, 1_000, event(5, 160, false)), Some('5'));
        assert_eq!(receiver.receive(1, 1_000, event(5, 320, false)), None);
        for _ in 0..3 {
            assert_eq!(receiver.receive(1, 1_000, event(5, 480, true)), None);
        }
        assert_eq!(receiver.receive(1, 2_000, event(5, 160, false)), Some('5'), "pressed again");
        assert_eq!(receiver.receive(1, 1_000, event(5, 480, true)), None, "reordered");
    }

    #[test]
    fn only_the_end_packet_arrives() {
        let mut receiver = EventReceiver::default();
        assert_eq!(receiver.receive(1, 1_000, event(10, 800, true)), Some('*'));
    }

    #[test]
    fn segments_of_a_long_event_are_one_digit() {
        let mut receiver = EventReceiver::default();
        assert_eq!(receiver.receive(1, 0, event(1, 0xffff, false)), Some('1'));
        assert_eq!(receiver.receive(1, 0xffff, event(1, 160, false)), None);
        assert_eq!(receiver.receive(1, 0xffff, event(1, 320, true)), None);
        assert_eq!(receiver.receive(1, 0xffff + 320, event(1, 160, false)), Some('1'), "after an end it is a new one");
    }

    #[test]
    fn another_source_starts_anew() {
        let mut receiver = EventReceiver::default();
        assert_eq!(receiver.receive(1, 1_000, event(2, 160, true)), Some('2'));
        assert_eq!(receiver.receive(2, 1_000, event(2, 160, true)), Some('2'));
        assert_eq!(receiver.receive(2, 1_000u32.wrapping_sub(80_000), event(2, 160, true)), Some('2'), "restarted");
        assert_eq!(receiver.receive(2, 5_000, event(16, 160, true)), None, "not a digit");
    }
}
