use super::*;

/// Octets written in hexadecimal; white space is left out.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn master(suite: Suite) -> MasterKey {
    let octets: Vec<u8> = (1..).take(suite.key_len() + suite.salt_len()).collect();
    MasterKey::new(suite, &octets).unwrap()
}

fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 1, 2, 3, 4];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..160).map(|n| (n as u16 ^ sequence) as u8));
    packet
}

fn protect(sender: &mut Sender, packet: &[u8]) -> Result<Vec<u8>, Unprotected> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + TAIL_MAX, 0);
    let len = sender.protect(&mut buffer, packet.len())?;
    buffer.truncate(len);
    Ok(buffer)
}

fn unprotect(receiver: &mut Receiver, packet: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut buffer = packet.to_vec();
    let len = receiver.unprotect(&mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}

/// The packets with which libsrtp tests itself, protected by the master key of RFC 3711 appendix B.3.
#[test]
fn reference_packets() {
    let octets = hex("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6");
    let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &octets).unwrap();
    let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let secure = hex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb");
    assert_eq!(protect(&mut Sender::new(&key), &plain), Ok(secure.clone()));
    assert_eq!(unprotect(&mut Receiver::new(&key, &[]), &secure), Ok(plain));

    let plain = hex("81c8000bcafebabe abababababababababababababababab");
    let secure = hex("81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798");
    let mut buffer = plain.clone();
    buffer.resize(plain.len() + TAIL_MAX, 0);
    let mut sender = Sender::new(&key);
    sender.protect_control(&mut buffer.clone(), plain.len()).unwrap();
    let len = sender.protect_control(&mut buffer, plain.len()).unwrap();
    assert_eq!(&buffer[..len], secure);
    let mut receiver = Receiver::new(&key, &[]);
    let mut buffer = secure.clone();
    assert_eq!(receiver.unprotect_control(&mut buffer), Ok(plain.len()));
    assert_eq!(&buffer[..plain.len()], plain);
    assert_eq!(receiver.unprotect_control(&mut secure.clone()), Err(Refused::Replayed));
}

#[test]
fn every_suite_there_and_back() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = (Sender::new(&master(suite)), Receiver::new(&master(suite), &[]));
        // Over a rollover, with an extension and CSRC on the way.
        for sequence in (65_500..=65_535).chain(0..40u16) {
            let mut plain = rtp(sequence, 7);
            if sequence % 3 == 0 {
                plain[0] |= 0x12;
                plain.splice(12..12, [1, 1, 1, 1, 2, 2, 2, 2, 0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
            }
            let secure = protect(&mut sender, &plain).unwrap();
            assert_ne!(secure[28..60], plain[28..60]);
            assert_eq!(unprotect(&mut receiver, &secure), Ok(plain), "{suite} {sequence}");
            assert_eq!(unprotect(&mut receiver, &secure), Err(Refused::Replayed), "{suite} {sequence}");
        }
        assert!(sender.rolled_over(7) && !sender.rolled_over(8));
    }
}

#[test]
fn control_packets_there_and_back() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = (Sender::new(&master(suite)), Receiver::new(&master(suite), &[]));
        for n in 0..300u16 {
            let plain: Vec<u8> = [&[0x80, 200, 0, 6, 0, 0, 0, 9][..], &n.to_be_bytes(), &[3; 18]].concat();
            let mut buffer = plain.clone();
            buffer.resize(plain.len() + TAIL_MAX, 0);
            let len = sender.protect_control(&mut buffer, plain.len()).unwrap();
            buffer.truncate(len);
            let mut forged = buffer.clone();
            forged[usize::from(n) % len] ^= 1;
            assert!(receiver.unprotect_control(&mut forged).is_err(), "{suite} {n}");
            let secure = buffer.clone();
            assert_eq!(receiver.unprotect_control(&mut buffer), Ok(plain.len()), "{suite} {n}");
            assert_eq!(&buffer[..plain.len()], plain);
            assert_eq!(receiver.unprotect_control(&mut secure.clone()), Err(Refused::Replayed));
        }
    }
}

/// RFC 7714 section 17.2: authenticated, but not encrypted.
#[test]
fn control_packets_in_clear_are_authenticated() {
    for suite in Suite::ALL {
        let key = master(suite);
        let mut receiver = Receiver::new(&key, &[]);
        let plain = [0x80u8, 201, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4];
        let index = [0, 0, 0, 5];
        let covered = [&plain[..], &index].concat();
        let packet = match cipher::Keys::new(&key, cipher::Kind::Rtcp) {
            cipher::Keys::Cm(cm) => [&covered, &cm.tag(&covered, None)[..10]].concat(),
            cipher::Keys::Gcm(gcm) => [&plain[..], &gcm.seal(9, 5, &covered, &mut []).unwrap(), &index].concat(),
        };
        let mut buffer = packet.clone();
        buffer[9] ^= 1;
        assert_eq!(receiver.unprotect_control(&mut buffer), Err(Refused::NotAuthentic), "{suite}");
        let mut buffer = packet.clone();
        assert_eq!(receiver.unprotect_control(&mut buffer), Ok(plain.len()), "{suite}");
        assert_eq!(&buffer[..plain.len()], plain);
    }
}

