//! Session descriptions through offer and answer.

use std::net::IpAddr;

use cordboard::base::Codec;
use cordboard::proto::sdp::{
    self, Agreed, BODY_MAX, Direction, Fingerprint, Keying, LINES_MAX, Local, Need, Profile, Security,
};
use cordboard::proto::srtp::{KeyGenerator, Suite};

use crate::chance::Chance;
use crate::fuzz;

const OFFERS: &[&str] = &[
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n\
     a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
     a=ptime:20\r\na=maxptime:60\r\na=sendrecv\r\na=rtcp:4005 IN IP4 192.0.2.9\r\n",
    "v=0\r\no=x 2890844526 2890844526 IN IP6 2001:db8::1\r\ns= \r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\n\
     m=audio 49170 RTP/AVP 96 0\r\na=rtpmap:96 pcmu/8000/1\r\na=sendonly\r\nm=video 51372 RTP/AVP 31\r\n\
     m=image 6000 udptl t38\r\na=T38FaxVersion:0\r\n",
    "v=0\no=- 0 0 IN IP4 0.0.0.0\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\na=inactive\nm=audio 0 RTP/AVP 0\nm=audio 9 RTP/AVP 8\n",
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=M\u{fc}ller\r\nt=0 0\r\nm=audio 4000/2 RTP/SAVP 0\r\nc=IN IP4 224.2.1.1/127\r\n\
     m=audio 65535 RTP/AVP 8\r\nc=IN IP4 10.0.0.1\r\nb=AS:64\r\nk=clear:x\r\n",
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0 8\r\n\
     a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 FEC_ORDER=FEC_SRTP\r\n\
     a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:2 WSH=64\r\n\
     a=crypto:3 AEAD_AES_128_GCM inline:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYg==\r\na=rtcp-mux\r\n\
     m=audio 4000 RTP/AVP 0\r\n",
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=setup:actpass\r\na=tls-id:abc3de65cddef001be82\r\n\
     m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\na=fingerprint:sha-256 \
     4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF\r\n",
];

const WORDS: &[&[u8]] = &[
    b"a=rtpmap:0 PCMA/8000\r\n",
    b"a=rtpmap:127 PCMU/8000\r\n",
    b"a=rtpmap:9 G722/8000\r\n",
    b"a=rtpmap:13 CN/8000\r\n",
    b"m=audio 1 RTP/AVP 9 13 0 8 101\r\n",
    b"a=ptime:NaN\r\n",
    b"a=ptime:inf\r\n",
    b"a=rtcp:1 IN IP6 ::1\r\n",
    b"c=IN IP4 255.255.255.255\r\n",
    b"m=audio 1 RTP/AVP 0\r\n",
    b"a=recvonly\r\n",
    b"RTP/AVP",
    b"UDP/TLS/RTP/SAVP",
    b"a=setup:passive\r\n",
    b"a=fingerprint:sha-1 00\r\n",
    b"a=crypto:999999999 AEAD_AES_256_GCM inline:|:|1:999;inline:\r\n",
];

fn local(chance: &mut Chance<'_>) -> Local {
    let addresses = ["192.0.2.7", "2001:db8::7"].map(|text| text.parse::<IpAddr>().expect("an address"));
    let codecs = [vec![Codec::Pcmu, Codec::Pcma], Codec::ALL.to_vec(), vec![]];
    let directions = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    Local {
        address: *chance.pick(&addresses),
        port: 20_000,
        session_id: u64::from(chance.word()),
        version: u64::MAX,
        codecs: chance.pick(&codecs).clone(),
        comfort_noise: chance.one_in(2),
        direction: *chance.pick(&directions),
        security: security(chance),
    }
}

fn security(chance: &mut Chance<'_>) -> Security {
    let mut keys = KeyGenerator::new([7; 32]);
    Security {
        need: *chance.pick(&[Need::Off, Need::Optional, Need::Required]),
        keying: *chance.pick(&[Keying::Sdes, Keying::Dtls]),
        keys: if chance.one_in(4) { Vec::new() } else { Suite::ALL.map(|suite| keys.master_key(suite)).into() },
        fingerprint: (!chance.one_in(4)).then_some(Fingerprint([9; 32])),
        active: *chance.pick(&[None, Some(true), Some(false)]),
        tls_id: 3,
        peer_tls_id: None,
        held: chance.one_in(3).then_some((Profile::Savp, Keying::Sdes)),
    }
}

fn check_agreed(agreed: &Agreed, local: &Local) {
    assert!(local.codecs.contains(&agreed.codec));
    assert!(agreed.payload_type < 128 && agreed.telephone_event.is_none_or(|pt| pt < 128));
    assert!(agreed.comfort_noise.is_none() || local.comfort_noise);
    assert!(agreed.others.iter().flatten().all(|(_, codec)| local.codecs.contains(codec)));
    assert!((10..=60).contains(&agreed.ptime_ms) && agreed.ptime_ms.is_multiple_of(10));
    assert!(agreed.remote.port() != 0 && agreed.remote_rtcp.port() != 0);
    assert!(!agreed.remote.ip().is_multicast());
    assert!(!agreed.send || local.direction.sends());
    assert!(!agreed.receive || local.direction.receives());
    match local.security.need {
        Need::Off => assert!(agreed.protection.is_none()),
        Need::Optional => {}
        Need::Required => assert!(agreed.protection.is_some(), "never unprotected"),
    }
}

fn target(mut chance: Chance<'_>) {
    let corpus: Vec<Vec<u8>> = OFFERS.iter().map(|text| text.as_bytes().to_vec()).collect();
    let local = local(&mut chance);
    let body = if chance.one_in(8) { chance.take(2_000).to_vec() } else { chance.bent(&corpus, WORDS) };
    let remote = match sdp::parse(&body) {
        Ok(remote) => remote,
        Err(error) => {
            assert!(matches!(error.sip_status(), 400 | 488) && !error.to_string().is_empty());
            return;
        }
    };
    assert!(body.len() <= BODY_MAX && remote.lines.len() <= LINES_MAX);
    if let Ok(agreed) = sdp::conclude(&local, &remote) {
        check_agreed(&agreed, &local);
    }
    if let Ok((answer, agreed)) = sdp::answer(&remote, &local) {
        check_agreed(&agreed, &local);
        assert!(answer.len() <= body.len() + 1_536, "an answer mirrors the lines and no more");
        let read = sdp::parse(&answer).expect("our answer is a description");
        assert_eq!(read.lines.len(), remote.lines.len(), "RFC 3264 section 6: a line for each line");
        let ours = read.audio.expect("the stream that was accepted");
        let offered = remote.audio.iter().chain(&remote.alternatives).find(|audio| audio.line == ours.line);
        assert_eq!(offered.map(|audio| audio.profile), Some(ours.profile), "the profile of the line that was taken");
        assert_eq!(ours.codecs, [(agreed.payload_type, agreed.codec)]);
        for (n, (theirs, mine)) in remote.lines.iter().zip(&read.lines).enumerate() {
            assert!(theirs.media.eq_ignore_ascii_case(&mine.media), "line {n}");
            assert_eq!(mine.port != 0, n == ours.line, "line {n}: all but one are refused");
        }
    }
    let offer = sdp::reoffer(&local, &remote);
    let read = sdp::parse(&offer).expect("our offer is a description");
    assert!(read.lines.len() >= remote.lines.len(), "RFC 3264 section 8: no line is ever lost");
    assert!(offer.len() <= body.len() + 1_536);
}

#[test]
fn descriptions() {
    fuzz!(2_048, target);
}
