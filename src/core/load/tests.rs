use super::*;

const KNOWN: &str = "192.0.2.1";
const STRANGER: &str = "198.51.100.1";

/// Facts as a test sets them.
#[derive(Default)]
struct World {
    full: bool,
    served: bool,
    expected: bool,
    replaced: bool,
}

impl Facts for World {
    fn full(&self) -> Option<&'static str> {
        self.full.then_some("calls-max")
    }

    fn serves(&self, _: &Glance<'_>) -> bool {
        self.served
    }

    fn replaces(&self, _: &Glance<'_>) -> bool {
        self.replaced
    }

    fn expects(&self, _: &Glance<'_>) -> bool {
        self.expected
    }
}

fn start() -> Instant {
    Instant::from_micros(1_000_000)
}

fn gate() -> Gate {
    let mut gate = Gate::new(start(), 7);
    gate.provision(&Sip { stranger_per_s: 5, ..Sip::default() });
    gate
}

/// A gate whose limit is the least there is, with nothing left of it.
fn limiting() -> Gate {
    let mut gate = gate();
    let wait = governor::Sample { elapsed: governor::TICK, queue: Duration::from_secs(1), ..Default::default() };
    (0..10).for_each(|_| gate.governor.tick(start(), wait));
    gate.governor.tick(start(), wait);
    assert!(gate.governor.limit().is_some());
    gate
}

fn message(method: &str, user: &str, n: u32, to: &str) -> String {
    format!(
        "{method} sip:{user}@h SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK{n}\r\nFrom: <sip:f@h>;tag=1\r\n\
         To: <sip:{user}@h>{to}\r\nCall-ID: {n}\r\nCSeq: 1 {method}\r\n\r\n"
    )
}

fn judge(gate: &mut Gate, address: &str, text: &str, facts: &World) -> Verdict {
    let address: IpAddr = address.parse().expect("an address");
    let standing = if address.to_string() == KNOWN { Standing::Peer } else { Standing::Stranger };
    if gate.keeps_out(start(), address, standing) {
        return Verdict::Drop;
    }
    gate.judge(&Arrival { now: start(), address, standing, glance: &Glance::new(text.as_bytes()) }, facts)
}

fn refused(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Unavailable { retry_after_s, .. } if (2..=9).contains(&retry_after_s))
}

#[test]
fn an_open_gate_lets_everybody_in() {
    let mut gate = gate();
    let world = World::default();
    for (n, method) in ["INVITE", "REGISTER", "OPTIONS", "BYE", "ACK"].into_iter().enumerate() {
        for address in [KNOWN, STRANGER] {
            assert_eq!(
                judge(&mut gate, address, &message(method, "1", n as u32, ""), &world),
                Verdict::Pass,
                "{method}"
            );
        }
    }
    assert!(gate.shed.is_empty());
}

#[test]
fn at_the_limit_what_goes_on_passes_and_new_calls_wait() {
    let mut gate = limiting();
    let world = World::default();
    assert!(refused(judge(&mut gate, KNOWN, &message("INVITE", "100", 1, ""), &world)));
    for (method, to) in [
        ("INVITE", ";tag=1-a"),
        ("BYE", ";tag=1-a"),
        ("ACK", ";tag=1-a"),
        ("CANCEL", ""),
        ("REGISTER", ""),
        ("OPTIONS", ""),
    ] {
        assert_eq!(judge(&mut gate, KNOWN, &message(method, "100", 2, to), &world), Verdict::Pass, "{method}");
    }
    assert_eq!(judge(&mut gate, KNOWN, "SIP/2.0 200 OK\r\n\r\n", &world), Verdict::Pass);
    // A retransmission of an INVITE that is served belongs to what goes on.
    let served = World { served: true, ..World::default() };
    assert_eq!(judge(&mut gate, KNOWN, &message("INVITE", "100", 3, ""), &served), Verdict::Pass);
    assert_eq!(gate.shed.get("overload"), Some(&1));
}

#[test]
fn emergency_calls_of_those_we_know_pass_beyond_the_limit_with_bound() {
    let mut gate = limiting();
    let world = World { full: true, ..World::default() };
    let passed = (0..100)
        .filter(|n| judge(&mut gate, KNOWN, &message("INVITE", "911", *n, ""), &world) == Verdict::Pass)
        .count();
    assert!((4..=6).contains(&passed), "{passed}");
    assert!(gate.shed.get("emergency-share").is_some_and(|n| *n >= 94));
    // RFC 3261 section 19.1.4: escaped or not, it is the same number.
    assert_eq!(judge(&mut limiting(), KNOWN, &message("INVITE", "%39%311", 1, ""), &world), Verdict::Pass);
    assert!(refused(judge(&mut limiting(), KNOWN, &message("INVITE", "%39%301", 1, ""), &world)));
    let mut gate = limiting();
    assert!(refused(judge(&mut gate, STRANGER, &message("INVITE", "911", 1, ""), &world)), "a stranger's is none");
    for (number, is) in [
        ("112", true),
        ("+911", true),
        ("urn:service:sos.fire", true),
        ("urn:service:sosx", false),
        ("9110", false),
        ("9-1-1", true),
    ] {
        assert_eq!(gate.is_emergency(Standing::Phone, number.as_bytes()), is, "{number}");
        assert!(!gate.is_emergency(Standing::Stranger, number.as_bytes()));
    }
}

