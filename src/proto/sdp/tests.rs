use std::net::{IpAddr, Ipv4Addr};

mod security;

use super::*;

fn local() -> Local {
    Local {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        port: 16_384,
        session_id: 7,
        version: 1,
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        comfort_noise: false,
        direction: Direction::SendRecv,
        security: Security::default(),
    }
}

fn body(lines: &[&str]) -> Vec<u8> {
    let mut text = String::from("v=0\r\no=bob 1 1 IN IP4 192.0.2.9\r\ns=-\r\n");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.into_bytes()
}

fn agreed_with(lines: &[&str]) -> Result<(String, Agreed), SdpError> {
    let (bytes, agreed) = answer(&parse(&body(lines))?, &local())?;
    Ok((String::from_utf8(bytes.to_vec()).unwrap(), agreed))
}

const C: &str = "c=IN IP4 192.0.2.9";

#[test]
fn our_offer_is_what_we_say_it_is() {
    let text = String::from_utf8(offer(&local()).to_vec()).unwrap();
    assert_eq!(
        text,
        "v=0\r\no=cordboard 7 1 IN IP4 192.0.2.1\r\ns=cordboard\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 16384 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
}

#[test]
fn offer_answer_and_conclusion_agree_with_each_other() {
    let caller = Local { address: "2001:db8::1".parse().unwrap(), ..local() };
    let callee = Local { address: "2001:db8::5".parse().unwrap(), port: 20_000, codecs: vec![Codec::Pcma], ..local() };
    let (answer_bytes, at_callee) = answer(&parse(&offer(&caller)).unwrap(), &callee).unwrap();
    let at_caller = conclude(&caller, &parse(&answer_bytes).unwrap()).unwrap();
    assert_eq!((at_callee.codec, at_callee.payload_type), (Codec::Pcma, 8));
    assert_eq!((at_caller.codec, at_caller.payload_type), (Codec::Pcma, 8));
    assert_eq!(at_callee.telephone_event, Some(101));
    assert_eq!(at_caller.telephone_event, Some(101));
    assert_eq!(at_callee.remote, "[2001:db8::1]:16384".parse().unwrap());
    assert_eq!(at_caller.remote, "[2001:db8::5]:20000".parse().unwrap());
    assert_eq!(at_caller.remote_rtcp, "[2001:db8::5]:20001".parse().unwrap());
    assert!(at_caller.send && at_caller.receive && at_callee.send && at_callee.receive);
    // A socket sends to its own family only.
    let error = answer(&parse(&offer(&caller)).unwrap(), &local()).unwrap_err();
    assert_eq!((error, error.sip_status(), error.warning_code()), (SdpError::AddressFamily, 488, 301));
    assert_eq!(conclude(&local(), &parse(&answer_bytes).unwrap()), Err(SdpError::AddressFamily));
}

#[test]
fn their_codec_order_and_payload_types_are_kept() {
    let (text, agreed) = agreed_with(&[
        C,
        "t=0 0",
        "m=audio 4000 RTP/AVP 9 97 8 0 96",
        "a=rtpmap:97 opus/48000/2",
        "a=rtpmap:96 Telephone-Event/8000",
    ])
    .unwrap();
    assert_eq!((agreed.codec, agreed.payload_type, agreed.telephone_event), (Codec::Pcma, 8, Some(96)));
    assert!(text.contains("m=audio 16384 RTP/AVP 8 96\r\n"), "{text}");
    assert!(text.contains("a=rtpmap:96 telephone-event/8000\r\n"), "{text}");
}

#[test]
fn rtpmap_beats_the_static_table_and_may_be_dynamic() {
    let (_, agreed) = agreed_with(&[C, "m=audio 4000 RTP/AVP 100", "a=rtpmap:100 pcmu/8000/1"]).unwrap();
    assert_eq!((agreed.codec, agreed.payload_type, agreed.telephone_event), (Codec::Pcmu, 100, None));
    let wrong_rate = agreed_with(&[C, "m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMU/16000"]);
    assert_eq!(wrong_rate.unwrap_err(), SdpError::NoCommonCodec);
}

#[test]
fn all_lines_are_answered_and_what_is_not_audio_is_refused() {
    let (text, _) = agreed_with(&[
        C,
        "m=video 5000 RTP/AVP 96 97",
        "m=audio 4000 RTP/AVP 0",
        "m=audio 4002 RTP/SAVP 0",
        "m=image 4004 udptl t38",
    ])
    .unwrap();
    let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("m=")).collect();
    let expected =
        ["m=video 0 RTP/AVP 96 97", "m=audio 16384 RTP/AVP 0", "m=audio 0 RTP/SAVP 0", "m=image 0 udptl t38"];
    assert_eq!(lines, expected);
}

