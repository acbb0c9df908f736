//! Answers of DNS from anybody.

use cordboard::proto::dns::{DnsError, Kind, Question, RECORDS_MAX, Record, query, read};

use crate::chance::Chance;
use crate::fuzz;

const ID: u16 = 0x1234;

fn question(kind: Kind) -> Question {
    Question { name: "_sip._udp.example.org".into(), kind }
}

/// An answer with a record of each kind of data, owners by pointer.
fn answer(kind: Kind) -> Vec<u8> {
    let mut message = query(ID, &question(kind)).expect("a question");
    message[2..4].copy_from_slice(&[0x81, 0x80]);
    message[7] = 3;
    message[9] = 1;
    let mut record = |code: u16, data: &[u8]| {
        message.extend([0xc0, 12]);
        message.extend(code.to_be_bytes());
        message.extend([0, 1, 0, 0, 1, 0x2c]);
        message.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        message.extend(data);
    };
    let (code, data): (u16, &[u8]) = match kind {
        Kind::A => (1, &[192, 0, 2, 1]),
        Kind::Aaaa => (28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        Kind::Srv => (33, b"\0\x01\0\x02\x13\xc4\x01a\xc0\x16"),
        Kind::Naptr => (35, b"\0\x01\0\x02\x01S\x07SIP+D2U\0\x01b\xc0\x16"),
    };
    record(code, data);
    record(code, data);
    record(5, b"\x01c\xc0\x16");
    record(6, &[&b"\xc0\x16\xc0\x16"[..], &[0; 20]].concat());
    message
}

/// Whatever comes, it is refused, or what is read of it is bounded and of the kind that was asked for.
fn answers(mut chance: Chance<'_>) {
    let kind = *chance.pick(&[Kind::A, Kind::Aaaa, Kind::Srv, Kind::Naptr]);
    let asked = question(kind);
    let corpus = [answer(kind)];
    while !chance.is_spent() {
        let message = if chance.one_in(8) { chance.take(300).to_vec() } else { chance.bent(&corpus, &[]) };
        match read(ID, &asked, &message) {
            Err(DnsError::Server(code)) => assert!(code != 0 && code != 3 && code < 16),
            Err(_) => {}
            Ok(read) => {
                assert!(read.records.len() <= RECORDS_MAX && read.ttl_s >> 31 == 0);
                read.records.iter().for_each(|record| look(kind, record));
            }
        }
        assert_eq!(read(ID ^ 1, &asked, &corpus[0]), Err(DnsError::Foreign));
    }
}

fn look(kind: Kind, record: &Record) {
    let is_name = |name: &str| {
        name.len() <= 255 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.?".contains(&b))
    };
    match record {
        Record::Address(address) => assert!(if address.is_ipv4() { kind == Kind::A } else { kind == Kind::Aaaa }),
        Record::Srv(srv) => assert!(kind == Kind::Srv && is_name(&srv.target)),
        Record::Naptr(rule) => assert!(kind == Kind::Naptr && is_name(&rule.replacement)),
    }
}

#[test]
fn what_answers_is_read_or_refused() {
    for kind in [Kind::A, Kind::Aaaa, Kind::Srv, Kind::Naptr] {
        assert_eq!(read(ID, &question(kind), &answer(kind)).map(|answer| answer.records.len()), Ok(2), "{kind:?}");
    }
    fuzz!(1_024, answers);
}