#[test]
fn a_retransmission_is_refused_as_its_invite_was_even_when_the_gate_opens() {
    let mut gate = limiting();
    let text = message("INVITE", "100", 1, "");
    let first = judge(&mut gate, KNOWN, &text, &World::default());
    assert!(refused(first));
    gate.governor = Governor::new(start());
    assert_eq!(judge(&mut gate, KNOWN, &text, &World::default()), first);
    assert_eq!(judge(&mut gate, KNOWN, &message("INVITE", "100", 2, ""), &World::default()), Verdict::Pass);
    assert_eq!(gate.shed.get("again"), Some(&1));
    // The ACK ends here.
    let print = Glance::new(text.as_bytes()).print(gate.secret).expect("a print");
    let ack = message("ACK", "100", 1, &format!(";tag=ov{print:016x}"));
    assert_eq!(judge(&mut gate, KNOWN, &ack, &World::default()), Verdict::Drop);
    assert_eq!(judge(&mut limiting(), STRANGER, &ack, &World::default()), Verdict::Drop);
    assert_eq!(gate.seen.get("ack-of-refusal"), Some(&1));
}

#[test]
fn what_was_let_in_passes_again_with_credentials_and_takes_no_second_place() {
    let with = |n: u32| {
        message("INVITE", "100", n, "")
            .replace(&format!("z9hG4bK{n}"), &format!("z9hG4bK{n}-2"))
            .replace("CSeq", "Authorization: x\r\nCSeq")
    };
    let mut gate = gate();
    for address in [KNOWN, STRANGER] {
        assert_eq!(judge(&mut gate, address, &message("INVITE", "100", 1, ""), &World::default()), Verdict::Pass);
        gate.governor = limiting().governor;
        assert_eq!(judge(&mut gate, address, &with(1), &World::default()), Verdict::Pass);
        assert!(refused(judge(&mut gate, address, &with(1).replace("-2", "-3"), &World::default())), "once");
        assert!(refused(judge(&mut gate, address, &with(2), &World::default())), "not let in before");
        gate.governor = Governor::new(start());
    }
}

#[test]
fn a_transfer_that_ends_is_no_new_call() {
    let mut gate = limiting();
    let full = World { full: true, replaced: true, ..World::default() };
    let text = message("INVITE", "100", 1, "").replace("CSeq", "Replaces: 1;to-tag=a;from-tag=b\r\nCSeq");
    assert_eq!(judge(&mut gate, KNOWN, &text, &full), Verdict::Pass);
    assert!(refused(judge(&mut gate, STRANGER, &text, &full)));
    assert!(
        refused(judge(&mut gate, KNOWN, &text.replace("K1", "K2"), &World { replaced: false, ..full })),
        "no such call"
    );
    let glance = |text: &str| Glance::new(text.as_bytes()).replaced().map(<[u8]>::to_vec);
    assert_eq!(glance(&text), Some(b"a".to_vec()));
}

#[test]
fn at_the_limit_registrations_have_a_share_with_bound() {
    let mut gate = limiting();
    let register = |n: u32| message("REGISTER", "100", n, "");
    let passed =
        (0..1000).filter(|n| judge(&mut gate, KNOWN, &register(*n), &World::default()) == Verdict::Pass).count();
    assert_eq!(passed, 20);
    assert_eq!(gate.shed.get("request-share"), Some(&980));
}

#[test]
fn bans_are_told_but_not_more_than_some_a_minute() {
    let mut gate = gate();
    for n in 0..50u8 {
        let address = IpAddr::from([198, 51, 100, n]);
        for _ in 0..5 {
            assert_eq!(gate.misbehaved(start(), address, Standing::Stranger, Misdeed::Credentials), None);
        }
    }
    assert_eq!(std::iter::from_fn(|| gate.poll_ban()).count(), BANS_TOLD as usize);
    assert_eq!(gate.seen.get("ban"), Some(&50));
    let later = start() + Duration::from_secs(60);
    for _ in 0..5 {
        gate.misbehaved(later, IpAddr::from([198, 51, 101, 1]), Standing::Stranger, Misdeed::Barred);
    }
    assert!(gate.poll_ban().is_some_and(|ban| ban.misdeed == Misdeed::Barred));
}

#[test]
fn who_is_never_banned_is_not_heard_when_it_guesses_passwords() {
    let mut gate = gate();
    // A phone, a peer, and a stranger who is exempt.
    for (n, standing, last) in [(1, Standing::Phone, 1), (2, Standing::Peer, 2), (3, Standing::Stranger, 3)] {
        let address = if n == 3 { IpAddr::from([127, 0, 0, last]) } else { IpAddr::from([192, 0, 2, last]) };
        let mut told = |misdeed| (0..99).filter_map(|_| gate.misbehaved(start(), address, standing, misdeed)).count();
        assert_eq!((told(Misdeed::Malformed), told(Misdeed::Barred)), (0, 0), "anybody could have done that");
        assert_eq!(told(Misdeed::Credentials), 1);
        assert!(!gate.keeps_out(start(), address, standing));
    }
    assert!(gate.poll_ban().is_none());
}

