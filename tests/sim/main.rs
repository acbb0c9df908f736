//! A working day in virtual time, on the real core: seeded, with the invariants checked after each step.
//! `SEED=n cargo test --test sim` repeats one; the seed is printed.

mod answered;
mod attended;
mod callbacks;
mod cutoffs;
mod cuts;
mod days;
mod desk;
mod disk;
mod emergency;
mod groups;
mod identity;
mod names;
mod neighbours;
mod onward;
mod overflow;
mod overload;
mod protected;
mod scripts;
mod sharing;
mod sites;
mod tenants;
mod walk;
mod wants;
mod world;

use std::time::Duration;

use cordboard::core::tenant::Provision;
use world::{Manners, World};

const PROVISION: &str = r#"
[[tenant]]
name = "acme"
[[skill]]
tenant = "acme"
name = "sales"
[[agent]]
tenant = "acme"
name = "agent{n}"
range = [0, 19]
contact = "sip:agent{n}@127.0.0.3:5080"
skills = { sales = 0.8 }
signed_in = true
wrap_up_s = 5
ring_s = 15
[[queue]]
tenant = "acme"
name = "sales"
skills = { sales = 0.5 }
announce_every_s = 30
overflow_after_s = 300
[[flow]]
tenant = "acme"
name = "main"
text = '''
[flow]
start = "hello"
[step.hello]
do = "answer"
next = "menu"
[step.menu]
do = "menu"
prompt = ["acme/welcome"]
timeout_s = 5
retries = 2
keys = { "1" = "queue" }
on_timeout = "queue"
on_invalid = "queue"
[step.queue]
do = "enqueue"
queue = "sales"
on_overflow = "bye"
on_full = "bye"
[step.bye]
do = "hangup"
'''
[[number]]
number = "100"
tenant = "acme"
flow = "main"
[[trunk]]
name = "carrier"
kind = "sip"
[[trunk.peer]]
address = "127.0.0.2"
"#;

/// What a text provisions: parsed, expanded, its flows sound.
pub fn provision(text: &str) -> Provision {
    let mut provision: Provision = toml::from_str(text).expect("the sample parses");
    cordboard::core::tenant::expand(&mut provision).expect("the ranges expand");
    for flow in &provision.flow {
        cordboard::core::ivr::check(&flow.text, &flow.name).expect("the flow is sound");
    }
    provision
}

fn seeds(defaults: &[u64]) -> Vec<u64> {
    std::env::var("SEED").ok().and_then(|s| s.parse().ok()).map_or(defaults.to_vec(), |s| vec![s])
}

/// Arrivals follow the hour: a quiet night, a morning peak, an afternoon.
fn arrivals(world: &mut World, hours: std::ops::Range<u32>, peak_per_hour: f64) -> u32 {
    let mut caller = 0;
    for hour in hours.clone() {
        let share = match hour {
            0..=6 | 21..=23 => 0.05,
            9..=11 => 1.0,
            7..=20 => 0.6,
            _ => 0.0,
        };
        let mut t = Duration::from_secs(u64::from(hour - hours.start) * 3600);
        let end = t + Duration::from_secs(3600);
        loop {
            t += world.dice.exponential(3600.0 / (peak_per_hour * share));
            if t >= end {
                break;
            }
            world.dial_after(t, caller);
            caller += 1;
        }
    }
    caller
}

fn manners() -> Manners {
    Manners {
        patience_mean_s: 240.0,
        talk_mean_s: 120.0,
        no_answer: 0.02,
        decline: 0.02,
        loss: 0.0,
        number: "100",
        key: '1',
    }
}

#[test]
fn a_day_conserves_calls_legs_and_offers() {
    for seed in seeds(&[1]) {
        println!("seed {seed}");
        let mut world = World::new(seed, provision(PROVISION), manners());
        let dialled = arrivals(&mut world, 0..24, 300.0);
        world.run(Duration::from_secs(26 * 3600));
        println!("{dialled} calls, {} steps, {} talked", world.tally.steps, world.tally.talked);
        assert_eq!(world.tally.started.len() as u32, dialled);
        assert!(world.tally.talked > u64::from(dialled) / 4, "hardly anybody was served");
        world.check_over();
    }
}

#[test]
fn an_hour_of_overload_on_a_bad_line() {
    for seed in seeds(&[7, 8]) {
        println!("seed {seed}");
        let manners = Manners { loss: 0.05, patience_mean_s: 60.0, no_answer: 0.1, decline: 0.1, ..manners() };
        let mut world = World::new(seed, provision(PROVISION), manners);
        arrivals(&mut world, 9..10, 1500.0);
        world.run(Duration::from_secs(3 * 3600));
        world.check_over();
    }
}
