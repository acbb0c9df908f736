//! Offers and answers about protection.

use super::*;
use crate::proto::srtp::{KeyGenerator, MasterKey, Suite};

const KEY: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4";
const PRINT: &str = "a=fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:\
                     19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:df";

fn keys(seed: u8) -> Vec<MasterKey> {
    let mut generator = KeyGenerator::new([seed; 32]);
    Suite::ALL.map(|suite| generator.master_key(suite)).into()
}

fn side(need: Need, keying: Keying, seed: u8) -> Local {
    let fingerprint = Some(Fingerprint([seed; 32]));
    let tls_id = u128::from(seed);
    let security = Security { need, keying, keys: keys(seed), fingerprint, tls_id, ..Security::default() };
    Local { security, ..local() }
}

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap()
}

/// Both sides' ends of the same agreement.
fn meet(caller: &Local, callee: &Local) -> (Result<Agreed, SdpError>, Result<Agreed, SdpError>) {
    match answer(&parse(&offer(caller)).unwrap(), callee) {
        Ok((body, at_callee)) => (conclude(caller, &parse(&body).unwrap()), Ok(at_callee)),
        Err(error) => (Err(error), Err(error)),
    }
}

fn association(agreed: &Agreed) -> Association {
    match agreed.protection {
        Some(Protection::Dtls(association)) => association,
        _ => panic!("no DTLS but {:?}", agreed.protection),
    }
}

#[test]
fn keys_of_both_sides_cross() {
    for (need, profile) in [(Need::Required, Profile::Savp), (Need::Optional, Profile::Avp)] {
        let (caller, callee) = meet(&side(need, Keying::Sdes, 1), &side(need, Keying::Sdes, 2));
        let (caller, callee) = (caller.unwrap(), callee.unwrap());
        assert_eq!((caller.profile, callee.profile), (profile, profile));
        let (
            Some(Protection::Sdes { send: a, receive: b, tag: 1, .. }),
            Some(Protection::Sdes { send: c, receive: d, tag: 1, .. }),
        ) = (caller.protection, callee.protection)
        else {
            panic!("not protected");
        };
        assert!(a == d && b == c && a != b);
        assert_eq!(a.suite(), Suite::AeadAes128Gcm);
    }
}

#[test]
fn certificates_of_both_sides_cross_and_one_begins() {
    let (caller, callee) = meet(&side(Need::Required, Keying::Dtls, 1), &side(Need::Required, Keying::Dtls, 2));
    let (caller, callee) = (caller.unwrap(), callee.unwrap());
    assert_eq!(caller.profile, Profile::TlsSavp);
    assert!(caller.rtcp_mux && callee.rtcp_mux && caller.remote == caller.remote_rtcp);
    let (caller, callee) = (association(&caller), association(&callee));
    assert_eq!((caller.active, caller.fingerprint), (true, Fingerprint([2; 32])));
    assert_eq!((callee.active, callee.fingerprint), (false, Fingerprint([1; 32])));
    assert!(caller.tls_id.is_some() && callee.tls_id.is_some() && caller.tls_id != callee.tls_id);
    // Who began stays the one who began.
    let mut again = side(Need::Required, Keying::Dtls, 2);
    again.security.active = Some(true);
    let (_, callee) = meet(&side(Need::Required, Keying::Dtls, 1), &again);
    assert!(association(&callee.unwrap()).active);
}

/// RFC 8842.
#[test]
fn another_tls_id_is_another_association_and_none_changes_nothing() {
    let mut ours = side(Need::Required, Keying::Dtls, 1);
    let mut offered = |tls_id: &str| {
        let lines = [C, "m=audio 4000 UDP/TLS/RTP/SAVP 0", PRINT, "a=setup:actpass", tls_id];
        let (bytes, agreed) = answer(&parse(&body(&lines)).unwrap(), &ours).unwrap();
        ours.security.hold(&agreed);
        (association(&agreed), text(&bytes).contains("a=tls-id:00000000000000000000000000000001\r\n"))
    };
    let first = offered("a=tls-id:abc3de65cddef001be82");
    assert!(first.1, "named in answer to a name");
    assert_eq!(offered("a=tls-id:abc3de65cddef001be82"), first);
    assert_eq!(offered("a=ptime:20"), (first.0, false));
    assert_eq!(offered("a=tls-id:too-short"), (first.0, false));
    assert_ne!(offered("a=tls-id:abc3de65cddef001be83").0, first.0);
}

