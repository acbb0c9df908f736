use std::collections::HashMap;

use super::*;
use crate::proto::dns::Naptr;

/// A little of DNS: what is not in it is not there, and `silent` names get no answer.
#[derive(Default)]
struct Zone {
    records: HashMap<(String, Kind), Vec<Record>>,
    silent: Vec<String>,
    asked: Vec<Question>,
}

impl Zone {
    fn add(&mut self, name: &str, kind: Kind, record: Record) {
        self.records.entry((name.into(), kind)).or_default().push(record);
    }

    fn a(&mut self, name: &str, address: &str) {
        let address: IpAddr = address.parse().unwrap();
        self.add(name, if address.is_ipv4() { Kind::A } else { Kind::Aaaa }, Record::Address(address));
    }

    fn srv(&mut self, name: &str, priority: u16, weight: u16, port: u16, target: &str) {
        self.add(name, Kind::Srv, Record::Srv(Srv { priority, weight, port, target: target.into() }));
    }

    fn naptr(&mut self, name: &str, (order, preference): (u16, u16), services: &str, replacement: &str) {
        let (flags, services, replacement) = ("s".into(), services.into(), replacement.into());
        let rule = Naptr { order, preference, flags, services, has_expression: false, replacement };
        self.add(name, Kind::Naptr, Record::Naptr(rule));
    }

    /// Answers all that is asked; the watched destinations that changed.
    fn serve(&mut self, now: Instant, locator: &mut Locator) -> Vec<Destination> {
        let mut changed = Vec::new();
        while let Some(question) = locator.poll_question() {
            self.asked.push(question.clone());
            let records = self.records.get(&(question.name.clone(), question.kind)).cloned().unwrap_or_default();
            let answer = (!self.silent.contains(&question.name)).then_some(Answer { records, ttl_s: 100 });
            changed.extend(locator.answered(now, question, answer));
        }
        changed
    }

