//! The line being typed: echo, erasing, and what else a terminal sends.

/// Longest line, in octets; more is not taken, and the bell rings.
pub(super) const LINE_MAX: usize = 128;

/// Longest control sequence that is skipped; what follows counts as typed.
const SEQUENCE_MAX: u8 = 16;

const BELL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;
const CTRL_C: u8 = 0x03;
const CTRL_U: u8 = 0x15;
/// Back, overwrite, back.
const RUBOUT: &[u8] = b"\x08 \x08";

/// What an octet means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    /// A printable ASCII character.
    Char(u8),
    /// The line is complete: CR, LF or CR LF.
    Enter,
    /// Takes the last character back.
    Erase,
    /// Takes the whole line back.
    EraseLine,
    /// Abandons the line.
    Cancel,
    /// A key without a meaning, or noise.
    Other,
    /// Belongs to the key before: the LF of a CR LF, the rest of a control sequence.
    Rest,
}

/// Where in a control sequence (ECMA-48 5.4, and SS3) the last octet was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Sequence {
    #[default]
    None,
    /// After ESC.
    Escape,
    /// After ESC O: one more.
    Single,
    /// After ESC [, and so many octets.
    Control(u8),
}

/// A line of at most [`LINE_MAX`] printable ASCII characters.
#[derive(Default, Debug)]
pub(super) struct Editor {
    line: String,
    after_cr: bool,
    sequence: Sequence,
}

impl Editor {
    /// What is typed so far.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Takes an octet and edits nothing yet.
    pub fn key(&mut self, octet: u8) -> Key {
        let after_cr = std::mem::replace(&mut self.after_cr, octet == b'\r');
        let (sequence, key) = match (self.sequence, octet) {
            (Sequence::Escape, b'[') => (Sequence::Control(0), Key::Rest),
            (Sequence::Escape, b'O') => (Sequence::Single, Key::Rest),
            (Sequence::Single, b' '..=b'~') => (Sequence::None, Key::Rest),
            // Parameter and intermediate octets, then a final one.
            (Sequence::Control(n), b' '..=b'?') if n < SEQUENCE_MAX => (Sequence::Control(n + 1), Key::Rest),
            (Sequence::Control(_), b'@'..=b'~') => (Sequence::None, Key::Rest),
            (_, ESCAPE) => (Sequence::Escape, Key::Other),
            (_, b'\n') if after_cr => (Sequence::None, Key::Rest),
            (_, b'\r' | b'\n') => (Sequence::None, Key::Enter),
            (_, BACKSPACE | DELETE) => (Sequence::None, Key::Erase),
            (_, CTRL_U) => (Sequence::None, Key::EraseLine),
            (_, CTRL_C) => (Sequence::None, Key::Cancel),
            (_, b' '..=b'~') => (Sequence::None, Key::Char(octet)),
            _ => (Sequence::None, Key::Other),
        };
        self.sequence = sequence;
        key
    }

    /// Edits by a key and echoes it. The line, once it is complete; empty when abandoned.
    pub fn edit(&mut self, key: Key, echo: &mut Vec<u8>) -> Option<String> {
        match key {
            Key::Char(_) if self.line.len() >= LINE_MAX => echo.push(BELL),
            Key::Char(c) => {
                self.line.push(char::from(c));
                echo.push(c);
            }
            Key::Erase => {
                if self.line.pop().is_some() {
                    echo.extend_from_slice(RUBOUT);
                }
            }
            Key::EraseLine => {
                echo.extend(RUBOUT.repeat(self.line.len()));
                self.line.clear();
            }
            Key::Cancel => {
                echo.extend_from_slice(b"^C\r\n");
                self.line.clear();
                return Some(String::new());
            }
            Key::Enter => {
                echo.extend_from_slice(b"\r\n");
                return Some(std::mem::take(&mut self.line));
            }
            Key::Other | Key::Rest => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types octets; the lines that come of it, and the echo.
    fn typed(octets: &[u8]) -> (Vec<String>, Vec<u8>, Editor) {
        let (mut editor, mut echo, mut lines) = (Editor::default(), Vec::new(), Vec::new());
        for octet in octets {
            let key = editor.key(*octet);
            lines.extend(editor.edit(key, &mut echo));
        }
        (lines, echo, editor)
    }

    #[test]
    fn every_line_end_ends_one_line() {
        assert_eq!(typed(b"a\rb\nc\r\nd").0, ["a", "b", "c"]);
        assert_eq!(typed(b"\r\n\r\n\n\r").0.len(), 4);
    }

    #[test]
    fn erasing_takes_back_no_more_than_was_typed() {
        let (lines, echo, _) = typed(b"ab\x08\x7f\x7fc\r");
        assert_eq!((lines, echo), (vec!["c".to_owned()], b"ab\x08 \x08\x08 \x08c\r\n".to_vec()));
        assert_eq!(typed(b"status\x15calls\r").0, ["calls"]);
        assert_eq!(typed(b"stat\x03calls\r").0, ["", "calls"]);
    }

    #[test]
    fn control_sequences_and_noise_type_nothing() {
        assert_eq!(typed(b"s\x1b[At\x1bOP\x1b[15;2~\x00\x80\xff\x04a\r").0, ["sta"]);
        // A sequence that never ends is given up.
        let endless = [b"\x1b[".as_slice(), &[b';'; 40], b"\r"].concat();
        assert_eq!(typed(&endless).0, [";".repeat(40 - usize::from(SEQUENCE_MAX))]);
    }

    #[test]
    fn an_overlong_line_is_cut_and_the_bell_rings() {
        let (_, echo, editor) = typed(&[b'x'; LINE_MAX + 3]);
        assert_eq!(editor.line().len(), LINE_MAX);
        assert!(echo.ends_with(&[b'x', BELL, BELL, BELL]));
    }

    #[test]
    fn a_key_of_several_octets_is_one_key() {
        let mut editor = Editor::default();
        let keys: Vec<Key> = b"\r\n\x1b[A".iter().map(|o| editor.key(*o)).collect();
        assert_eq!(keys, [Key::Enter, Key::Rest, Key::Other, Key::Rest, Key::Rest]);
    }
}
