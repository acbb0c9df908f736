//! What play-out makes of bad networks, and concealment of lost speech: the media plane driven in virtual time over seeded
//! models of a network, beside a buffer of fixed length; and the segmental signal-to-noise ratio of frames that were lost.
//! Run: `cargo run --example media_quality [SEED [PACKETS]]`

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use cordboard::base::{Codec, Instant, PortId};
use cordboard::core::media::{MediaCommand, PortStats, StreamParams};
use cordboard::dsp::plc::Concealer;
use cordboard::edge::prompts::Prompts;
use cordboard::media::{NoRecorder, Plane, PlaneConfig, Prompt, SocketKind, Wire};
use cordboard::proto::rtp::packet::Header;

/// Packets of a run: five minutes.
const PACKETS: u32 = 15_000;
const SEED: u64 = 3;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A packet's delay in the network in microseconds, or that it is lost, or that the sender was silent.
enum Fate {
    Delayed(u64),
    Lost,
    Silent,
}

/// Whether the model loses packets now, its random numbers, and how many packets there will be.
struct Network {
    random: Random,
    packets: u32,
    losing: bool,
}

type Model = fn(&mut Network, u32) -> Fate;

const MODELS: [(&str, Model); 8] = [
    ("local network", |net, _| Fate::Delayed(net.random.below(2_000))),
    ("jitter of 0-40 ms", |net, _| Fate::Delayed(net.random.below(40_000))),
    ("one in 20 late by up to 120 ms", |net, _| {
        let late = if net.random.one_in(20) { net.random.below(120_000) } else { 0 };
        Fate::Delayed(net.random.below(5_000) + late)
    }),
    ("lost in bursts, 2 %", |net, _| {
        net.losing = if net.losing { !net.random.one_in(3) } else { net.random.one_in(147) };
        if net.losing { Fate::Lost } else { Fate::Delayed(net.random.below(10_000)) }
    }),
    // Everything of 250 ms arrives at once.
    ("a stall of 250 ms each 5 s", |net, n| match n % 250 {
        0..13 => Fate::Delayed(u64::from(13 - n % 250) * 20_000),
        _ => Fate::Delayed(net.random.below(4_000)),
    }),
    ("80 ms longer from half time on", |net, n| {
        Fate::Delayed(net.random.below(5_000) + if n > net.packets / 2 { 80_000 } else { 0 })
    }),
    ("sender's clock 500 ppm slow", |net, n| Fate::Delayed(net.random.below(5_000) + u64::from(n) * 10)),
    ("silent half of the time", |net, n| match n / 60 % 2 {
        0 => Fate::Delayed(net.random.below(15_000)),
        _ => Fate::Silent,
    }),
];

struct NullWire;

impl Wire for NullWire {
    fn send(&mut self, _: u16, _: SocketKind, _: SocketAddr, _: &[u8]) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seed: u64 =
        arguments.next().map_or(Ok(SEED), |text| text.parse().map_err(|e| format!("seed {text:?}: {e}")))?;
    let packets: u32 =
        arguments.next().map_or(Ok(PACKETS), |text| text.parse().map_err(|e| format!("packets {text:?}: {e}")))?;
    println!(
        "seed {seed}, {packets} packets of 20 ms each; made up: share of what was said that had to be concealed\n"
    );
    println!("{:32} {:>24} {:>16} {:>16}", "", "adaptive", "fixed 60 ms", "fixed 150 ms");
    println!(
        "{:32} {:>8} {:>7} {:>7} {:>16} {:>16}",
        "network", "delay ms", "late %", "made up", "made up %", "made up %"
    );
    for (name, model) in MODELS {
        network(name, model, seed, packets);
    }
    println!("\nspeech concealed: mean SNR of lost 20 ms frames with speech in them, dB; 0 is what silence scores\n");
    println!("{:24} {:>8} {:>14} {:>12}", "loss", "frames", "last repeated", "concealed");
    let speech = speech()?;
    for (name, burst, one_in) in
        [("1 %, single", 1, 100), ("3 %, single", 1, 33), ("5 %, pairs", 2, 40), ("9 %, threes", 3, 33)]
    {
        concealment(name, &speech, burst, one_in, seed);
    }
    Ok(())
}

/// One line of the first table.
fn network(name: &str, model: Model, seed: u64, packets: u32) {
    let mut net = Network { random: Random(seed), packets, losing: false };
    let mut arrivals = Vec::new();
    let (mut said, mut sequence) = (0u32, 0u16);
    for n in 0..packets {
        let fate = model(&mut net, n);
        if !matches!(fate, Fate::Silent) {
            said += 1;
            sequence = sequence.wrapping_add(1);
        }
        if let Fate::Delayed(us) = fate {
            arrivals.push((u64::from(n) * 20_000 + us, us, n, sequence));
        }
    }
    let least = arrivals.iter().map(|&(_, us, ..)| us).min().unwrap_or(0);
    let lost = said as usize - arrivals.len();
    let fixed = |bound_us: u64| {
        let late = arrivals.iter().filter(|&&(_, us, ..)| us - least > bound_us).count();
        (lost + late) as f64 * 100.0 / f64::from(said)
    };
    let (short, long) = (fixed(60_000), fixed(150_000));
    arrivals.sort_unstable();
    let stats = play(&arrivals);
    println!(
        "{name:32} {:>8} {:>7.2} {:>7.2} {short:>16.2} {long:>16.2}",
        stats.playout_ms,
        stats.rx_late as f64 * 100.0 / f64::from(said),
        stats.concealed_ms as f64 * 5.0 / f64::from(said),
    );
}

