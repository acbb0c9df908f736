//! Whom calls come from, with SIPp as trunks inside and outside the trust domain and as a phone: what is passed on, what is
//! withheld, and what reaches the record.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Appliance, Peer, Place, flow, have, wait_for};

const LONG: Duration = Duration::from_secs(20);

/// Trunks by which calls come, one of them trusted; trunks by which they leave, one of them trusted; and ana's phone.
const WORLD: &str = "
[[trunk]]
name = 'inside'
kind = 'sip'
trusted = true
[[trunk.peer]]
address = 'NET.2'
[[trunk]]
name = 'outside'
kind = 'sip'
[[trunk.peer]]
address = 'NET.3'
[[trunk]]
name = 'to-inside'
kind = 'sip'
trusted = true
prefix = ['8']
strip = 1
[[trunk.peer]]
address = 'NET.4'
[[trunk]]
name = 'to-outside'
kind = 'sip'
caller_id = 'pass'
prefix = ['9']
strip = 1
[[trunk.peer]]
address = 'NET.5'
[[agent]]
tenant = 'acme'
name = 'ana'
user = 'ana'
password = 'ana-secret'
contact = 'sip:ana@NET.6:5060'
skills = { talk = 1.0 }
signed_in = true
wrap_up_s = 0
";

/// Who calls, and who is called.
const INSIDE: u8 = 2;
const OUTSIDE: u8 = 3;
const TO_INSIDE: u8 = 4;
const TO_OUTSIDE: u8 = 5;
const PHONE: u8 = 6;

/// A party that picks up, and what it is told in INVITEs.
struct Party {
    _sipp: Peer,
    messages: PathBuf,
    calls: usize,
}

impl Party {
    fn start(place: &Place, host: u8) -> Self {
        let messages = place.dir().join(format!("messages-{host}"));
        let file = messages.display().to_string();
        Self { _sipp: place.sipp(host, "agent", &["-trace_msg", "-message_file", &file]), messages, calls: 0 }
    }

    /// INVITEs that came, each once.
    fn invites(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.messages).unwrap_or_default().replace('\r', "");
        let messages = text.split("message received").skip(1).filter_map(|part| part.split_once("\n\n"));
        let mut invites: Vec<String> = Vec::new();
        for (_, message) in messages.filter(|(_, message)| message.starts_with("INVITE ")) {
            let head = message.split("\n\n").next().unwrap_or_default();
            if !invites.iter().any(|known| known == head) {
                invites.push(head.to_owned());
            }
        }
        invites
    }

    /// The INVITE that came since it was asked last.
    fn told(&mut self) -> String {
        self.calls += 1;
        wait_for("the INVITE", LONG, || self.invites().len() == self.calls);
        self.invites().pop().unwrap()
    }
}

/// The values of a header field, in order.
fn values<'m>(message: &'m str, name: &str) -> Vec<&'m str> {
    message.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

struct World {
    place: Place,
    appliance: Appliance,
    parties: [Party; 3],
    calls: usize,
}

impl World {
    fn start(name: &str) -> Self {
        let place = Place::new(name);
        let out = |to: &str| format!("[step.a]\ndo = 'transfer'\nto = '{to}'\n");
        let queue = "[step.a]\ndo = 'enqueue'\nqueue = 'desk'\n";
        let numbers = [flow("100", &out("85550100")), flow("200", &out("95550100")), flow("300", queue)].concat();
        let appliance = Appliance::start(&place, &[WORLD, &numbers].concat());
        let parties = [TO_INSIDE, TO_OUTSIDE, PHONE].map(|host| Party::start(&place, host));
        Self { place, appliance, parties, calls: 0 }
    }

    /// A call from `host` to a number of ours: what the party at `to` is told, and the record.
    fn call(&mut self, host: u8, from: &str, number: &str, to: u8, headers: &[&str]) -> (String, Value) {
        self.dial(host, from, number, headers);
        let told = self.parties[usize::from(to - TO_INSIDE)].told();
        self.calls += 1;
        let cdrs = self.appliance.cdrs();
        assert_eq!(cdrs.len(), self.calls, "{cdrs:?}");
        (told, cdrs.into_iter().max_by_key(|cdr| cdr["call_id"].as_str().map(str::to_owned)).unwrap())
    }

