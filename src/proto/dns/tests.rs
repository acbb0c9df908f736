use super::*;

fn question(name: &str, kind: Kind) -> Question {
    Question { name: name.into(), kind }
}

/// Writes messages as servers do.
struct Writer(Vec<u8>);

impl Writer {
    fn answer(id: u16, flags: u16, counts: [u16; 4]) -> Self {
        let mut message = id.to_be_bytes().to_vec();
        message.extend(flags.to_be_bytes());
        counts.iter().for_each(|count| message.extend(count.to_be_bytes()));
        Self(message)
    }

    fn name(mut self, name: &str) -> Self {
        for label in name.split('.').filter(|label| !label.is_empty()) {
            self.0.push(label.len() as u8);
            self.0.extend_from_slice(label.as_bytes());
        }
        self.0.push(0);
        self
    }

    fn octets(mut self, octets: &[u8]) -> Self {
        self.0.extend_from_slice(octets);
        self
    }

    fn u16s(mut self, words: &[u16]) -> Self {
        words.iter().for_each(|word| self.0.extend(word.to_be_bytes()));
        self
    }

    fn asked(self, name: &str, kind: Kind) -> Self {
        self.name(name).u16s(&[kind.code(), 1])
    }

    /// Owner by a pointer to the question.
    fn record(self, code: u16, ttl: u32, data: &[u8]) -> Self {
        self.octets(&[0xc0, 12]).tail(code, ttl, data)
    }

    fn tail(self, code: u16, ttl: u32, data: &[u8]) -> Self {
        self.u16s(&[code, 1]).octets(&ttl.to_be_bytes()).u16s(&[data.len() as u16]).octets(data)
    }
}

fn wire(name: &str) -> Vec<u8> {
    Writer(Vec::new()).name(name).0
}