    /// Where a destination is, once DNS has said all.
    fn locate(&mut self, locator: &mut Locator, uri: &str) -> Located<Server> {
        let destination = destination(uri);
        // NAPTR, SRV, addresses: three rounds, and a fourth that finds all of it known.
        for _ in 0..4 {
            match locator.locate(at(0), &destination, &mut || 0) {
                Located::Pending => self.serve(at(0), locator),
                found => return found,
            };
        }
        panic!("still pending: {uri}");
    }
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn destination(uri: &str) -> Destination {
    crate::core::trunk::SipTarget::parse(uri).unwrap().destination
}

fn locator(listeners: &[(Transport, &str)]) -> Locator {
    let listeners: Vec<_> = listeners.iter().map(|(t, a)| (*t, SocketAddr::new(a.parse().unwrap(), 5060))).collect();
    Locator::new(&listeners)
}

fn all() -> Locator {
    locator(&[
        (Transport::Udp, "::"),
        (Transport::Udp, "0.0.0.0"),
        (Transport::Tcp, "0.0.0.0"),
        (Transport::Tls, "0.0.0.0"),
    ])
}

fn text(located: Located<Server>) -> String {
    match located {
        Located::At(servers) => {
            let words = servers.iter().map(|server| format!("{}:{}", server.transport.name(), server.address));
            words.collect::<Vec<_>>().join(" ")
        }
        other => format!("{other:?}"),
    }
}

/// The domain of RFC 3263 section 4.1's example, with a server more.
fn example() -> Zone {
    let mut zone = Zone::default();
    zone.naptr("example.com", (50, 50), "SIPS+D2T", "_sips._tcp.example.com");
    zone.naptr("example.com", (90, 50), "SIP+D2T", "_sip._tcp.example.com");
    zone.naptr("example.com", (100, 50), "SIP+D2U", "_sip._udp.example.com");
    zone.srv("_sips._tcp.example.com", 0, 1, 5061, "server1.example.com");
    zone.srv("_sips._tcp.example.com", 1, 1, 5061, "server2.example.com");
    zone.srv("_sip._tcp.example.com", 0, 1, 5060, "server1.example.com");
    zone.srv("_sip._tcp.example.com", 1, 2, 5060, "server2.example.com");
    zone.srv("_sip._udp.example.com", 2, 1, 5070, "server2.example.com");
    zone.srv("_sip._udp.example.com", 1, 1, 5080, "server1.example.com");
    zone.a("server1.example.com", "192.0.2.1");
    zone.a("server2.example.com", "192.0.2.2");
    zone.a("server2.example.com", "2001:db8::2");
    zone.a("example.com", "192.0.2.9");
    zone
}

#[test]
fn rules_choose_the_transport_then_services_the_servers() {
    let found = |listeners: &[(Transport, &str)], uri| text(example().locate(&mut locator(listeners), uri));
    let (udp, tcp, tls) = ((Transport::Udp, "0.0.0.0"), (Transport::Tcp, "0.0.0.0"), (Transport::Tls, "0.0.0.0"));
    assert_eq!(found(&[udp, tcp, tls], "sip:example.com"), "tls:192.0.2.1:5061 tls:192.0.2.2:5061");
    assert_eq!(found(&[udp, tcp], "sip:example.com"), "tcp:192.0.2.1:5060 tcp:192.0.2.2:5060");
    assert_eq!(found(&[udp], "sip:example.com"), "udp:192.0.2.1:5080 udp:192.0.2.2:5070");
    // Both families, in the order of our listeners.
    let both = [(Transport::Udp, "::"), udp];
    assert_eq!(found(&both, "sip:example.com"), "udp:192.0.2.1:5080 udp:[2001:db8::2]:5070 udp:192.0.2.2:5070");
    // What the URI says needs no rule, and a port no service.
    assert_eq!(found(&[udp, tcp, tls], "sip:example.com;transport=tcp"), "tcp:192.0.2.1:5060 tcp:192.0.2.2:5060");
    assert_eq!(found(&[udp, tcp, tls], "sip:EXAMPLE.com:5090"), "udp:192.0.2.9:5090");
    assert_eq!(found(&[udp, tcp, tls], "sips:example.com:5090"), "tls:192.0.2.9:5090");
    // A secure URI is never reached in clear.
    assert_eq!(found(&[udp, tcp, tls], "sips:example.com"), "tls:192.0.2.1:5061 tls:192.0.2.2:5061");
    assert_eq!(found(&[udp, tcp], "sips:example.com"), "Nowhere(NoServer)");
}

#[test]
fn without_rules_services_and_without_services_the_host() {
    let mut zone = Zone::default();
    zone.srv("_sip._tcp.b.example", 5, 0, 5062, "s.b.example");
    zone.a("s.b.example", "192.0.2.5");
    zone.a("b.example", "192.0.2.6");
    zone.a("c.example", "192.0.2.7");
    let mut locator = all();
    assert_eq!(text(zone.locate(&mut locator, "sip:b.example")), "tcp:192.0.2.5:5062");
    assert_eq!(text(zone.locate(&mut locator, "sip:b.example;transport=udp")), "udp:192.0.2.6:5060");
    assert_eq!(text(zone.locate(&mut locator, "sip:c.example")), "udp:192.0.2.7:5060");
    assert_eq!(text(zone.locate(&mut locator, "sips:c.example")), "tls:192.0.2.7:5061");
    assert_eq!(text(zone.locate(&mut locator, "sip:d.example")), "Nowhere(NoServer)");
    assert_eq!(text(zone.locate(&mut locator, "sip:192.0.2.8")), "udp:192.0.2.8:5060");
    assert_eq!(text(zone.locate(&mut locator, "sip:[2001:db8::1]:9;transport=tcp")), "Nowhere(NoListener)");
    let asked = zone.asked.len();
    assert_eq!(text(zone.locate(&mut locator, "sip:localhost:5070")), "udp:[::1]:5070 udp:127.0.0.1:5070");
    assert_eq!(zone.asked.len(), asked, "RFC 6761: nobody is asked for localhost");
}

#[test]
fn a_service_that_is_not_there_is_not_looked_for_elsewhere() {
    let mut zone = Zone::default();
    zone.srv("_sip._udp.b.example", 0, 0, 0, "");
    zone.a("b.example", "192.0.2.6");
    assert_eq!(text(zone.locate(&mut all(), "sip:b.example;transport=udp")), "Nowhere(NoServer)");
    // Rules that we cannot follow count as none (RFC 3263 section 4.1).
    zone.naptr("c.example", (1, 1), "SIP+D2S", "_sip._sctp.c.example");
    zone.naptr("c.example", (2, 1), "E2U+sip", "c.example");
    zone.a("c.example", "192.0.2.7");
    assert_eq!(text(zone.locate(&mut all(), "sip:c.example")), "udp:192.0.2.7:5060");
    for odd in ["224.0.0.1", "0.0.0.0", "255.255.255.255"] {
        zone.a("d.example", odd);
    }
    assert_eq!(text(zone.locate(&mut all(), "sip:d.example")), "Nowhere(NoServer)");
}

#[test]
fn weights_share_among_servers_of_one_priority() {
    let mut zone = Zone::default();
    for (server, weight) in [("a", 60), ("b", 30), ("c", 10)] {
        zone.srv("_sip._udp.b.example", 1, weight, 5060, server);
        zone.a(server, &format!("192.0.2.{weight}"));
    }
    zone.srv("_sip._udp.b.example", 0, 0, 5060, "first");
    zone.a("first", "192.0.2.1");
    let mut locator = locator(&[(Transport::Udp, "0.0.0.0")]);
    let uri = destination("sip:b.example;transport=udp");
    zone.locate(&mut locator, "sip:b.example;transport=udp");
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut second = HashMap::<SocketAddr, u32>::new();
    for _ in 0..10_000 {
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let Located::At(servers) = locator.locate(at(1), &uri, &mut next) else { panic!("pending") };
        assert_eq!(servers.len(), 4);
        assert_eq!(servers[0].address, "192.0.2.1:5060".parse().unwrap());
        *second.entry(servers[1].address).or_default() += 1;
    }
    for weight in [60, 30, 10] {
        let share = f64::from(second[&format!("192.0.2.{weight}:5060").parse().unwrap()]) / 100.0;
        assert!((share - f64::from(weight)).abs() < 2.0, "weight {weight} got {share} %");
    }
}

#[test]
fn what_is_watched_is_asked_before_it_runs_out_and_tells_when_it_changed() {
    let mut zone = Zone::default();
    zone.a("b.example", "192.0.2.6");
    let mut locator = locator(&[(Transport::Udp, "0.0.0.0")]);
    let uri = destination("sip:b.example:5060");
    locator.watch(at(0), [uri.clone(), destination("sip:192.0.2.1")]);
    assert_eq!(locator.poll_timeout(), Some(at(0)));
    assert_eq!(locator.handle_timeout(at(0)), []);
    assert_eq!(zone.serve(at(0), &mut locator), std::slice::from_ref(&uri));
    assert_eq!(locator.poll_timeout(), Some(at(90)), "a tenth ahead of 100 s");
    locator.handle_timeout(at(90));
    assert_eq!(zone.serve(at(90), &mut locator), [], "asked anew, nothing changed");
    assert_eq!(zone.asked.len(), 2);
    zone.a("b.example", "192.0.2.7");
    locator.handle_timeout(at(180));
    assert_eq!(zone.serve(at(180), &mut locator), std::slice::from_ref(&uri));
    // DNS falls silent: what was known stands in.
    zone.silent.push("b.example".into());
    for seconds in (180..1_000).step_by(10) {
        locator.handle_timeout(at(seconds));
        assert_eq!(zone.serve(at(seconds), &mut locator), []);
        assert_eq!(text(locator.locate(at(seconds), &uri, &mut || 0)), "udp:192.0.2.6:5060 udp:192.0.2.7:5060");
    }
    locator.watch(at(1_000), []);
    assert_eq!(locator.poll_timeout(), None);
}

#[test]
fn silence_is_told_from_absence() {
    let mut zone = example();
    zone.silent.push("server1.example.com".into());
    let tcp = &mut locator(&[(Transport::Tcp, "0.0.0.0")]);
    assert_eq!(text(zone.locate(tcp, "sip:example.com")), "tcp:192.0.2.2:5060", "the other one will do");
    zone.silent.push("server2.example.com".into());
    let tcp = &mut locator(&[(Transport::Tcp, "0.0.0.0")]);
    assert_eq!(text(zone.locate(tcp, "sip:example.com")), "Nowhere(NoAnswer)");
    // A domain whose rules cannot be had is still found by its services.
    let mut zone = example();
    zone.silent.push("example.com".into());
    let tcp = &mut locator(&[(Transport::Tcp, "0.0.0.0")]);
    assert_eq!(text(zone.locate(tcp, "sip:example.com")), "tcp:192.0.2.1:5060 tcp:192.0.2.2:5060");
}

/// Whatever DNS says, a search ends after three rounds of questions, with a bounded list.
#[test]
fn any_zone_comes_to_an_end() {
    let seed = std::env::var("CORDBOARD_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1u64);
    println!("CORDBOARD_SEED={seed}");
    let mut state = seed | 1;
    let mut next = move |most: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % most
    };
    for _ in 0..300 {
        let names = ["a.example", "_sip._udp.a.example", "_sip._tcp.a.example", "_sips._tcp.a.example", "b", "c", ""];
        let mut zone = Zone::default();
        for _ in 0..next(60) {
            let (name, other) = (names[next(6) as usize], names[next(7) as usize]);
            match next(3) {
                0 => {
                    let services = ["SIP+D2U", "SIP+D2T", "SIPS+D2T", "SIP+D2S", ""][next(5) as usize];
                    zone.naptr(name, (next(3) as u16, next(3) as u16), services, other);
                }
                1 => zone.srv(name, next(3) as u16, next(3) as u16, next(3) as u16 * 5060, other),
                _ => zone.a(name, &format!("192.0.2.{}", next(200))),
            }
            if next(20) == 0 {
                zone.silent.push(name.to_owned());
            }
        }
        for uri in ["sip:a.example", "sips:a.example", "sip:a.example;transport=tcp", "sip:a.example:5060"] {
            let mut locator = all();
            if let Located::At(servers) = zone.locate(&mut locator, uri) {
                assert!((1..=SERVERS_MAX).contains(&servers.len()));
                assert!(!uri.starts_with("sips") || servers.iter().all(|s| s.transport == Transport::Tls));
            }
        }
    }
}