    fn dial(&self, host: u8, from: &str, number: &str, headers: &[&str]) {
        let (from, headers) = (format!("sip:{from}@{}", self.place.host(host)), headers.join("\r\n"));
        let args = ["-s", number, "-m", "1", "-key", "from", &from, "-key", "headers", &headers];
        self.place.sipp(host, "identity", &args).succeeds(LONG);
    }
}

const ASSERTED: &str = "P-Asserted-Identity: <sip:+15550177@carrier.example>";

/// What each of the three parties is told of a caller on a trunk.
#[test]
fn an_asserted_identity_is_believed_and_told_within_the_trust_domain() {
    if !have(&["sipp"]) {
        return;
    }
    let mut world = World::start("asserted");
    for (host, from) in [(INSIDE, "+15550177"), (OUTSIDE, "+15551")] {
        for (number, to) in [("100", TO_INSIDE), ("200", TO_OUTSIDE), ("300", PHONE)] {
            let (told, cdr) = world.call(host, "+15551", number, to, &[ASSERTED]);
            assert_eq!(cdr["from"], from, "{cdr}");
            assert!(values(&told, "From")[0].contains(&format!("<sip:{from}@")), "{told}");
            let asserted = values(&told, "P-Asserted-Identity");
            let expected = (host, to) == (INSIDE, TO_INSIDE);
            assert_eq!(asserted.len(), usize::from(expected), "{told}");
            assert!(!expected || asserted[0].starts_with("<sip:+15550177@"), "{told}");
            // Who is not believed is not passed on, either.
            assert!(host == INSIDE || !told.contains("5550177"), "{told}");
            assert!(values(&told, "Privacy").is_empty(), "{told}");
        }
    }
    world.appliance.stop();
}

/// RFC 3325 section 7: who withholds its number is told to trusted trunks alone.
#[test]
fn a_withheld_identity_goes_to_trusted_trunks_alone() {
    if !have(&["sipp"]) {
        return;
    }
    let mut world = World::start("withheld");
    for (number, to) in [("100", TO_INSIDE), ("200", TO_OUTSIDE), ("300", PHONE)] {
        let (mut told, cdr) = world.call(INSIDE, "+15551", number, to, &[ASSERTED, "Privacy: id"]);
        assert_eq!(cdr["from"], "anonymous", "{cdr}");
        assert!(!cdr.to_string().contains("5550177") && !cdr.to_string().contains("+1555"), "{cdr}");
        assert!(cdr["events"].to_string().contains("caller-withheld"), "{cdr}");
        assert!(values(&told, "From")[0].contains("<sip:anonymous@anonymous.invalid>"), "{told}");
        assert_eq!(values(&told, "Privacy"), ["id"], "{told}");
        if to == TO_INSIDE {
            let line = told.lines().find(|line| line.starts_with("P-Asserted-Identity: <sip:+15550177@")).unwrap();
            told = told.replace(line, "");
        }
        assert!(!told.contains("+1555") && values(&told, "P-Asserted-Identity").is_empty(), "{told}");
    }
    world.appliance.stop();
}

/// RFC 3325 section 5: a phone has proved who it is, and its own word for it counts for nothing.
#[test]
fn a_phone_asserts_nothing_and_speaks_for_itself_alone() {
    if !have(&["sipp"]) {
        return;
    }
    let mut world = World::start("phone");
    let ceo = "P-Asserted-Identity: <sip:ceo@example.org>";
    for (number, to) in [("85550100", TO_INSIDE), ("95550100", TO_OUTSIDE)] {
        for private in [false, true] {
            let headers = [ceo, "Privacy: id"];
            let (told, cdr) = world.call(7, "ana", number, to, &headers[..1 + usize::from(private)]);
            assert_eq!(cdr["from"], "ana", "the centre knows its agents: {cdr}");
            let asserted = values(&told, "P-Asserted-Identity");
            assert_eq!(asserted.len(), usize::from(to == TO_INSIDE), "{told}");
            assert!(asserted.iter().all(|value| value.starts_with("<sip:ana@")), "{told}");
            let user = if private { "<sip:anonymous@anonymous.invalid>" } else { "<sip:ana@" };
            assert!(values(&told, "From")[0].contains(user) && !told.contains("ceo"), "{told}");
            assert!(!private || !told.replace("P-Asserted-Identity: <sip:ana@", "").contains("ana@"), "{told}");
        }
    }
    // In a colleague's name it is refused, and nobody is called.
    let before = world.parties[0].invites().len();
    world.dial(7, "ben", "85550100", &[ceo]);
    assert_eq!(world.appliance.cdrs().len(), world.calls);
    assert_eq!(world.parties[0].invites().len(), before);
    world.appliance.stop();
}

