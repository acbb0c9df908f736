//! The core alone, in virtual time: a caller seizes a timeslot of a T1 and dials 100, hears the menu, presses 1, waits in
//! a queue until the agent's phone (a real SIP endpoint) answers, talks for a minute and hangs up. Prints what the core
//! is told and what it wants done, each with its time, then the call's record.
//!
//! No socket, thread or clock: the core is driven by `handle` and `handle_timeout` and drained by `poll_output`, here as
//! in the appliance.

mod phone;
mod words;
mod world;

use std::error::Error;

use cordboard::base::{Instant, Now, Timestamp};
use cordboard::core::switch::{Config, Switch};
use cordboard::core::tenant::Directory;
use cordboard::proto::sip::{EndpointConfig, Transport};
use world::World;

const PROVISION: &str = include_str!("provision.toml");
const CORE: ([u8; 4], u16) = ([127, 0, 0, 1], 5060);

fn main() -> Result<(), Box<dyn Error>> {
    let provision = toml::from_str(PROVISION)?;
    let card = Directory::new(&provision, None).cards().map(|c| c.id).next().ok_or("no card is provisioned")?;
    let now = Now { mono: Instant::from_micros(1_000_000), wall: Timestamp(1_795_464_240_000) };
    let config = Config {
        first_call: 1,
        first_seq: 1,
        listeners: vec![(Transport::Udp, CORE.into())],
        media_addresses: vec![CORE.0.into()],
        seed: 1,
        version: "example".into(),
        sip: endpoint(1),
        srtp: Default::default(),
    };
    let mut world = World::new(now, Switch::new(now, config, provision), card);
    world.far_end_hook(100, true);
    let cdr = world.run().ok_or("the call left no record")?;
    println!("\n{}", serde_json::to_string_pretty(&cdr)?);
    Ok(())
}

fn endpoint(seed: u64) -> EndpointConfig {
    let (realm, user_agent) = ("cordboard".into(), "example".into());
    EndpointConfig { realm, user_agent, seed, sessions_max: 10, bindings_max: 10 }
}
