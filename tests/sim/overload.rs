//! More calls than the machine can take: the real core, on a machine in virtual time that needs so long for each datagram.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use cordboard::base::{Instant, Redacted};
use cordboard::core::control::{Command, Query, Reply};
use cordboard::core::load::governor::{Sample, TICK};
use cordboard::core::switch::{Input, Output};
use cordboard::proto::sip::{Credentials, Path, Transport};

use crate::provision;
use crate::world::{Manners, World};

const PROVISION: &str = r#"
[sip]
calls_max = 5000
[[tenant]]
name = "acme"
[[flow]]
tenant = "acme"
name = "hello"
text = '''
[flow]
start = "a"
[step.a]
do = "answer"
next = "b"
[step.b]
do = "hangup"
'''
[[number]]
number = "100"
tenant = "acme"
flow = "hello"
[[number]]
number = "911"
tenant = "acme"
flow = "hello"
[[trunk]]
name = "carrier"
kind = "sip"
[[trunk.peer]]
address = "127.0.0.2"
"#;

/// What a datagram is to the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    Invite,
    Other,
    /// What the gate drops.
    Dropped,
    /// What it refuses.
    Refused,
}

/// One worker and its inbox. A call is an INVITE of 12 ms and two more datagrams of 2 ms: 62.5 calls a second.
pub struct Machine {
    inbox: VecDeque<(Instant, Path, Bytes)>,
    serving: bool,
    free: Instant,
    least: Option<Duration>,
    /// The longest that something of a call in progress waited.
    pub longest: Duration,
    spent: Duration,
}

const CAPACITY: f64 = 62.5;
const REFUSAL: Duration = Duration::from_micros(240);
const DROP: Duration = Duration::from_micros(60);

impl Machine {
    pub fn new() -> Self {
        Self {
            inbox: VecDeque::new(),
            serving: false,
            free: Instant::ZERO,
            least: None,
            longest: Duration::ZERO,
            spent: Duration::ZERO,
        }
    }

    /// Another process takes all of the machine until then.
    pub fn stall(&mut self, until: Instant) {
        self.free = self.free.max(until);
    }

    /// For how long nothing can be done.
    pub fn stalled(&self, now: Instant) -> Duration {
        self.free.since(now)
    }

    /// Takes a datagram; after how long to begin with it, where nothing else is being done.
    pub fn enqueue(&mut self, now: Instant, path: Path, bytes: Bytes) -> Option<Duration> {
        self.inbox.push_back((now, path, bytes));
        (!std::mem::replace(&mut self.serving, true)).then(|| self.free.since(now))
    }

    pub fn next(&mut self, now: Instant) -> Option<(Path, Bytes, Work, Duration)> {
        let (came, path, bytes) = self.inbox.pop_front()?;
        let waited = now.since(came);
        self.least = Some(self.least.map_or(waited, |least| least.min(waited)));
        let refusals_ack = bytes.starts_with(b"ACK") && bytes.windows(7).any(|w| w == b";tag=ov");
        let work = match () {
            () if bytes.starts_with(b"INVITE") => Work::Invite,
            () if refusals_ack || path.remote.ip().to_string().starts_with("198.") => Work::Dropped,
            () => Work::Other,
        };
        if work == Work::Other {
            self.longest = self.longest.max(waited);
        }
        Some((path, bytes, work, waited))
    }

    /// The datagram is done; after how long to begin with the next.
    pub fn worked(&mut self, now: Instant, work: Work) -> Option<Duration> {
        let cost = match work {
            Work::Refused => REFUSAL,
            Work::Invite => Duration::from_millis(12),
            Work::Other => Duration::from_millis(2),
            Work::Dropped => DROP,
        };
        self.free = now + cost;
        self.spent += cost;
        self.serving = !self.inbox.is_empty();
        self.serving.then_some(cost)
    }

    pub fn sample(&mut self, now: Instant) -> Sample {
        // What was begun may end in the next tick.
        let cpu = self.spent.min(TICK);
        self.spent -= cpu;
        let queue = self.least.take().unwrap_or_default();
        let waiting = self.inbox.front().map_or(Duration::ZERO, |(came, ..)| now.since(*came));
        Sample { elapsed: TICK, queue, waiting, cpu, switch: cpu, cores: 1, ..Sample::default() }
    }
}

fn world(seed: u64) -> World {
    world_of(seed, PROVISION)
}

fn world_of(seed: u64, text: &str) -> World {
    let manners = Manners {
        patience_mean_s: 1e6,
        talk_mean_s: 1.0,
        no_answer: 0.0,
        decline: 0.0,
        loss: 0.0,
        number: "100",
        key: '1',
    };
    let mut world = World::new(seed, provision(text), manners);
    world.on(Machine::new());
    world
}