#[test]
fn a_question_is_asked_as_rfc_1035_draws_it() {
    let asked = query(0x1234, &question("_sip._udp.example.org", Kind::Srv)).unwrap();
    assert_eq!(&asked[..12], [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(&asked[12..], [wire("_sip._udp.example.org"), vec![0, 33, 0, 1]].concat());
    let long = vec!["a"; 128].join(".");
    for bad in ["", ".", "a..b", "a.", &"a".repeat(64), &long] {
        assert_eq!(query(1, &question(bad, Kind::A)), None, "{bad}");
    }
}

#[test]
fn servers_of_a_service_are_read() {
    let q = question("_sip._udp.example.org", Kind::Srv);
    let srv = |priority: u16, target: &str| [&priority.to_be_bytes()[..], &[0, 5, 0x13, 0xc4], &wire(target)].concat();
    let message = Writer::answer(7, 0x8180, [1, 2, 0, 0])
        .asked("_SIP._udp.Example.org", Kind::Srv)
        .record(33, 300, &srv(10, "A.Example.org"))
        .record(33, 60, &srv(20, ""))
        .0;
    let answer = read(7, &q, &message).unwrap();
    assert_eq!(answer.ttl_s, 60);
    let server = |priority, target: &str| Record::Srv(Srv { priority, weight: 5, port: 5060, target: target.into() });
    assert_eq!(answer.records, [server(10, "a.example.org"), server(20, "")]);
}

#[test]
fn rules_of_a_domain_are_read() {
    let q = question("example.org", Kind::Naptr);
    let data = [&[0, 50, 0, 60, 1, b'S', 7][..], b"SIPS+d2t"].concat();
    // A length that says seven of eight octets shifts what follows: the expression is then "t...", and it ends too early.
    let broken = Writer::answer(7, 0x8180, [1, 1, 0, 0]).asked("example.org", Kind::Naptr).record(35, 9, &data).0;
    assert_eq!(read(7, &q, &broken), Err(DnsError::Malformed));
    let data = [&[0, 50, 0, 60, 1, b'S', 8][..], b"SIPS+d2t", &[0], &wire("_sips._tcp.example.org")].concat();
    let message = Writer::answer(7, 0x8180, [1, 1, 0, 0]).asked("example.org", Kind::Naptr).record(35, 9, &data).0;
    let rule = Naptr {
        order: 50,
        preference: 60,
        flags: "s".into(),
        services: "SIPS+D2T".into(),
        has_expression: false,
        replacement: "_sips._tcp.example.org".into(),
    };
    assert_eq!(read(7, &q, &message), Ok(Answer { records: vec![Record::Naptr(rule)], ttl_s: 9 }));
}

#[test]
fn aliases_are_followed_within_the_answer() {
    let q = question("sip.example.org", Kind::A);
    let message = Writer::answer(7, 0x8180, [1, 3, 0, 0])
        .asked("sip.example.org", Kind::A)
        .name("b.example.net")
        .tail(1, 900, &[192, 0, 2, 1])
        .record(5, 30, &wire("b.example.net"))
        .name("stranger.example.com")
        .tail(1, 900, &[192, 0, 2, 66])
        .0;
    let record = Record::Address("192.0.2.1".parse().unwrap());
    assert_eq!(read(7, &q, &message), Ok(Answer { records: vec![record], ttl_s: 30 }));
    // An alias of itself leads nowhere.
    let round = Writer::answer(7, 0x8180, [1, 1, 0, 0])
        .asked("sip.example.org", Kind::A)
        .record(5, 30, &wire("sip.example.org"))
        .0;
    assert_eq!(read(7, &q, &round), Ok(Answer { records: vec![], ttl_s: 0 }));
}

#[test]
fn an_absence_says_for_how_long() {
    let q = question("example.org", Kind::Aaaa);
    let soa =
        [wire("ns.example.org"), wire("root.example.org"), [0; 16].to_vec(), 120u32.to_be_bytes().to_vec()].concat();
    for code in [0, 3] {
        let message =
            Writer::answer(7, 0x8180 | code, [1, 0, 1, 0]).asked("example.org", Kind::Aaaa).record(6, 3_600, &soa).0;
        assert_eq!(read(7, &q, &message), Ok(Answer { records: vec![], ttl_s: 120 }));
    }
}

#[test]
fn what_is_not_the_answer_is_told_apart() {
    let q = question("example.org", Kind::A);
    let good = Writer::answer(7, 0x8180, [1, 1, 0, 0]).asked("example.org", Kind::A).record(1, 60, &[192, 0, 2, 1]).0;
    assert!(read(7, &q, &good).is_ok());
    assert_eq!(read(8, &q, &good), Err(DnsError::Foreign), "number");
    assert_eq!(read(7, &question("example.com", Kind::A), &good), Err(DnsError::Foreign), "name");
    assert_eq!(read(7, &question("example.org", Kind::Aaaa), &good), Err(DnsError::Foreign), "type");
    assert_eq!(read(7, &q, &query(7, &q).unwrap()), Err(DnsError::Foreign), "a question");
    assert_eq!(read(7, &q, &good[..11]), Err(DnsError::Malformed));
    let cut = Writer::answer(7, 0x8380, [1, 0, 0, 0]).asked("example.org", Kind::A).0;
    assert_eq!(read(7, &q, &cut), Err(DnsError::Truncated));
    let failed = Writer::answer(7, 0x8182, [0, 0, 0, 0]).0;
    assert_eq!(read(7, &q, &failed), Err(DnsError::Server(2)));
    assert_eq!(read(7, &q, &Writer::answer(7, 0x8180, [0, 0, 0, 0]).0), Err(DnsError::Foreign), "no question");
}

#[test]
fn pointers_lead_back_and_end() {
    let q = question("example.org", Kind::A);
    let head = || Writer::answer(7, 0x8180, [1, 1, 0, 0]).asked("example.org", Kind::A);
    let here = head().0.len() as u16;
    for to in [here, here + 2, 0x3fff] {
        let message = head().u16s(&[0xc000 | to]).tail(1, 60, &[192, 0, 2, 1]).0;
        assert_eq!(read(7, &q, &message), Err(DnsError::Malformed), "pointer to {to} from {here}");
    }
    // A chain of pointers, each to the one before, as long as the message.
    let mut chain = Writer::answer(7, 0x8180, [1, 2, 0, 0]).asked("example.org", Kind::A);
    let data: Vec<u8> =
        (0..200u16).flat_map(|n| (0xc000 | if n == 0 { 12 } else { here + 12 + 2 * (n - 1) }).to_be_bytes()).collect();
    chain = chain.record(16, 60, &data);
    let last = here + 12 + 2 * 199;
    let message = chain.u16s(&[0xc000 | last]).tail(1, 60, &[192, 0, 2, 1]).0;
    assert_eq!(read(7, &q, &message), Err(DnsError::Malformed));
}
