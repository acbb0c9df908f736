//! Names of servers: what a call does while DNS is asked, and that it comes to an end whatever DNS does.

use std::time::Duration;

use cordboard::base::{Cause, Instant, Now, Timestamp};
use cordboard::core::switch::{Input, Output, Switch};
use cordboard::proto::dns::{Answer, Kind, Question, Record, Srv};
use cordboard::proto::sip::{Event, Transport};

use crate::desk::{Desk, PROVISION, Party, config};
use crate::provision;
use crate::world::{Manners, World};

/// The desk with the carrier's way out by name, and one number that leads to a phone by a name that nobody provisioned.
fn desk(seed: u64) -> Desk {
    let by_name = "prefix = [\"8\"]\n[[trunk.peer]]\naddress = \"carrier.test\"\ntransport = \"udp\"\n";
    let text = PROVISION.replace("prefix = [\"8\"]\n", &format!("{by_name}priority = 0\n"));
    // The addresses stay, so that calls are taken from there, but nobody is called by them.
    let text = text.replace("port = 5070\npriority = 0\n", "port = 5070\npriority = 7\n");
    let text = text.replace("port = 5070\npriority = 1\n", "port = 5070\npriority = 8\n");
    let more = "[[flow]]\ntenant = \"acme\"\nname = \"uri\"\ntext = '''\n[flow]\nstart = \"out\"\n[step.out]\ndo = \"transfer\"\n\
                to = \"sip:7@desk.test\"\nring_s = 20\n'''\n[[number]]\nnumber = \"700\"\ntenant = \"acme\"\nflow = \"uri\"\n";
    Desk::new(seed, provision(&format!("{text}\n{more}")))
}

fn srv(priority: u16, port: u16, target: &str) -> Record {
    Record::Srv(Srv { priority, weight: 1, port, target: target.into() })
}

/// The records of the sample world.
fn records(question: &Question) -> Vec<Record> {
    match (question.name.as_str(), question.kind) {
        ("_sip._udp.carrier.test" | "_sip._udp.desk.test", Kind::Srv) => {
            vec![srv(2, 5070, "backup.test"), srv(1, 5070, "first.test")]
        }
        ("first.test", Kind::A) => vec![Record::Address([127, 0, 0, 2].into())],
        ("backup.test", Kind::A) => vec![Record::Address([127, 0, 0, 4].into())],
        _ => Vec::new(),
    }
}

fn tell(desk: &mut Desk, question: Question, answer: Option<Answer>) {
    let now = desk.now;
    desk.switch.handle(now, Input::Dns { question, answer });
    desk.pass(Duration::ZERO);
}

/// DNS answers everything that was asked, and what is asked then.
fn answer_all(desk: &mut Desk) {
    while let Some(question) = desk.asked.pop() {
        let answer = Some(Answer { records: records(&question), ttl_s: 60 });
        tell(desk, question, answer);
    }
}

#[test]
fn a_call_goes_to_the_next_server_of_a_name_and_remembers() {
    let mut desk = desk(1);
    answer_all(&mut desk);
    desk.client("200");
    let first = desk.rings(Party::Carrier, "85551234").expect("the first server");
    desk.with(Party::Carrier, |e, now| e.reject(now, first, 503, None, Some(90)));
    let second = desk.rings(Party::Backup, "85551234").expect("the second server");
    desk.accept(Party::Backup, second);
    desk.seconds(3);
    desk.hangup(Party::Backup, second);
    assert_eq!((desk.record().cause, desk.record().legs.len()), (Some(Cause::Normal), 3));
    // RFC 3261 section 21.5.4: until 90 s are over nothing goes there; the answers of DNS are renewed meanwhile.
    for (seconds, party) in [(40, Party::Backup), (30, Party::Backup), (30, Party::Carrier)] {
        for _ in 0..seconds {
            desk.seconds(1);
            answer_all(&mut desk);
        }
        let client = desk.client("200");
        let target = desk.rings(party, "85551234").unwrap_or_else(|| panic!("{party:?} rings"));
        desk.accept(party, target);
        desk.seconds(1);
        desk.hangup(Party::Carrier, client);
        desk.seconds(1);
    }
}

#[test]
fn another_refusal_is_the_domains_word() {
    let mut desk = desk(2);
    answer_all(&mut desk);
    desk.client("700");
    answer_all(&mut desk);
    let first = desk.rings(Party::Carrier, "7").expect("the first server");
    desk.with(Party::Carrier, |e, now| e.reject(now, first, 500, None, None));
    desk.seconds(1);
    assert!(desk.rings(Party::Backup, "7").is_none(), "RFC 3263 section 4.3: not asked");
    assert_eq!(desk.record().legs.len(), 2);
}

#[test]
fn a_caller_waits_for_dns_and_for_no_more_than_eight_seconds() {
    let mut desk = desk(3);
    answer_all(&mut desk);
    let client = desk.client("700");
    desk.seconds(5);
    assert!(desk.asked.iter().any(|question| question.name == "desk.test"), "{:?}", desk.asked);
    answer_all(&mut desk);
    let target = desk.rings(Party::Carrier, "7").expect("the phone rings");
    desk.accept(Party::Carrier, target);
    desk.hangup(Party::Carrier, client);
    desk.seconds(100);
    // What was known has run out; DNS is silent.
    let before = desk.cdrs.len();
    desk.asked.clear();
    let client = desk.client("700");
    desk.seconds(7);
    assert_eq!(desk.cdrs.len(), before, "it waits");
    desk.seconds(4);
    assert!(desk.heard(Party::Carrier, |e| matches!(e, Event::Failed { session, .. } if *session == client)));
    assert_eq!(desk.cdrs.last().and_then(|cdr| cdr.cause), Some(Cause::NoRoute));
    // A late answer does no harm.
    answer_all(&mut desk);
}

