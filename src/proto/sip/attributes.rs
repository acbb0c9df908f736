//! What one appliance has found out of a call, on its way to the next: `Contact-Attributes: name=value;name=value`, a header of our
//! own for peers that are ours. All but letters, digits, `-`, `_` and `.` is escaped as in a URI (RFC 3986 section 2.1).

use super::message::escape_user;

/// The header's name.
pub(crate) const CONTACT_ATTRIBUTES: &str = "Contact-Attributes";

/// Most attributes that are passed on.
const ATTRIBUTES_MAX: usize = 32;

/// Longest value of the header, in octets: a request by UDP has to fit one packet.
const VALUE_MAX: usize = 700;

/// The header's value; empty for none. What does not fit is left out.
pub(crate) fn attributes_value(attributes: &[(String, String)]) -> String {
    let mut value = String::new();
    for (name, text) in attributes.iter().take(ATTRIBUTES_MAX) {
        let one = format!("{}={}", escape(name), escape(text));
        if !name.is_empty() && value.len() + one.len() < VALUE_MAX {
            if !value.is_empty() {
                value.push(';');
            }
            value.push_str(&one);
        }
    }
    value
}

/// What such a value says; what cannot be read is passed over.
pub(crate) fn read_attributes(value: &str) -> Vec<(String, String)> {
    if value.len() > VALUE_MAX {
        return Vec::new();
    }
    let pairs = value.split(';').filter_map(|one| one.split_once('='));
    let pairs = pairs.filter_map(|(name, text)| Some((unescape(name)?, unescape(text)?)));
    pairs.filter(|(name, _)| !name.is_empty()).take(ATTRIBUTES_MAX).collect()
}

/// A URI to refer somebody to, for whom it is to set the header (RFC 3261 section 19.1.5).
pub(crate) fn referral(user: &str, host: &str, attributes: &[(String, String)]) -> String {
    let value = attributes_value(attributes);
    let headers = if value.is_empty() { String::new() } else { format!("?{CONTACT_ATTRIBUTES}={}", escape(&value)) };
    format!("sip:{}@{host}{headers}", escape_user(user))
}

/// What such a URI sets.
pub(crate) fn referred_attributes(uri: &str) -> Vec<(String, String)> {
    let headers = uri.rsplit_once('?').map_or("", |(_, headers)| headers);
    let mut pairs = headers.split('&').filter_map(|one| one.split_once('='));
    let value = pairs.find(|(name, _)| name.eq_ignore_ascii_case(CONTACT_ATTRIBUTES)).map(|(_, value)| value);
    value.and_then(unescape).map(|value| read_attributes(&value)).unwrap_or_default()
}

/// Escapes all but letters, digits, `-`, `_` and `.`.
fn escape(text: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    text.bytes().map(|c| if plain(c) { char::from(c).to_string() } else { format!("%{c:02X}") }).collect()
}

/// None where it is no text, or has control characters in it.
fn unescape(text: &str) -> Option<String> {
    let (mut octets, mut rest) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(c) = rest.next() {
        if c != b'%' {
            octets.push(c);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        octets.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(octets).ok().filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn what_was_found_out_reads_back() {
        let all = pairs(&[("language", "de"), ("account no", "4711;x=\"y\""), ("größe", "8 %"), ("empty", "")]);
        let value = attributes_value(&all);
        assert!(value.is_ascii() && !value.contains([' ', '"', ',', '<']), "{value}");
        assert_eq!(read_attributes(&value), all);
        assert_eq!(read_attributes(""), []);
        let uri = referral("node:ivr/7", "127.0.0.1", &all);
        assert!(uri.starts_with("sip:node%3Aivr/7@127.0.0.1?"), "{uri}");
        assert_eq!(referred_attributes(&uri), all);
        assert_eq!(referred_attributes(&referral("7", "[::1]", &[])), []);
    }

    #[test]
    fn what_does_not_fit_or_cannot_be_read_is_left_out() {
        let many: Vec<_> = (0..200).map(|n| (format!("n{n}"), "x".repeat(60))).collect();
        let value = attributes_value(&many);
        assert!(value.len() <= VALUE_MAX);
        assert_eq!(read_attributes(&value).len(), value.split(';').count());
        assert_eq!(read_attributes("a=1;b;=2;c=%zz;d=%;e=%0a;f=%ff;g=7"), pairs(&[("a", "1"), ("g", "7")]));
        assert_eq!(read_attributes(&"a=1;".repeat(1_000)), []);
    }
}