/// Runs one second after the other at `rate` calls a second, each `EVERY`th to 911. Tells calls served a second.
fn seconds(world: &mut World, seconds: u64, rate: f64, caller: &mut u32) -> f64 {
    const EVERY: u32 = 50;
    let before: u64 = world.tally.served.values().sum();
    let start = world.now.mono.as_micros();
    let steps = (seconds as f64 * rate) as u64;
    for step in 1..=steps {
        world.manners.number = if caller.is_multiple_of(EVERY) { "911" } else { "100" };
        let at = Duration::from_micros(start) + Duration::from_secs_f64(step as f64 / rate);
        world.dial_after(Duration::ZERO, *caller);
        *caller += 1;
        world.run(at);
    }
    (world.tally.served.values().sum::<u64>() - before) as f64 / seconds as f64
}

#[test]
fn at_twice_and_three_times_the_limit_calls_are_served_or_told_so() {
    for (times, tcp) in [(2.0, false), (3.0, false), (2.0, true)] {
        let mut world = world(5);
        world.tcp = tcp;
        let mut caller = 0;
        seconds(&mut world, 3, 0.6 * CAPACITY, &mut caller);
        assert_eq!(world.tally.unavailable.len(), 0, "nobody is refused below the limit");
        seconds(&mut world, 4, times * CAPACITY, &mut caller);
        world.machine.as_mut().expect("on").longest = Duration::ZERO;
        let goodput = seconds(&mut world, 8, times * CAPACITY, &mut caller);
        let longest = world.machine.as_ref().expect("on").longest;
        // What refusals and the ACKs to them cost is not there for calls.
        let refusals = (times - 1.0) * CAPACITY * (REFUSAL + DROP).as_secs_f64();
        let possible = CAPACITY * (1.0 - refusals);
        let by = if tcp { "TCP" } else { "UDP" };
        println!("{times} x by {by}: {goodput:.0} of {possible:.0} a second, in progress waited {longest:?} at most");
        assert!(goodput >= 0.95 * possible && goodput >= 0.9 * CAPACITY, "{goodput} of {possible}");
        assert!(longest < Duration::from_millis(150), "calls in progress suffered: {longest:?}");
        let end = Duration::from_micros(world.now.mono.as_micros()) + Duration::from_secs(40);
        world.run(end);
        let (served, refused) = (&world.tally.served, &world.tally.unavailable);
        assert_eq!(
            served.values().chain(refused.values()).sum::<u64>(),
            world.tally.dialled,
            "nobody is left unanswered"
        );
        assert_eq!(refused.get("911"), None, "emergency calls pass");
        let load = world.switch.status().load;
        assert_eq!(load.shed.get("overload").copied(), refused.get("100").copied(), "{:?}", load.shed);
        assert_eq!(load.limit_per_s, None, "the limit went when the flood did");
        world.check_over();
    }
}

/// Two INVITEs a call, of which the first is let in or refused for both: else each call would need to be lucky twice.
#[test]
fn phones_that_are_challenged_get_no_less_at_twice_the_limit() {
    // An INVITE to challenge and the ACK to that are 2 ms each.
    const CHALLENGED: f64 = 50.0;
    let phone = "[[agent]]\ntenant = \"acme\"\nname = \"ana\"\nuser = \"ana\"\npassword = \"secret\"\n\
                 contact = \"sip:ana@127.0.0.2:5070\"\n";
    let (text, _) = PROVISION.split_once("[[trunk]]").expect("a trunk");
    let mut world = world_of(9, &format!("{text}{phone}"));
    world.credentials = Some(Credentials { user: "ana".into(), password: Redacted::new("secret".into()) });
    let mut caller = 0;
    seconds(&mut world, 3, 0.6 * CHALLENGED, &mut caller);
    assert_eq!(world.tally.unavailable.len(), 0, "nobody is refused below the limit");
    seconds(&mut world, 4, 2.0 * CHALLENGED, &mut caller);
    let goodput = seconds(&mut world, 8, 2.0 * CHALLENGED, &mut caller);
    let possible = CHALLENGED * (1.0 - CHALLENGED * (REFUSAL + DROP).as_secs_f64());
    println!("{goodput:.0} of {possible:.0} a second");
    assert!(goodput >= 0.9 * possible, "{goodput} of {possible}");
    ended(world);
}

/// Lets all calls end. Each was served or refused: nobody is left unanswered.
fn ended(mut world: World) {
    let end = Duration::from_micros(world.now.mono.as_micros()) + Duration::from_secs(40);
    world.run(end);
    let (served, refused) = (&world.tally.served, &world.tally.unavailable);
    assert_eq!(served.values().chain(refused.values()).sum::<u64>(), world.tally.dialled, "nobody is left unanswered");
    world.check_over();
}