#[test]
fn full_is_told_at_the_gate() {
    let mut gate = gate();
    let full = World { full: true, ..World::default() };
    assert!(refused(judge(&mut gate, KNOWN, &message("INVITE", "100", 1, ""), &full)));
    assert_eq!(judge(&mut gate, KNOWN, &message("INVITE", "112", 2, ""), &full), Verdict::Pass);
    assert_eq!(
        judge(&mut gate, KNOWN, &message("INVITE", "100", 3, ""), &World { served: true, ..full }),
        Verdict::Pass
    );
    assert_eq!(gate.shed.get("calls-max"), Some(&1));
}

#[test]
fn a_strangers_flood_is_dropped_and_banned_but_not_what_it_has_to_do_with_us() {
    let mut gate = gate();
    let world = World::default();
    let text = message("OPTIONS", "100", 1, "");
    let passed = (0..1000).filter(|_| judge(&mut gate, STRANGER, &text, &world) == Verdict::Pass).count();
    assert_eq!(passed, 20);
    assert_eq!(gate.sources.bans(start()).len(), 1);
    assert!(gate.shed.get("banned").is_some_and(|n| *n > 700), "{:?}", gate.shed);
    assert_eq!(judge(&mut gate, "198.51.100.2", &text, &world), Verdict::Pass, "its neighbour is another");
    assert_eq!(judge(&mut gate, KNOWN, &text, &world), Verdict::Pass);
    // Loopback is exempt.
    assert!((0..1000).all(|_| judge(&mut gate, "127.0.0.9", &text, &world) == Verdict::Pass));
    // Within a call of ours a rate does not bind.
    let mut gate = self::gate();
    let ours = World { expected: true, ..World::default() };
    assert!((0..1000).all(|_| judge(&mut gate, STRANGER, &message("BYE", "1", 1, ";tag=1-a"), &ours) == Verdict::Pass));
}

#[test]
fn while_we_are_at_our_limit_strangers_come_last() {
    let mut gate = limiting();
    let world = World::default();
    assert!(refused(judge(&mut gate, STRANGER, &message("INVITE", "100", 1, ""), &world)));
    assert!(refused(judge(&mut gate, STRANGER, &message("REGISTER", "100", 2, ""), &world)));
    assert_eq!(judge(&mut gate, STRANGER, "no SIP", &world), Verdict::Drop);
    assert_eq!(judge(&mut gate, STRANGER, "SIP/2.0 200 OK\r\n\r\n", &world), Verdict::Drop);
    let ours = World { expected: true, ..World::default() };
    assert_eq!(judge(&mut gate, STRANGER, "SIP/2.0 200 OK\r\n\r\n", &ours), Verdict::Pass);
}

#[test]
fn a_peers_rate_is_its_own() {
    let mut gate = gate();
    gate.provision(&Sip { peer_per_s: 10, ..Sip::default() });
    let world = World::default();
    let passed = (0..100)
        .filter(|n| judge(&mut gate, KNOWN, &message("INVITE", "100", *n, ""), &world) == Verdict::Pass)
        .count();
    assert_eq!(passed, 40);
    assert_eq!(judge(&mut gate, KNOWN, &message("INVITE", "911", 200, ""), &world), Verdict::Pass);
    assert_eq!(judge(&mut gate, KNOWN, &message("BYE", "100", 201, ";tag=1-a"), &world), Verdict::Pass);
    assert_eq!(gate.shed.get("peer-rate"), Some(&60));
}

#[test]
fn scanners_are_counted() {
    let mut gate = gate();
    let text = message("OPTIONS", "100", 1, "").replace("CSeq", "User-Agent: Friendly-Scanner\r\nCSeq");
    assert_eq!(judge(&mut gate, STRANGER, &text, &World::default()), Verdict::Pass);
    assert_eq!(gate.seen.get("scanner"), Some(&1));
}

#[test]
fn networks_are_read_and_matched() {
    let inside = |address: &str, network: &str| {
        let (network, length) = prefix(network).expect("a network");
        within(address.parse().expect("an address"), network, length)
    };
    for (address, network, is) in [
        ("192.0.2.9", "192.0.2.0/24", true),
        ("192.0.3.9", "192.0.2.0/24", false),
        ("192.0.2.9", "192.0.2.9", true),
        ("192.0.2.8", "192.0.2.9", false),
        ("192.0.2.8", "0.0.0.0/0", true),
        ("2001:db8::1", "2001:db8::/32", true),
        ("2001:db9::1", "2001:db8::/32", false),
        ("2001:db9::1", "::/0", true),
        ("2001:db9::1", "0.0.0.0/0", false),
    ] {
        assert_eq!(inside(address, network), is, "{address} in {network}");
    }
    for bad in ["", "x", "192.0.2.0/33", "::/129", "192.0.2.0/x", "192.0.2.0/"] {
        assert_eq!(prefix(bad), None, "{bad}");
    }
}