#[test]
fn what_is_protected_stays_protected() {
    // A peer that insists on RTP/SAVP, and one that offers keys beside RTP/AVP (RFC 8643).
    for (need, keying) in
        [(Need::Required, Keying::Sdes), (Need::Optional, Keying::Sdes), (Need::Required, Keying::Dtls)]
    {
        let mut ours = side(Need::Optional, Keying::Dtls, 2);
        let theirs = offer(&side(need, keying, 1));
        let theirs = parse(&theirs).unwrap();
        let (_, agreed) = answer(&theirs, &ours).unwrap();
        ours.security.hold(&agreed);
        let again = reoffer(&ours, &theirs);
        let again_read = parse(&again).unwrap();
        let audio = again_read.audio.as_ref().unwrap();
        assert_eq!(audio.profile, agreed.profile, "RFC 3264 section 8");
        assert_eq!(audio.security.crypto.is_empty(), keying == Keying::Dtls);
        // Whoever strips the keys from the answer gets nothing.
        let mut plain = local();
        plain.security.need = Need::Off;
        let stripped = parse(&offer(&plain)).unwrap();
        assert_eq!(conclude(&ours, &stripped), Err(SdpError::SrtpRequired));
    }
}

#[test]
fn what_is_optional_falls_back_and_what_is_required_does_not() {
    let plain = local();
    for keying in [Keying::Sdes, Keying::Dtls] {
        let (caller, callee) = meet(&side(Need::Optional, keying, 1), &plain);
        assert!(caller.unwrap().protection.is_none() && callee.unwrap().protection.is_none());
        let (caller, callee) = meet(&plain, &side(Need::Optional, keying, 1));
        assert!(caller.unwrap().protection.is_none() && callee.unwrap().protection.is_none());
        assert_eq!(meet(&side(Need::Required, keying, 1), &plain).1, Err(SdpError::SrtpOff));
        assert_eq!(meet(&plain, &side(Need::Required, keying, 1)).1, Err(SdpError::SrtpRequired));
    }
    // An answer without keys to an offer that must have them.
    let required = side(Need::Required, Keying::Sdes, 1);
    let bare = parse(&body(&[C, "m=audio 4000 RTP/SAVP 0"])).unwrap();
    assert_eq!(conclude(&required, &bare), Err(SdpError::SrtpRequired));
    assert_eq!(SdpError::SrtpRequired.sip_status(), 488);
}

