//! What we read of an X.509 certificate (RFC 5280): how long it holds, and for which SIP domains (RFC 5922 section 7.1).
//! Signatures and chains are not looked at here.

use crate::base::Timestamp;

/// Most names taken of one certificate.
const NAMES_MAX: usize = 64;

/// Tags of DER (ITU-T X.690 section 8.1.2).
const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, constructed: the version of a TBSCertificate.
const VERSION: u8 = 0xa0;
/// `[3]`, constructed: its extensions.
const EXTENSIONS: u8 = 0xa3;
/// GeneralName (RFC 5280 section 4.2.1.6).
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
/// id-ce-subjectAltName, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// A certificate, as far as we look at it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// From when it holds.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// The SIP domains that it speaks for (RFC 5922 section 7.1), in lower case: those of `sip` URIs without user part
    /// in subjectAltName; without such a URI its DNS names; without any of both the subject's common name.
    pub domains: Vec<String>,
}

impl Certificate {
    /// Reads a certificate in DER. `None`: it is none.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let mut certificate = Reader(Reader(der).of(SEQUENCE)?);
        let mut body = Reader(certificate.of(SEQUENCE)?);
        if body.peek() == Some(VERSION) {
            body.any()?;
        }
        body.of(INTEGER)?; // serialNumber
        body.of(SEQUENCE)?; // signature
        body.of(SEQUENCE)?; // issuer
        let mut validity = Reader(body.of(SEQUENCE)?);
        let (not_before, not_after) = (time(validity.any()?)?, time(validity.any()?)?);
        let subject = body.of(SEQUENCE)?;
        body.of(SEQUENCE)?; // subjectPublicKeyInfo
        let mut names = Names::default();
        while let Some((tag, value)) = body.any() {
            if tag == EXTENSIONS {
                names = alternatives(value).unwrap_or_default();
            }
        }
        Some(Self { not_before, not_after, domains: names.domains(subject) })
    }

    /// Whether it speaks for `domain`. RFC 5922 section 7.2: compared without regard to case, and a wildcard is none.
    pub fn speaks_for(&self, domain: &str) -> bool {
        self.domains.iter().any(|known| known.eq_ignore_ascii_case(domain))
    }
}

#[derive(Default)]
struct Names {
    sip: Vec<String>,
    /// There is a `sip` URI, be it one with a user part, which names no domain.
    any_sip: bool,
    dns: Vec<String>,
}

impl Names {
    fn domains(self, subject: &[u8]) -> Vec<String> {
        if self.any_sip {
            self.sip
        } else if !self.dns.is_empty() {
            self.dns
        } else {
            common_name(subject).into_iter().collect()
        }
    }
}

fn alternatives(extensions: &[u8]) -> Option<Names> {
    let mut names = Names::default();
    let mut extensions = Reader(Reader(extensions).of(SEQUENCE)?);
    while let Some((SEQUENCE, extension)) = extensions.any() {
        let mut extension = Reader(extension);
        if extension.of(OID)? != SUBJECT_ALT_NAME {
            continue;
        }
        // `critical` may stand between; the value is an OCTET STRING and comes last.
        let mut value: &[u8] = &[];
        while let Some((_, next)) = extension.any() {
            value = next;
        }
        let mut general = Reader(Reader(value).of(SEQUENCE)?);
        for (tag, value) in std::iter::from_fn(|| general.any()).take(NAMES_MAX) {
            let Some(text) = std::str::from_utf8(value).ok().filter(|text| text.is_ascii()) else { continue };
            match tag {
                DNS_NAME => names.dns.push(text.to_ascii_lowercase()),
                URI => {
                    let Some(rest) = text.get(..4).filter(|s| s.eq_ignore_ascii_case("sip:")).and(text.get(4..)) else {
                        continue;
                    };
                    names.any_sip = true;
                    if !rest.contains('@') {
                        names.sip.push(rest.to_ascii_lowercase());
                    }
                }
                _ => {}
            }
        }
    }
    Some(names)
}

/// The last common name of a distinguished name.
fn common_name(subject: &[u8]) -> Option<String> {
    let mut found = None;
    let mut sets = Reader(subject);
    while let Some((SET, set)) = sets.any() {
        let mut attributes = Reader(set);
        while let Some((SEQUENCE, attribute)) = attributes.any() {
            let mut attribute = Reader(attribute);
            if attribute.of(OID) == Some(COMMON_NAME)
                && let Some((_, value)) = attribute.any()
                && let Ok(text) = std::str::from_utf8(value)
            {
                found = Some(text.to_ascii_lowercase());
            }
        }
    }
    found
}

