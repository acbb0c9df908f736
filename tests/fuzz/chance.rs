//! Octets as a source of choices, and what can be done to a valid input by them.

/// Makes choices out of octets, first to last. When they are used up every choice is the first, and nothing is likely:
/// loops that ask [`Chance::is_spent`] end.
pub struct Chance<'a> {
    octets: &'a [u8],
}

/// Numbers at the edges of what fields hold.
const EXTREMES: [&[u8]; 18] = [
    b"",
    b"0",
    b"1",
    b"-1",
    b"127",
    b"128",
    b"255",
    b"256",
    b"65535",
    b"65536",
    b"2147483647",
    b"2147483648",
    b"4294967295",
    b"4294967296",
    b"9223372036854775808",
    b"18446744073709551616",
    b"1e999",
    b"0000000000000000000000000000001",
];

/// Octets that mean something in one of the grammars.
const MARKS: &[u8] = b"\r\n\t\0 ;,:<>\"@%=#/*+-[]{}()'\\?\xff\x80";

/// A bent input is cut to so many octets: some more than a datagram holds.
const LEN_MAX: usize = 70_000;

impl<'a> Chance<'a> {
    /// All choices from these octets.
    pub fn new(octets: &'a [u8]) -> Self {
        Self { octets }
    }

    /// Whether no octet is left.
    pub fn is_spent(&self) -> bool {
        self.octets.is_empty()
    }

    /// 0..=255.
    pub fn octet(&mut self) -> u8 {
        match self.octets.split_first() {
            Some((&first, rest)) => {
                self.octets = rest;
                first
            }
            None => 0,
        }
    }

    /// 0..=4294967295.
    pub fn word(&mut self) -> u32 {
        u32::from_be_bytes([self.octet(), self.octet(), self.octet(), self.octet()])
    }

    /// Less than `n`, which is at most 65,536; zero when `n` is.
    pub fn below(&mut self, n: usize) -> usize {
        match n {
            0 | 1 => 0,
            2..=256 => usize::from(self.octet()) % n,
            _ => usize::from(u16::from_be_bytes([self.octet(), self.octet()])) % n,
        }
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        !self.is_spent() && self.below(n) == n - 1
    }

    /// One of these, of which there must be some.
    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    /// Up to `len_max` octets as they are.
    pub fn take(&mut self, len_max: usize) -> &'a [u8] {
        let len = self.below(len_max + 1).min(self.octets.len());
        let (taken, rest) = self.octets.split_at(len);
        self.octets = rest;
        taken
    }

    /// One of the corpus, mostly bent.
    pub fn bent(&mut self, corpus: &[Vec<u8>], words: &[&[u8]]) -> Vec<u8> {
        let mut input = self.pick(corpus).clone();
        for _ in 0..self.below(6) {
            self.bend(&mut input, words);
        }
        if self.one_in(8) {
            let other = self.pick(corpus);
            let (at, from) = (self.below(input.len() + 1), self.below(other.len() + 1));
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        input
    }

    /// Bent text as a text again.
    pub fn bent_text(&mut self, corpus: &[Vec<u8>], words: &[&[u8]]) -> String {
        String::from_utf8_lossy(&self.bent(corpus, words)).into_owned()
    }

    /// Changes one thing.
    pub fn bend(&mut self, input: &mut Vec<u8>, words: &[&[u8]]) {
        let at = self.below(input.len().min(65_535));
        match self.below(12) {
            0 => {
                if let Some(octet) = input.get_mut(at) {
                    *octet ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(octet) = input.get_mut(at) {
                    *octet = self.octet();
                }
            }
            2 => input.insert(at, *self.pick(MARKS)),
            3 => drop(input.drain(at..(at + self.below(40)).min(input.len()))),
            4 => {
                let part = input[at..(at + self.below(80)).min(input.len())].to_vec();
                insert(input, self.below(input.len() + 1), &part);
            }
            5 => input.truncate(at),
            6 | 7 => self.number(input),
            8 if !words.is_empty() => {
                let word: &&[u8] = self.pick(words);
                insert(input, at, word);
            }
            9 => self.repeat_line(input),
            10 => self.drop_line(input),
            _ => insert(input, at, self.take(16)),
        }
        input.truncate(LEN_MAX);
    }

    /// Puts an extreme in the place of a number.
    fn number(&mut self, input: &mut Vec<u8>) {
        let is_start = |at: usize| input[at].is_ascii_digit() && (at == 0 || !input[at - 1].is_ascii_digit());
        let starts: Vec<usize> = (0..input.len()).filter(|&at| is_start(at)).collect();
        if starts.is_empty() {
            return;
        }
        let start = *self.pick(&starts);
        let end = input[start..].iter().position(|octet| !octet.is_ascii_digit()).map_or(input.len(), |n| start + n);
        input.splice(start..end, self.pick(&EXTREMES).iter().copied());
    }

    /// Copies a line somewhere, once or often.
    fn repeat_line(&mut self, input: &mut Vec<u8>) {
        let (start, end) = self.line(input);
        let times = if self.one_in(8) { 1 + self.below(300) } else { 1 };
        let lines = input[start..end].repeat(times.min(LEN_MAX / (end - start).max(1)));
        let to = self.line(input).0;
        insert(input, to, &lines);
    }

    fn drop_line(&mut self, input: &mut Vec<u8>) {
        let (start, end) = self.line(input);
        input.drain(start..end);
    }

    /// Start and end of some line, its end mark included.
    fn line(&mut self, input: &[u8]) -> (usize, usize) {
        let at = self.below(input.len().min(65_535));
        let start = input[..at].iter().rposition(|&octet| octet == b'\n').map_or(0, |n| n + 1);
        let end = input[at..].iter().position(|&octet| octet == b'\n').map_or(input.len(), |n| at + n + 1);
        (start, end)
    }
}

fn insert(input: &mut Vec<u8>, at: usize, part: &[u8]) {
    input.splice(at..at, part.iter().copied());
}
