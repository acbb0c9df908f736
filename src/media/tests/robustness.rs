//! Outside input of every kind.

use super::*;
use crate::core::media::{PlayItem, ToneKind};
use crate::media::random::Random;

fn random_stream(random: &mut Random) -> StreamParams {
    let codec = if random.below(2) == 0 { Codec::Pcmu } else { Codec::Pcma };
    let mut params = stream(codec, peer(random.below(4) as u8));
    params.telephone_event = (random.below(3) != 0).then_some(EVENT_PT);
    params.ptime_ms = random.below(256) as u8;
    params.send = random.below(5) != 0;
    params.receive = random.below(5) != 0;
    params
}

fn random_command(random: &mut Random) -> MediaCommand {
    let port = PortId(u64::from(random.below(8)));
    let play = PlayId(1);
    match random.below(16) {
        0 | 1 => MediaCommand::OpenRtp { port, socket: 20_000 + random.below(16) as u16 },
        2 | 3 => MediaCommand::SetStream { port, stream: random_stream(random) },
        4 => MediaCommand::OpenTdm { port, circuit: circuit(1 + random.below(4) as u8), detect_dtmf: true },
        5 => MediaCommand::Close { port },
        6 => match random.below(4) {
            0 => MediaCommand::DetectDtmf { port, on: random.below(2) == 0 },
            1 => MediaCommand::DetectTones { port, country: (random.below(2) == 0).then_some(*b"gb") },
            2 => MediaCommand::HeedSilence { port },
            _ => MediaCommand::DetectAnswer { port },
        },
        7 => {
            let items = vec![PlayItem::Beep, PlayItem::SilenceMs(30), PlayItem::Prompt(Arc::from("high"))];
            MediaCommand::Play { port, play, items }
        }
        8 => MediaCommand::Tone { port, play, tone: ToneKind::Ringback, country: *b"zz" },
        9 => MediaCommand::Music { port, play, source: None },
        10 => MediaCommand::StopPlay { port },
        11 => MediaCommand::SendDigits { port, digits: "12#x".into(), on_ms: random.below(200) as u16, off_ms: 0 },
        12 | 13 => MediaCommand::Bridge { a: port, b: PortId(u64::from(random.below(8))) },
        14 => MediaCommand::Record { port, name: Arc::from("r") },
        _ => match random.below(2) {
            0 => MediaCommand::Unbridge { port },
            _ => MediaCommand::StopRecord { port },
        },
    }
}

fn random_packet(random: &mut Random) -> Vec<u8> {
    let len = random.below(600) as usize;
    let mut packet: Vec<u8> = (0..len).map(|_| random.next_u32() as u8).collect();
    // Mostly version 2 and a payload type that is looked at, so that the depths are reached.
    if random.below(8) != 0 && len >= 2 {
        packet[0] = 0x80 | (packet[0] & if random.below(2) == 0 { 0 } else { 0x3f });
        packet[1] = [0, 8, EVENT_PT, 13, 200][random.below(5) as usize];
    }
    packet
}

/// Any commands, packets and delays: no panic, no broken invariant (the plane checks its own after each entry), and all
/// resources come back in the end.
#[test]
fn random_lives_never_panic_and_leave_nothing_behind() {
    for seed in 0..60u8 {
        println!("seed {seed}");
        let mut random = Random::new([seed; 32]);
        let mut bench = Bench::new();
        for _ in 0..800 {
            match random.below(4) {
                0 => bench.command(random_command(&mut random)),
                1 => {
                    bench.pass(random.below(4));
                }
                _ => {
                    let mut packet = random_packet(&mut random);
                    let kind = if random.below(4) == 0 { SocketKind::Rtcp } else { SocketKind::Rtp };
                    let socket = 20_000 + random.below(16) as u16;
                    let from = peer(random.below(4) as u8);
                    bench.plane.receive(bench.now, socket, kind, from, &mut packet, &mut bench.wire);
                }
            }
            bench.wire.0.clear();
        }
        for port in 0..8 {
            bench.command(MediaCommand::Close { port: PortId(port) });
        }
        assert_eq!(bench.plane.ports(), 0, "seed {seed}");
        assert_eq!(bench.plane.poll_timeout(), None, "seed {seed}");
        bench.events();
        for timeslot in 1..=3 {
            bench.open_tdm(PortId(100 + u64::from(timeslot)), timeslot);
        }
        assert_eq!(bench.plane.ports(), 3, "seed {seed}: every timeslot came back");
    }
}

/// A port that is open stays where it is.
#[test]
fn what_many_ports_took_is_given_back() {
    const MOST: u16 = 1_500;
    let mut bench = Bench::new();
    for round in 0..2 {
        for n in 0..MOST {
            bench.open(PortId(n.into()), 20_000 + 2 * n, stream(Codec::Pcmu, peer(1)));
        }
        assert_eq!(bench.plane.ports(), usize::from(MOST));
        for n in 0..MOST {
            // Three stay in the first round.
            if round > 0 || !matches!(n, 1 | 8 | 9) {
                bench.command(MediaCommand::Close { port: PortId(n.into()) });
            }
        }
        assert_eq!(bench.events().len(), usize::from(MOST) - if round > 0 { 0 } else { 3 });
        bench.pass(15);
        let room = |plane: &Plane| [plane.ports.capacity(), plane.index.capacity(), plane.events.queue.capacity()];
        assert!(room(&bench.plane).iter().all(|room| *room < 1_100), "{:?}", room(&bench.plane));
        if round == 0 {
            assert_eq!(bench.plane.ports(), 3);
            bench.command(MediaCommand::Bridge { a: PortId(8), b: PortId(9) });
            for n in [1, 8, 9] {
                bench.command(MediaCommand::Close { port: PortId(n) });
            }
            assert_eq!(bench.events().len(), 3);
        }
    }
    assert!(bench.plane.ports.is_empty() && bench.plane.poll_timeout().is_none());
}