#[test]
fn phones_that_offer_both_ways_get_the_protected_one() {
    let lines = [C, "m=audio 4000 RTP/AVP 0 8", "m=audio 4002 RTP/SAVP 0 8", KEY];
    let both = parse(&body(&lines)).unwrap();
    let (answer_bytes, agreed) = answer(&both, &side(Need::Optional, Keying::Dtls, 1)).unwrap();
    assert_eq!(agreed.remote.port(), 4002);
    assert!(matches!(&agreed.protection, Some(Protection::Sdes { mki, .. }) if mki == &[0, 0, 0, 1]));
    assert!(text(&answer_bytes).contains("m=audio 0 RTP/AVP"));
    assert!(text(&answer_bytes).contains("m=audio 16384 RTP/SAVP 0\r\n"));
    assert!(text(&answer_bytes).contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"));
    // Who has none provisioned takes the other one, wherever it stands.
    let (answer_bytes, agreed) = answer(&both, &local()).unwrap();
    assert!(agreed.remote.port() == 4000 && agreed.protection.is_none());
    assert!(text(&answer_bytes).contains("m=audio 0 RTP/SAVP"));
    let turned = parse(&body(&[C, "m=audio 4002 RTP/SAVP 0 8", KEY, "m=audio 4000 RTP/AVP 0 8"])).unwrap();
    assert_eq!(answer(&turned, &local()).unwrap().1.remote.port(), 4000);
    // RFC 3264 section 8: our next offer keeps the line.
    let next = reoffer(&local(), &turned);
    assert!(text(&next).contains("m=audio 0 RTP/SAVP") && text(&next).contains("m=audio 16384 RTP/AVP"));
}

#[test]
fn keys_in_plain_profiles_are_taken() {
    // RFC 8643.
    let offered = parse(&body(&[C, "m=audio 4000 RTP/AVP 0 8", KEY, PRINT, "a=setup:active"])).unwrap();
    let (bytes, agreed) = answer(&offered, &side(Need::Optional, Keying::Sdes, 1)).unwrap();
    assert!(matches!(agreed.protection, Some(Protection::Sdes { .. })));
    assert!(text(&bytes).contains("m=audio 16384 RTP/AVP 0\r\n") && !text(&bytes).contains("fingerprint"));
    let (bytes, agreed) = answer(&offered, &side(Need::Optional, Keying::Dtls, 1)).unwrap();
    assert!(!association(&agreed).active);
    assert!(text(&bytes).contains("a=setup:passive") && !text(&bytes).contains("crypto"));
}

#[test]
fn keys_that_others_could_read_are_refused() {
    let mut wary = side(Need::Required, Keying::Dtls, 1);
    wary.security.keys.clear();
    let offered = parse(&body(&[C, "m=audio 4000 RTP/SAVP 0", KEY])).unwrap();
    assert_eq!(answer(&offered, &wary).map(|_| ()), Err(SdpError::KeysInClear));
    assert_eq!(protectable(&offered, &wary.security), Err(SdpError::KeysInClear));
    assert_eq!(protectable(&offered, &local().security), Err(SdpError::SrtpOff));
    assert_eq!(protectable(&offered, &side(Need::Optional, Keying::Dtls, 1).security), Ok(()));
    assert!(!text(&offer(&wary)).contains("crypto"));
}

#[test]
fn lines_that_cannot_be_obeyed_count_as_not_there() {
    let crypto = |line: &str| {
        let remote = parse(&body(&[C, "m=audio 4000 RTP/SAVP 0", line])).unwrap();
        remote.audio.unwrap().security.crypto
    };
    let good = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let line = |rest: &str| crypto(&format!("a=crypto:{rest}"));
    let read = line(&format!("7 aes_cm_128_hmac_sha1_32 {good}|2^31 WSH=64 -UNKNOWN=1"));
    assert_eq!((read[0].tag, read[0].key.suite()), (7, Suite::AesCm128HmacSha1_32));
    assert!(read[0].mki.is_empty());
    assert_eq!(line("1 AEAD_AES_128_GCM inline:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYg").len(), 1, "no padding");
    for bad in [
        format!("x AES_CM_128_HMAC_SHA1_80 {good}"),
        format!("1 F8_128_HMAC_SHA1_80 {good}"),
        format!("1 AEAD_AES_128_GCM {good}"),
        "1 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ=".to_owned(),
        "1 AES_CM_128_HMAC_SHA1_80 inline:####".to_owned(),
        "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
        format!("1 AES_CM_128_HMAC_SHA1_80 {good} UNENCRYPTED_SRTP"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {good} KDR=1"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {good}|300:1"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {good}|1:17"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {good}|1:0"),
    ] {
        assert!(line(&bad).is_empty(), "{bad}");
    }
}

#[test]
fn fingerprints_are_read_as_written() {
    let print = |line: &str| {
        let remote = parse(&body(&[C, "m=audio 4000 UDP/TLS/RTP/SAVP 0", line])).unwrap();
        remote.audio.unwrap().security.fingerprint
    };
    let read = print(PRINT).unwrap();
    assert_eq!((read.0[0], read.0[31]), (0x4a, 0xdf));
    assert_eq!(print(&format!("a=fingerprint:{read}")), Some(read));
    for bad in
        ["a=fingerprint:sha-1 4A:AD", "a=fingerprint:sha-256 4A:AD", "a=fingerprint:", "a=fingerprint:sha-256 zz"]
    {
        assert_eq!(print(bad), None, "{bad}");
    }
}