/// Drives a plane that transcodes what arrives, so that play-out is its own.
fn play(arrivals: &[(u64, u64, u32, u16)]) -> PortStats {
    let origin = 10_000_000;
    let now = Instant::from_micros(origin);
    let mut plane = Plane::new(PlaneConfig {
        prompts: HashMap::new(),
        music: Arc::new(Prompt::new(&[])),
        bearers: Vec::new(),
        recorder: Box::new(NoRecorder),
        seed: [1; 32],
    });
    let peer = SocketAddr::from(([192, 0, 2, 1], 4_000));
    for (n, codec) in (1u16..).zip(Codec::USUAL) {
        let port = PortId(n.into());
        let stream = StreamParams { telephone_event: Some(101), ..StreamParams::both_ways(codec, peer) };
        plane.command(now, MediaCommand::OpenRtp { port, socket: 20_000 + 2 * n }, &mut NullWire);
        plane.command(now, MediaCommand::SetStream { port, stream }, &mut NullWire);
    }
    plane.command(now, MediaCommand::Bridge { a: PortId(1), b: PortId(2) }, &mut NullWire);
    for &(at, _, n, sequence) in arrivals {
        let now = Instant::from_micros(origin + at);
        while let Some(due) = plane.poll_timeout().filter(|&due| due <= now) {
            plane.tick(due, &mut NullWire);
        }
        let header = Header { marker: false, payload_type: 0, sequence, timestamp: n * 160, ssrc: 7 };
        let mut packet = [&header.to_octets()[..], &voiced(n)].concat();
        plane.receive(now, 20_002, SocketKind::Rtp, peer, &mut packet, &mut NullWire);
        while plane.poll_event().is_some() {}
    }
    plane.stats(PortId(1)).unwrap_or_default()
}

/// A packet of something like a voice.
fn voiced(n: u32) -> [u8; 160] {
    let pcm: [i16; 160] = std::array::from_fn(|i| {
        let t = f64::from(n * 160 + i as u32) / 8_000.0 * std::f64::consts::TAU;
        ((t * 140.0).sin() * 5_000.0 + (t * 560.0).sin() * 2_000.0) as i16
    });
    let mut octets = [0; 160];
    cordboard::dsp::g711::encode(cordboard::base::Law::Mu, &pcm, &mut octets);
    octets
}

/// The repository's spoken prompts, one after the other.
fn speech() -> Result<Vec<i16>, Box<dyn Error>> {
    let prompts = Prompts::load(Some(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config")));
    if let Some(fault) = prompts.faults().first() {
        return Err(fault.to_string().into());
    }
    let mut prompts: Vec<_> = prompts.into_samples().into_iter().collect();
    prompts.sort();
    Ok(prompts.into_iter().flat_map(|(_, pcm)| pcm).collect())
}

/// One line of the second table.
fn concealment(name: &str, speech: &[i16], burst: usize, one_in: u64, seed: u64) {
    let mut random = Random(seed);
    let mut concealer = Concealer::new();
    let mut last = [0i16; 160];
    let (mut frames, mut left) = (0u32, 0usize);
    let (mut repeated_db, mut concealed_db) = (0.0, 0.0);
    for said in speech.chunks_exact(160) {
        if left == 0 && random.one_in(one_in) {
            left = burst;
        }
        let mut frame = [0; 160];
        frame.copy_from_slice(said);
        if left == 0 {
            concealer.good(&mut frame);
            last.copy_from_slice(said);
            continue;
        }
        left -= 1;
        concealer.conceal(&mut frame);
        if energy(said, &[0; 160]) > 160.0 * 200.0 * 200.0 {
            frames += 1;
            repeated_db += snr(said, &last);
            concealed_db += snr(said, &frame);
        }
    }
    let mean = |sum: f64| sum / f64::from(frames.max(1));
    println!("{name:24} {frames:>8} {:>14.2} {:>12.2}", mean(repeated_db), mean(concealed_db));
}

fn energy(a: &[i16], b: &[i16]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}

/// Of one frame, kept within -10 and 35 dB as is usual for segmental figures.
fn snr(said: &[i16], heard: &[i16]) -> f64 {
    (10.0 * (energy(said, &[0; 160]) / energy(said, heard).max(1.0)).log10()).clamp(-10.0, 35.0)
}