#[test]
fn a_reoffer_keeps_the_places_of_refused_streams() {
    let theirs = parse(&body(&[C, "m=video 5000 RTP/AVP 96", "m=audio 4000 RTP/AVP 0"])).unwrap();
    let text = String::from_utf8(reoffer(&local(), &theirs).to_vec()).unwrap();
    let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(lines, ["m=video 0 RTP/AVP 96", "m=audio 16384 RTP/AVP 0 8 101"]);
}

#[test]
fn hold_is_mirrored_both_ways_and_in_the_old_style() {
    for (theirs, ours, send, receive) in [
        ("a=sendrecv", "a=sendrecv", true, true),
        ("a=sendonly", "a=recvonly", false, true),
        ("a=recvonly", "a=sendonly", true, false),
        ("a=inactive", "a=inactive", false, false),
    ] {
        let (text, agreed) = agreed_with(&[C, "m=audio 4000 RTP/AVP 0", theirs]).unwrap();
        assert!(text.contains(ours), "{theirs}: {text}");
        assert_eq!((agreed.send, agreed.receive), (send, receive), "{theirs}");
        let (_, at_session) = agreed_with(&[C, theirs, "m=audio 4000 RTP/AVP 0"]).unwrap();
        assert_eq!((at_session.send, at_session.receive), (send, receive), "{theirs} at session level");
    }
    for c in ["c=IN IP4 0.0.0.0", "c=IN IP6 ::"] {
        let (text, agreed) = agreed_with(&[c, "m=audio 4000 RTP/AVP 0"]).unwrap();
        assert!(text.contains("a=recvonly"), "{text}");
        assert_eq!((agreed.send, agreed.receive), (false, true));
    }
}

#[test]
fn our_own_hold_limits_the_answer() {
    let held = Local { direction: Direction::SendOnly, ..local() };
    let theirs = parse(&body(&[C, "m=audio 4000 RTP/AVP 0"])).unwrap();
    let (text, agreed) = answer(&theirs, &held).unwrap();
    assert!(std::str::from_utf8(&text).unwrap().contains("a=sendonly"));
    assert_eq!((agreed.send, agreed.receive), (true, false));
}

#[test]
fn addresses_of_media_and_rtcp() {
    let lines = ["c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0", "c=IN IP4 192.0.2.77", "a=rtcp:53020"];
    let (_, agreed) = agreed_with(&lines).unwrap();
    assert_eq!(agreed.remote, "192.0.2.77:4000".parse().unwrap());
    assert_eq!(agreed.remote_rtcp, "192.0.2.77:53020".parse().unwrap());
    let lines = [C, "m=audio 65535 RTP/AVP 0", "a=rtcp:9 IN IP6 2001:db8::2"];
    let (_, agreed) = agreed_with(&lines).unwrap();
    assert_eq!(agreed.remote_rtcp, "[2001:db8::2]:9".parse().unwrap());
    let (_, agreed) = agreed_with(&[C, "m=audio 65535 RTP/AVP 0"]).unwrap();
    assert_eq!(agreed.remote_rtcp.port(), 65_535);
}