/// RFC 5806 and RFC 7044: where a call has been goes on, with the number that sends it on now, and the record has whom it was
/// for first; a phone is told of the first and the last.
#[test]
fn diversions_reach_the_record_and_the_next_leg() {
    if !have(&["sipp"]) {
        return;
    }
    let mut world = World::start("diverted");
    let diversion = [
        "Diversion: <sip:5559001@carrier.example>;reason=no-answer",
        "Diversion: <sip:5559000@carrier.example>;reason=user-busy;counter=1",
    ];
    let history = "History-Info: <sip:5559000@x?Reason=SIP%3Bcause%3D486>;index=1, \
                   <sip:5559001@x?Reason=SIP%3Bcause%3D408>;index=1.1, <sip:100@x>;index=1.1.1";
    for headers in [&diversion[..], &[history]] {
        for (number, to) in [("200", TO_OUTSIDE), ("300", PHONE)] {
            // Nobody vouches for it, whoever sends it.
            let (told, cdr) = world.call(OUTSIDE, "+15551", number, to, headers);
            assert!(cdr["events"].to_string().contains("from 5559000, user-busy"), "{cdr}");
            let whole = [(number, "unconditional"), ("5559001", "no-answer"), ("5559000", "user-busy")];
            let diverted = values(&told, "Diversion");
            if to == PHONE {
                assert_eq!(diverted.len(), 2, "{told}");
                assert!(diverted[1].contains("sip:5559000@") && diverted[1].contains("user-busy"), "{told}");
                continue;
            }
            assert_eq!(diverted.len(), whole.len(), "{told}");
            for (value, (user, reason)) in diverted.iter().zip(whole) {
                assert!(value.starts_with(&format!("<sip:{user}@")) && value.ends_with(&format!(";reason={reason}")));
            }
            let entries: Vec<&str> = values(&told, "History-Info")[0].split(", ").collect();
            let users = ["5559000", "5559001", number, "5550100"];
            assert!(entries.iter().zip(users).all(|(e, user)| e.starts_with(&format!("<sip:{user}@"))), "{told}");
            let indices: Vec<_> = entries.iter().filter_map(|e| e.split(";index=").nth(1)?.split(';').next()).collect();
            assert_eq!(indices, ["1", "1.1", "1.1.1", "1.1.1.1"], "{told}");
        }
    }
    world.appliance.stop();
}

/// RFC 5806 section 4.1, RFC 7044 section 10.1: a withheld number is in no record and at no phone; a peer that is not trusted
/// is told that there was one, and a trusted one which, with the wish to withhold it.
#[test]
fn withheld_diversions_do_not_leak() {
    if !have(&["sipp"]) {
        return;
    }
    let mut world = World::start("hidden");
    let parameter = "Diversion: <sip:5559001@carrier.example>;reason=no-answer;privacy=full";
    let plain = "Diversion: <sip:5559001@carrier.example>;reason=no-answer";
    let entry = "History-Info: <sip:5559001@x?Privacy=history>;index=1, <sip:100@x>;index=1.1";
    for headers in [&[parameter][..], &[plain, "Privacy: history"], &[entry]] {
        for (number, to) in [("100", TO_INSIDE), ("200", TO_OUTSIDE), ("300", PHONE)] {
            let (told, cdr) = world.call(INSIDE, "+15551", number, to, headers);
            assert!(!cdr.to_string().contains("5559001"), "{cdr}");
            assert!(cdr["events"].to_string().contains("diverted-withheld"), "{cdr}");
            let diverted = values(&told, "Diversion");
            match to {
                TO_INSIDE => {
                    assert!(diverted.len() == 2 && diverted[1].starts_with("<sip:5559001@"), "{told}");
                    assert!(diverted[1].ends_with(";privacy=full"), "{told}");
                    let entry = values(&told, "History-Info")[0].split(", ").next().unwrap();
                    assert!(entry.starts_with("<sip:5559001@") && entry.contains("?Privacy=history"), "{told}");
                }
                TO_OUTSIDE => {
                    assert!(!told.contains("5559001"), "{told}");
                    assert!(diverted.len() == 2 && diverted[1].contains("<sip:anonymous@anonymous.invalid>"), "{told}");
                }
                _ => assert!(!told.contains("5559001"), "{told}"),
            }
        }
    }
    world.appliance.stop();
}