/// UTCTime or GeneralizedTime in the forms that RFC 5280 section 4.1.2.5 permits: to the second, in UTC.
fn time((tag, value): (u8, &[u8])) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, rest) = match tag {
        UTC_TIME if text.len() == 12 => {
            let short = number(0, 2)?;
            (if short >= 50 { 1900 + short } else { 2000 + short }, 2)
        }
        GENERALIZED_TIME if text.len() == 14 => (number(0, 4)?, 4),
        _ => return None,
    };
    let part = |n: usize| number(rest + 2 * n, rest + 2 * n + 2);
    let (month, day, hour, minute, second) = (part(0)?, part(1)?, part(2)?, part(3)?, part(4)?);
    let sane = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    sane.then(|| Timestamp((days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second) * 1000))
}

/// Days from 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the odd day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
        - 719_469
}

/// Elements of DER, one after the other.
struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Tag and content of the next element. `None` at the end, and where it is malformed or longer than what is there.
    fn any(&mut self) -> Option<(u8, &'d [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let octets = usize::from(first & 0x7f);
            if !(1..=4).contains(&octets) {
                return None;
            }
            let (head, tail) = rest.split_at_checked(octets)?;
            length = head.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
            rest = tail;
        }
        let (value, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((tag, value))
    }

    /// The content of the next element, which must be a `wanted`.
    fn of(&mut self, wanted: u8) -> Option<&'d [u8]> {
        self.any().filter(|(tag, _)| *tag == wanted).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str], uris: &[&str], common: &str) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        for name in names {
            params.subject_alt_names.push(rcgen::SanType::DnsName((*name).try_into().expect("a name")));
        }
        for uri in uris {
            params.subject_alt_names.push(rcgen::SanType::URI((*uri).try_into().expect("a URI")));
        }
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, common);
        params.not_before = rcgen::date_time_ymd(2024, 2, 29);
        params.not_after = rcgen::date_time_ymd(2051, 12, 31);
        let key = rcgen::KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn sip_uris_come_before_dns_names_and_these_before_the_common_name() {
        let domains = |names: &[&str], uris: &[&str]| {
            Certificate::parse(&made(names, uris, "Common.Example")).expect("a certificate").domains
        };
        assert_eq!(domains(&["A.example", "b.example"], &["sip:Sip.example"]), ["sip.example"]);
        // RFC 5922 section 7.1: a URI with a user part speaks for that user alone.
        assert!(domains(&["a.example"], &["sip:ana@sip.example"]).is_empty());
        assert_eq!(domains(&["A.example"], &["https://w.example"]), ["a.example"]);
        assert_eq!(domains(&[], &[]), ["common.example"]);
    }

    #[test]
    fn a_wildcard_matches_no_other_name() {
        let certificate = Certificate::parse(&made(&["*.example.com", "sip.example.net"], &[], "x")).expect("one");
        assert!(certificate.speaks_for("SIP.example.net"));
        assert!(!certificate.speaks_for("sip.example.com") && !certificate.speaks_for("example.net"));
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let certificate = Certificate::parse(&made(&["a.example"], &[], "x")).expect("one");
        // 2024-02-29 in UTCTime, 2051-12-31 in GeneralizedTime (RFC 5280 section 4.1.2.5).
        assert_eq!(certificate.not_before, Timestamp(1_709_164_800_000));
        assert_eq!(certificate.not_after, Timestamp(2_587_593_600_000));
        assert_eq!(time((UTC_TIME, b"700101000000Z")), Some(Timestamp(0)));
        for bad in [&b"700101000000"[..], b"701301000000Z", b"7001010000Z", b"70010100000\xffZ", b"-00101000000Z"] {
            assert_eq!(time((UTC_TIME, bad)), None);
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_refused_or_read_and_never_harms() {
        let der = made(&["a.example"], &["sip:b.example"], "x");
        for end in 0..der.len() {
            assert!(Certificate::parse(&der[..end]).is_none());
        }
        for at in 0..der.len() {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut der = der.clone();
                der[at] = value;
                let _ = Certificate::parse(&der);
            }
        }
    }
}