#[test]
fn ptime_is_honoured_within_bounds() {
    for (lines, expected) in [
        (&["a=ptime:20"][..], 20),
        (&["a=ptime:30"], 30),
        (&["a=ptime:5"], 10),
        (&["a=ptime:200"], 60),
        (&["a=ptime:37"], 30),
        (&["a=ptime:60", "a=maxptime:40"], 40),
        (&["a=ptime:x"], 20),
        (&["a=ptime:NaN"], 20),
        (&["a=ptime:inf"], 60),
        (&[], 20),
    ] {
        let mut all = vec![C, "m=audio 4000 RTP/AVP 0"];
        all.extend(lines);
        let (text, agreed) = agreed_with(&all).unwrap();
        assert_eq!(agreed.ptime_ms, expected, "{lines:?}");
        assert!(text.contains(&format!("a=ptime:{expected}\r\n")), "{text}");
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_a_reason() {
    assert_eq!(agreed_with(&[C, "m=audio 4000 RTP/AVP 18"]).unwrap_err(), SdpError::NoCommonCodec);
    assert_eq!(agreed_with(&[C, "m=audio 0 RTP/AVP 0"]).unwrap_err(), SdpError::NoAudio);
    assert_eq!(agreed_with(&[C, "m=audio 4000 RTP/SAVPF 0"]).unwrap_err(), SdpError::SrtpOff);
    assert_eq!(agreed_with(&[C, "m=audio 4000 TCP/RTP/AVP 0"]).unwrap_err(), SdpError::NoAudio);
    assert_eq!(agreed_with(&[C]).unwrap_err(), SdpError::NoAudio);
    for c in ["c=IN IP4 host.example.com", "c=IN IP4 224.2.1.1/127", "c=IN IP4 255.255.255.255", "a=x"] {
        assert_eq!(agreed_with(&[c, "m=audio 4000 RTP/AVP 0"]).unwrap_err(), SdpError::Address, "{c}");
    }
    assert_eq!(parse(b"").unwrap_err(), SdpError::Syntax { line: 0 });
    assert_eq!(parse(b"v=0\r\nnonsense\r\n").unwrap_err(), SdpError::Syntax { line: 2 });
    assert_eq!(parse(&vec![b'a'; BODY_MAX + 1]).unwrap_err(), SdpError::TooLarge);
    assert_eq!(parse(&body(&["m=audio 0 RTP/AVP 0"; LINES_MAX + 1])).unwrap_err(), SdpError::TooLarge);
    let refusal = parse(&body(&[C, "m=audio 0 RTP/AVP 0"])).unwrap();
    assert_eq!(conclude(&local(), &refusal).unwrap_err(), SdpError::Refused);
}

#[test]
fn latin_1_lf_and_missing_lines_are_tolerated() {
    let mut text = b"v=0\no=- 1 1 IN IP4 192.0.2.9\ns=Gespr\xe4ch\nc=IN IP4 192.0.2.9\n".to_vec();
    text.extend_from_slice(b"m=audio 4000 RTP/AVP 0\n");
    assert!(answer(&parse(&text).unwrap(), &local()).is_ok());
    assert!(parse(b"v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 8\r\n").unwrap().audio.is_some());
}

/// xorshift64*; the seed is printed by the assertion that fails.
fn random(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

#[test]
fn mutated_descriptions_never_panic_and_answers_parse() {
    let seed = 0x5d9_0001_u64;
    println!("seed {seed:#x}");
    let mut state = seed;
    let whole = body(&[
        C,
        "t=0 0",
        "a=sendonly",
        "m=audio 4000 RTP/AVP 0 8 101",
        "c=IN IP6 2001:db8::1",
        "a=rtpmap:101 telephone-event/8000",
        "a=ptime:20",
        "a=maxptime:40",
        "a=rtcp:4001 IN IP4 192.0.2.3",
        "m=video 9 RTP/AVP 99",
    ]);
    for round in 0..20_000 {
        let mut text = whole.clone();
        for _ in 0..=random(&mut state) % 6 {
            let at = random(&mut state) as usize % text.len().max(1);
            match random(&mut state) % 4 {
                0 => text.truncate(at),
                1 => text.insert(at.min(text.len()), random(&mut state) as u8),
                2 if at < text.len() => drop(text.remove(at)),
                _ => {
                    if let Some(b) = text.get_mut(at) {
                        *b = random(&mut state) as u8;
                    }
                }
            }
        }
        if let Ok(remote) = parse(&text)
            && let Ok((bytes, agreed)) = answer(&remote, &local())
        {
            let again = parse(&bytes).unwrap_or_else(|e| panic!("seed {seed:#x} round {round}: {e}"));
            assert_eq!(again.lines.len(), remote.lines.len(), "seed {seed:#x} round {round}");
            assert!((10..=60).contains(&agreed.ptime_ms), "seed {seed:#x} round {round}");
        }
    }
}

#[test]
fn g722_is_agreed_where_it_is_spoken_at_its_odd_clock_rate() {
    let wide = Local { codecs: Codec::ALL.to_vec(), ..local() };
    let (text, agreed) = {
        let (bytes, agreed) = answer(&parse(&body(&[C, "m=audio 4000 RTP/AVP 9 0"])).unwrap(), &wide).unwrap();
        (String::from_utf8(bytes.to_vec()).unwrap(), agreed)
    };
    assert_eq!((agreed.codec, agreed.payload_type), (Codec::G722, 9));
    assert!(text.contains("m=audio 16384 RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\n"), "{text}");
    let (_, narrow) = agreed_with(&[C, "m=audio 4000 RTP/AVP 9 0"]).unwrap();
    assert_eq!(narrow.codec, Codec::Pcmu, "not provisioned");
    let true_rate = parse(&body(&[C, "m=audio 4000 RTP/AVP 9", "a=rtpmap:9 G722/16000"])).unwrap();
    assert_eq!(answer(&true_rate, &wide).unwrap_err(), SdpError::NoCommonCodec, "RFC 3551 4.5.2");
    let text = String::from_utf8(offer(&wide).to_vec()).unwrap();
    assert!(text.contains("RTP/AVP 0 8 9 101\r\n") && text.contains("a=rtpmap:9 G722/8000\r\n"), "{text}");
}

#[test]
fn comfort_noise_takes_two() {
    let quiet = Local { comfort_noise: true, ..local() };
    assert!(std::str::from_utf8(&offer(&quiet)).unwrap().contains("RTP/AVP 0 8 13 101\r\na=rtpmap:0 PCMU/8000"));
    let answered = |lines: &[&str], local: &Local| {
        let (bytes, agreed) = answer(&parse(&body(lines)).unwrap(), local).unwrap();
        (String::from_utf8(bytes.to_vec()).unwrap().contains("CN/8000"), agreed.comfort_noise)
    };
    assert_eq!(answered(&[C, "m=audio 4000 RTP/AVP 0 13"], &quiet), (true, Some(13)));
    assert_eq!(answered(&[C, "m=audio 4000 RTP/AVP 0 98", "a=rtpmap:98 cn/8000"], &quiet), (true, Some(98)));
    assert_eq!(answered(&[C, "m=audio 4000 RTP/AVP 0 98", "a=rtpmap:98 CN/16000"], &quiet), (false, None));
    assert_eq!(answered(&[C, "m=audio 4000 RTP/AVP 0"], &quiet), (false, None));
    assert_eq!(answered(&[C, "m=audio 4000 RTP/AVP 0 13"], &local()), (false, None));
}

#[test]
fn all_codecs_of_an_answer_may_come() {
    let ours = Local { codecs: Codec::ALL.to_vec(), ..local() };
    let agreed = conclude(&ours, &parse(&body(&[C, "m=audio 4000 RTP/AVP 8 18 9 0 101"])).unwrap()).unwrap();
    assert_eq!((agreed.codec, agreed.others), (Codec::Pcma, [Some((9, Codec::G722)), Some((0, Codec::Pcmu))]));
    let (_, agreed) = agreed_with(&[C, "m=audio 4000 RTP/AVP 8 0"]).unwrap();
    assert_eq!(agreed.others, [None, None], "our answers name one codec");
}
