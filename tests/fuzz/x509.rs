//! Certificates as a TLS peer shows them.

use std::sync::LazyLock;

use cordboard::proto::x509::Certificate;
use rcgen::{CertificateParams, KeyPair, SanType};

use crate::chance::Chance;
use crate::fuzz;

/// Names in each of the places where RFC 5922 looks, and in none.
static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let name = |text: &str| text.try_into().expect("an ASCII name");
    [
        vec![],
        vec![SanType::DnsName(name("carrier.example"))],
        vec![SanType::URI(name("sip:carrier.example")), SanType::DnsName(name("other.example"))],
        vec![SanType::URI(name("sips:b.example")), SanType::Rfc822Name(name("a@b.example"))],
    ]
    .into_iter()
    .map(|names| {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.self_signed(&key).expect("a certificate").der().to_vec()
    })
    .collect()
});

/// Tags, and lengths of the long form.
const WORDS: &[&[u8]] = &[
    b"\x30\x80",
    b"\x30\x84\xff\xff\xff\xff",
    b"\xa3\x82",
    b"\x17\x0d",
    b"\x18\x0f",
    b"\x02\x01\x00",
    b"\x06\x03\x55\x1d\x11",
    b"\x86",
    b"\x82",
];

/// Most names taken of a certificate, and one subject's.
const NAMES_MAX: usize = 64;

fn target(mut chance: Chance<'_>) {
    let mut der = if chance.one_in(20) { chance.take(600).to_vec() } else { chance.bent(&CORPUS, WORDS) };
    for _ in 0..chance.below(4) {
        let at = chance.below(der.len());
        if let Some(octet) = der.get_mut(at) {
            *octet = chance.octet();
        }
    }
    if let Some(certificate) = Certificate::parse(&der) {
        let domains = &certificate.domains;
        assert!(domains.len() <= NAMES_MAX, "{domains:?}");
        assert_eq!(certificate.speaks_for("carrier.example"), certificate.speaks_for("CARRIER.EXAMPLE"));
        assert!(domains.iter().all(|domain| certificate.speaks_for(domain)), "{domains:?}");
    }
}

#[test]
fn certificates() {
    fuzz!(256, target);
}
