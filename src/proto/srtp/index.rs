//! Packet indices: the estimate of those 32 bits that a packet does not carry, and what was there before.

/// Packets behind the newest one of which it is known whether they were there (RFC 3711 section 3.3.2: at least 64).
const WINDOW: u64 = 128;

/// Sources of one stream that are remembered. A source stays the same for a call; only who knows the key can make
/// others, and the one that was silent longest is forgotten.
const SOURCES: usize = 4;

/// What is known of one SSRC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    ssrc: u32,
    /// Index of the newest packet: rollover counter and sequence number in RTP, 31 bits in RTCP.
    highest: u64,
    /// Bit n: the packet n before the newest one was there.
    seen: u128,
}

impl Source {
    /// The index that a sequence number most likely stands for (RFC 3711 appendix A); `None` before the first one.
    pub fn estimate(&self, sequence: u16) -> Option<u64> {
        let step = sequence.wrapping_sub(self.highest as u16).cast_signed();
        self.highest.checked_add_signed(i64::from(step))
    }

    /// Whether a packet with this index is new.
    pub fn is_new(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(behind) => behind < WINDOW && self.seen >> behind & 1 == 0,
        }
    }

    /// Notes that a packet was there.
    pub fn note(&mut self, index: u64) {
        match index.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            Some(ahead) => {
                self.seen = if ahead < WINDOW { self.seen << ahead | 1 } else { 1 };
                self.highest = index;
            }
            None => {
                let behind = self.highest - index;
                if behind < WINDOW {
                    self.seen |= 1 << behind;
                }
            }
        }
    }

    /// Rollover counter of the newest packet.
    pub fn rollover(&self) -> u64 {
        self.highest >> 16
    }
}

/// The sources of a stream, newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    known: [Option<Source>; SOURCES],
}

impl Sources {
    /// A source that was there before.
    #[inline]
    pub fn find(&self, ssrc: u32) -> Option<&Source> {
        self.known.iter().flatten().find(|source| source.ssrc == ssrc)
    }

    /// The index that a packet most likely has, if it is new.
    #[inline]
    pub fn index_of(&self, ssrc: u32, sequence: u16) -> Option<u64> {
        let Some(source) = self.find(ssrc) else { return Some(sequence.into()) };
        source.estimate(sequence).filter(|&index| source.is_new(index))
    }

    /// Notes an authentic packet.
    #[inline]
    pub fn note(&mut self, ssrc: u32, index: u64) {
        if let Some(Some(first)) = self.known.first_mut()
            && first.ssrc == ssrc
        {
            first.note(index);
            return;
        }
        self.note_other(ssrc, index);
    }

    #[cold]
    fn note_other(&mut self, ssrc: u32, index: u64) {
        let place = self.known.iter().position(|source| source.is_some_and(|source| source.ssrc == ssrc));
        let mut source =
            place.and_then(|place| *self.known.get(place)?).unwrap_or(Source { ssrc, highest: index, seen: 1 });
        source.note(index);
        // What was before it moves one place back; without a place of its own, the last one is forgotten.
        if let Some(moved) = self.known.get_mut(..=place.unwrap_or(SOURCES - 1)) {
            moved.rotate_right(1);
        }
        if let Some(first) = self.known.first_mut() {
            *first = Some(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(highest: u64) -> Source {
        Source { ssrc: 1, highest, seen: 1 }
    }

    #[test]
    fn estimates_follow_appendix_a() {
        // Around the newest one, over both rollovers.
        assert_eq!(source(10).estimate(11), Some(11));
        assert_eq!(source(10).estimate(9), Some(9));
        assert_eq!(source(0xffff).estimate(0), Some(0x1_0000));
        assert_eq!(source(0x1_0001).estimate(0xffff), Some(0xffff));
        assert_eq!(source(0x5_8000).estimate(0xffff), Some(0x5_ffff));
        assert_eq!(source(3).estimate(0xfff0), None, "before the beginning");
    }

    #[test]
    fn the_window_takes_each_index_once() {
        let mut source = source(1_000);
        assert!(!source.is_new(1_000));
        for index in [1_001, 1_003, 1_002, 1_128, 1_001 + 127] {
            assert_eq!(source.is_new(index), index != 1_128 || source.highest != 1_128, "{index}");
            source.note(index);
            assert!(!source.is_new(index), "{index}");
        }
        assert!(!source.is_new(1_000), "too old to tell");
        assert!(source.is_new(1_004), "late, but within the window");
        source.note(1_000_000);
        assert!(!source.is_new(1_128) && source.is_new(999_999));
    }

    #[test]
    fn the_source_that_was_silent_longest_is_forgotten() {
        let mut sources = Sources::default();
        for ssrc in 1..=4 {
            sources.note(ssrc, 7);
        }
        sources.note(1, 8);
        sources.note(5, 1);
        assert!(sources.find(2).is_none());
        assert!(sources.find(1).is_some_and(|source| source.highest == 8 && !source.is_new(7)));
        assert!([3, 4, 5].iter().all(|ssrc| sources.find(*ssrc).is_some()));
    }
}