/// A stranger that pours requests into TCP connections: each ends beyond its rate, and no further one is of use.
#[test]
fn a_strangers_flood_by_tcp_ends_its_connections_and_then_itself() {
    let mut world = world(10);
    let (mut answered, mut closed) = (0, 0);
    for connection in 1..=400 {
        let (local, remote) = ("127.0.0.1:5060", format!("198.51.100.1:{}", 1000 + connection));
        let (local, remote) = (local.parse().expect("an address"), remote.parse().expect("an address"));
        let path = Path { connection, ..Path::new(Transport::Tcp, local, remote) };
        for n in 0..20 {
            let text = format!(
                "OPTIONS sip:x@h SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK{connection}-{n}\r\n\
                 From: <sip:f@h>;tag=1\r\nTo: <sip:x@h>\r\nCall-ID: {connection}-{n}\r\nCSeq: 1 OPTIONS\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            world.switch.handle(world.now, Input::Stream { path, bytes: Bytes::from(text) });
            let before = closed;
            while let Some(output) = world.switch.poll_output() {
                match output {
                    Output::Transmit(_) => answered += 1,
                    Output::CloseConnection(gone) if gone == connection => closed += 1,
                    _ => {}
                }
            }
            if closed > before {
                break;
            }
        }
    }
    // 80 at once, on four connections.
    assert_eq!((closed, answered), (396, 80));
    let load = world.switch.status().load;
    assert_eq!(load.shed.get("stranger-rate"), Some(&200), "{load:?}");
    assert!(load.shed.get("banned").is_some_and(|n| *n > 150), "{load:?}");
}

#[test]
fn while_another_has_the_processor_nobody_is_refused_who_can_be_served() {
    let mut world = world(7);
    let mut caller = 0;
    for stall_ms in [100, 400, 250] {
        let until = world.now.mono + Duration::from_millis(stall_ms);
        world.machine.as_mut().expect("on").stall(until);
        seconds(&mut world, 2, 0.6 * CAPACITY, &mut caller);
    }
    let end = Duration::from_micros(world.now.mono.as_micros()) + Duration::from_secs(40);
    world.run(end);
    assert_eq!(world.tally.served.values().sum::<u64>(), world.tally.dialled);
    assert!(world.tally.unavailable.is_empty(), "{:?}", world.tally.unavailable);
    world.check_over();
}

#[test]
fn what_piled_up_while_nothing_was_read_is_cleared_and_the_limit_stays() {
    let mut world = world(8);
    let mut caller = 0;
    seconds(&mut world, 5, 0.6 * CAPACITY, &mut caller);
    let until = world.now.mono + Duration::from_secs(3);
    world.machine.as_mut().expect("on").stall(until);
    seconds(&mut world, 3, 3.0 * CAPACITY, &mut caller);
    seconds(&mut world, 5, 3.0 * CAPACITY, &mut caller);
    let goodput = seconds(&mut world, 6, 3.0 * CAPACITY, &mut caller);
    println!("{goodput:.0} of {CAPACITY} a second");
    assert!(goodput >= 0.9 * CAPACITY, "{goodput}");
    ended(world);
}

#[test]
fn a_strangers_flood_costs_callers_nothing_and_ends_in_a_ban() {
    let mut world = world(6);
    let mut caller = 0;
    for n in 0..4_000u32 {
        let from = format!("198.51.100.{}:5060", 1 + n % 5).parse().expect("an address");
        let text = format!("REGISTER nothing {n}\r\n\r\n");
        world.throw_after(Duration::from_micros(u64::from(n) * 500), from, Bytes::from(text));
    }
    let goodput = seconds(&mut world, 3, 0.6 * CAPACITY, &mut caller);
    assert!(goodput > 0.55 * CAPACITY, "{goodput}");
    assert!(world.tally.unavailable.is_empty());
    let load = world.switch.status().load;
    assert!(load.shed.get("banned").is_some_and(|n| *n > 3_800), "{load:?}");
    let bans = |world: &mut World| {
        world.switch.handle(world.now, Input::Query { token: 1, query: Query::Bans });
        while let Some(output) = world.switch.poll_output() {
            if let Output::Reply { reply: Reply::Bans { bans }, .. } = output {
                return bans;
            }
        }
        panic!("no answer");
    };
    let standing = bans(&mut world);
    assert_eq!(standing.len(), 5);
    assert!(standing.iter().all(|ban| ban.reason == "malformed" && ban.times == 1), "{standing:?}");
    let one = Command::Unban { source: Some(standing[0].source.clone()) };
    world.switch.handle(world.now, Input::Command { token: 2, command: one });
    assert_eq!(bans(&mut world).len(), 4);
    world.switch.handle(world.now, Input::Command { token: 3, command: Command::Unban { source: None } });
    assert_eq!(bans(&mut world).len(), 0);
}
