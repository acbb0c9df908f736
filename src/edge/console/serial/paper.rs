//! Text as a plain terminal takes it, and as much of it as a bystander may read.

/// Columns used. One less than a terminal of 80 has: many of them start a new line by themselves after the last.
pub(super) const COLUMNS: usize = 79;

/// What the rest of a long line begins with.
const INDENT: &str = "  ";

/// Adds `text` to `out`: ASCII, lines folded at [`COLUMNS`] and ended by CR LF, at most `lines_max` of them. Returns how
/// many lines more there would have been.
pub(super) fn print(text: &str, lines_max: usize, out: &mut Vec<u8>) -> usize {
    let mut lines = text.lines().flat_map(fold);
    for line in lines.by_ref().take(lines_max) {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    lines.count()
}

fn fold(line: &str) -> Vec<String> {
    let ascii = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let mut folded = vec![String::new()];
    for c in line.chars().map(ascii) {
        if folded.last().is_none_or(|l| l.len() >= COLUMNS) {
            folded.push(INDENT.to_owned());
        }
        if let Some(last) = folded.last_mut() {
            last.push(c);
        }
    }
    folded
}

/// A party's number or name, cut down to its last two digits.
pub(super) fn last_digits(party: &str) -> String {
    if party.is_empty() {
        return String::new();
    }
    let digits: Vec<char> = party.chars().filter(char::is_ascii_digit).collect();
    let last = digits.get(digits.len().saturating_sub(2)..).unwrap_or_default();
    format!("..{}", last.iter().collect::<String>())
}

/// A text in which what may be a number, three digits and more, is cut down to its last two digits.
pub(super) fn without_numbers(text: &str) -> String {
    let (mut out, mut digits) = (String::new(), String::new());
    for c in text.chars().map(Some).chain([None]) {
        match c {
            Some(digit) if digit.is_ascii_digit() => digits.push(digit),
            other => {
                let number = std::mem::take(&mut digits);
                out.push_str(&if number.len() < 3 { number } else { last_digits(&number) });
                out.extend(other);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_plain_and_bounded() {
        let mut out = Vec::new();
        let long = format!("{}z\u{1b}ü\nb\nc\nd", "x".repeat(COLUMNS));
        assert_eq!(print(&long, 4, &mut out), 1);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{}\r\n  z??\r\nb\r\nc\r\n", "x".repeat(COLUMNS)));
    }

    #[test]
    fn numbers_keep_two_digits() {
        for (party, shown) in [("+15551234567", "..67"), ("7", "..7"), ("bob", ".."), ("", ""), ("ann4@x12", "..12")] {
            assert_eq!(last_digits(party), shown);
        }
        assert_eq!(without_numbers("talking +4930123456"), "talking +..56");
        assert_eq!(without_numbers("ringing desk12"), "ringing desk12");
        assert_eq!(without_numbers("transfer 911"), "transfer ..11");
    }
}