#[test]
fn what_was_changed_on_its_way_is_refused() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = (Sender::new(&master(suite)), Receiver::new(&master(suite), &[]));
        let secure = protect(&mut sender, &rtp(1, 7)).unwrap();
        for at in 0..secure.len() {
            let mut forged = secure.clone();
            forged[at] ^= 0x40;
            assert!(unprotect(&mut receiver, &forged).is_err(), "{suite}: octet {at}");
        }
        for len in 0..secure.len() {
            assert!(unprotect(&mut receiver, &secure[..len]).is_err(), "{suite}: {len} octets");
        }
        let other = MasterKey::new(suite, &vec![9; suite.key_len() + suite.salt_len()]).unwrap();
        assert_eq!(unprotect(&mut Receiver::new(&other, &[]), &secure), Err(Refused::NotAuthentic));
        // None of this has changed what the receiver expects.
        assert!(unprotect(&mut receiver, &secure).is_ok(), "{suite}");
    }
}

#[test]
fn a_late_join_is_found_within_some_packets() {
    for suite in Suite::ALL {
        let mut sender = Sender::new(&master(suite));
        let mut sequence = 0u16;
        // Over three rollovers, in steps that an estimate still tells from steps back.
        for _ in 0..12 {
            protect(&mut sender, &rtp(sequence, 7)).unwrap();
            sequence = sequence.wrapping_add(0x4000);
        }
        let mut receiver = Receiver::new(&master(suite), &[]);
        let mut refused = 0;
        for n in 0..100 {
            let secure = protect(&mut sender, &rtp(sequence, 7)).unwrap();
            sequence = sequence.wrapping_add(1);
            match unprotect(&mut receiver, &secure) {
                Ok(_) => assert!(n >= 2),
                Err(error) => {
                    assert_eq!(error, Refused::NotAuthentic);
                    refused += 1;
                }
            }
        }
        assert_eq!(refused, 2, "{suite}: rollover 1 and 2 are tried before 3");
    }
}

#[test]
fn reordering_and_loss_are_taken_and_a_new_source_too() {
    let suite = Suite::AesCm128HmacSha1_32;
    let (mut sender, mut receiver) = (Sender::new(&master(suite)), Receiver::new(&master(suite), &[]));
    let packets: Vec<_> =
        (65_400..65_536u32).chain(0..200).map(|n| protect(&mut sender, &rtp(n as u16, 7)).unwrap()).collect();
    // Backwards within tens, every seventh lost.
    for tens in packets.chunks(10) {
        for (n, secure) in tens.iter().enumerate().rev().filter(|(n, _)| n % 7 != 3) {
            assert!(unprotect(&mut receiver, secure).is_ok(), "{n}");
        }
    }
    let other = protect(&mut sender, &rtp(40_000, 8)).unwrap();
    assert!(unprotect(&mut receiver, &other).is_ok());
    assert_eq!(unprotect(&mut receiver, &packets[335]), Err(Refused::Replayed), "the first source is still known");
}

#[test]
fn no_index_is_used_twice() {
    for suite in Suite::ALL {
        let mut sender = Sender::new(&master(suite));
        assert!(protect(&mut sender, &rtp(100, 7)).is_ok());
        let mut other = rtp(100, 7);
        other[20] ^= 1;
        assert_eq!(protect(&mut sender, &other), Err(Unprotected::Repeated), "{suite}");
        assert!(protect(&mut sender, &rtp(99, 7)).is_ok(), "{suite}: out of order is no reuse");
    }
}

#[test]
fn master_key_identifiers_are_looked_at() {
    for suite in Suite::ALL {
        let mut sender = Sender::new(&master(suite));
        let tag = if matches!(suite, Suite::AesCm128HmacSha1_80) { 10 } else { 4 };
        let with_mki = |secure: &[u8], mki: &[u8]| {
            let at = if matches!(suite, Suite::AeadAes128Gcm | Suite::AeadAes256Gcm) { 0 } else { tag };
            let (front, back) = secure.split_at(secure.len() - at);
            [front, mki, back].concat()
        };
        let mut receiver = Receiver::new(&master(suite), &[0, 1]);
        let secure = protect(&mut sender, &rtp(5, 7)).unwrap();
        assert_eq!(unprotect(&mut receiver, &with_mki(&secure, &[0, 2])), Err(Refused::UnknownKey), "{suite}");
        assert_eq!(unprotect(&mut receiver, &with_mki(&secure, &[0, 1])), Ok(rtp(5, 7)), "{suite}");
    }
}

#[test]
fn keys_are_fresh_and_never_shown() {
    let mut generator = KeyGenerator::new([7; 32]);
    let mut seen = std::collections::HashSet::new();
    for n in 0..400 {
        let suite = Suite::ALL[n % 4];
        let key = generator.master_key(suite);
        assert_eq!(key.octets().len(), suite.key_len() + suite.salt_len());
        assert!(seen.insert(key.octets().to_vec()));
        assert_eq!(format!("{key:?}"), format!("MasterKey({suite})"));
    }
    assert_eq!(
        KeyGenerator::new([7; 32]).master_key(Suite::AeadAes256Gcm),
        KeyGenerator::new([7; 32]).master_key(Suite::AeadAes256Gcm),
        "the same seed, the same keys"
    );
    assert_eq!(MasterKey::new(Suite::AeadAes128Gcm, &[0; 30]), None);
}