#[test]
fn who_hangs_up_while_dns_is_asked_is_gone() {
    let mut desk = desk(4);
    answer_all(&mut desk);
    let client = desk.client("700");
    desk.hangup(Party::Carrier, client);
    answer_all(&mut desk);
    desk.seconds(20);
    assert!(desk.rings(Party::Carrier, "7").is_none());
    assert_eq!(desk.record().legs.len(), 1);
}

/// DNS answers at random: late, wrongly, not at all, or with what it said before; callers come, wait, go. Every call ends
/// with a record, and all invariants hold after every step.
#[test]
fn whatever_dns_does_calls_end() {
    let seeds = std::env::var("CORDBOARD_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30u64);
    for seed in 1..=seeds {
        println!("seed {seed}");
        let mut dice = seed;
        let mut roll = move |below: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % below
        };
        let mut desk = desk(seed);
        let mut callers = Vec::new();
        for _ in 0..60 {
            match roll(6) {
                0 => callers.push(desk.client(["200", "700"][roll(2) as usize])),
                1 if !callers.is_empty() => {
                    let caller = callers.swap_remove(roll(callers.len() as u64) as usize);
                    desk.hangup(Party::Carrier, caller);
                }
                2 => {
                    for (party, user) in [(Party::Carrier, "85551234"), (Party::Backup, "7"), (Party::Carrier, "7")] {
                        let Some(target) = desk.rings(party, user) else { continue };
                        match roll(3) {
                            0 => desk.accept(party, target),
                            1 => desk.with(party, |e, now| e.reject(now, target, 503, None, Some(7))),
                            _ => {}
                        }
                    }
                }
                3 => desk.pass(Duration::from_millis(roll(9_000))),
                _ => {
                    if desk.asked.is_empty() {
                        continue;
                    }
                    let question = desk.asked.swap_remove(roll(desk.asked.len() as u64) as usize);
                    let records = records(&question);
                    let answer = match roll(4) {
                        0 => None,
                        1 => Some(Answer { records: Vec::new(), ttl_s: 1 }),
                        _ => Some(Answer { records, ttl_s: roll(30) as u32 }),
                    };
                    tell(&mut desk, question, answer);
                }
            }
        }
        for caller in callers {
            desk.hangup(Party::Carrier, caller);
        }
        desk.seconds(400);
        assert_eq!(desk.cdrs.len(), desk.started, "seed {seed}: a record for each call");
    }
}

/// What listens on all addresses calls from the one that media has: nobody could answer to 0.0.0.0.
#[test]
fn requests_of_a_listener_on_all_addresses_name_a_real_one() {
    let mut config = config(1, 1, 1);
    config.listeners = ["0.0.0.0:5060", "[::]:5060"].map(|text| (Transport::Udp, text.parse().unwrap())).into();
    config.media_addresses = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap()).into();
    let trunk = |name: &str, address: &str| {
        format!("[[trunk]]\nname = '{name}'\nkind = 'sip'\npeer = [{{ address = '{address}', options_s = 5 }}]\n")
    };
    let text = [trunk("four", "192.0.2.9"), trunk("six", "2001:db8::9")].concat();
    let mut now = Now { mono: Instant::ZERO, wall: Timestamp(0) };
    let mut switch = Switch::new(now, config, provision(&text));
    now = now.after(Duration::from_secs(6));
    switch.handle_timeout(now);
    let mut asked = Vec::new();
    while let Some(output) = switch.poll_output() {
        if let Output::Transmit(transmit) = output {
            asked.push((transmit.path.local.to_string(), String::from_utf8_lossy(&transmit.bytes).into_owned()));
        }
    }
    for own in ["192.0.2.1:5060", "[2001:db8::1]:5060"] {
        let (_, text) = asked.iter().find(|(local, _)| local == own).unwrap_or_else(|| panic!("{own}: {asked:?}"));
        assert!(text.contains(&format!("Via: SIP/2.0/UDP {own};")) && text.contains(&format!("sip:{own}")), "{text}");
    }
}

/// A carrier that is provisioned by name has a peer's standing at the gate: no stranger's rate, no ban.
#[test]
fn a_peer_known_by_name_is_no_stranger() {
    let by_name = crate::PROVISION.replace("127.0.0.2\"", "carrier.test\"\ntransport = \"udp\"");
    let text = format!("[sip]\nexempt = []\n{by_name}");
    let mut world =
        World::new(6, provision(&text), Manners { patience_mean_s: 2.0, no_answer: 0.0, ..crate::manners() });
    while let Some(question) = world.asked.pop() {
        let here = question.name == "carrier.test" && question.kind == Kind::A;
        let records = if here { vec![Record::Address([127, 0, 0, 2].into())] } else { Vec::new() };
        world.switch.handle(world.now, Input::Dns { question, answer: Some(Answer { records, ttl_s: 86_400 }) });
        world.settle();
    }
    let soon = Duration::from_secs(1);
    (0..400).for_each(|n| world.dial_after(soon + n * Duration::from_millis(10), n));
    world.run(Duration::from_secs(900));
    assert_eq!(world.tally.served.get("100"), Some(&400));
    let load = world.switch.status().load;
    assert!(load.shed.is_empty() && load.seen.is_empty(), "{load:?}");
    world.check_over();
}
