//! Faults of a simulated line, as the driver's user sees them.

use cordboard_hal::{Alarms, Bearer, Card, CardEvent, CasBits, Channel, ClockSource, SpanKind};
use cordboard_hal_sim::{SimCard, SimControl, Slip};

struct Line {
    card: SimCard,
    control: SimControl,
    channel: Box<dyn Channel>,
    bearer: Box<dyn Bearer>,
    far: Box<dyn Bearer>,
}

/// Two cross-connected spans in service; `bearer` hears what `far` says.
fn line() -> Line {
    let (mut card, control) = SimCard::new(SpanKind::T1, 2);
    control.cross_connect(1, 2).unwrap();
    for span in [1, 2] {
        card.start_span(span, ClockSource::Internal).unwrap();
    }
    control.advance(5);
    while card.next_event().is_some() {}
    let (channel, bearer) = card.open(1, 1).unwrap();
    let (_, far) = card.open(2, 1).unwrap();
    Line { card, control, channel, bearer, far }
}

/// Says 1, 2, 3 ... at the far end for so many frames of 20 ms and returns what came.
fn count(line: &mut Line, frames: usize) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut next = 0u8;
    for _ in 0..frames {
        let octets: Vec<u8> = (0..160).map(|n: u8| next.wrapping_add(n)).collect();
        next = next.wrapping_add(160);
        line.far.write(&octets).unwrap();
        line.control.advance(20);
        let mut buf = [0; 400];
        let n = line.bearer.read(&mut buf).unwrap();
        heard.extend_from_slice(&buf[..n]);
    }
    heard
}

#[test]
fn a_slip_deletes_or_repeats_one_octet_of_each_timeslot() {
    for (slip, len, step) in [(Slip::Delete, 1_599, 2), (Slip::Repeat, 1_601, 0)] {
        let mut line = line();
        line.control.slip(1, slip).unwrap();
        let heard = count(&mut line, 10);
        assert_eq!(heard.len(), len);
        let odd: Vec<u8> =
            heard.windows(2).map(|w| w[1].wrapping_sub(w[0])).filter(|&difference| difference != 1).collect();
        assert_eq!(odd, [step], "{slip:?}: all else is in order");
        assert_eq!(line.card.line_errors(1).unwrap().slips, 1);
        assert_eq!(line.card.line_errors(2).unwrap().slips, 0);
    }
}

#[test]
fn bit_errors_come_at_their_rate_and_are_counted() {
    let mut line = line();
    line.control.set_bit_errors(1, 1_000, 42).unwrap();
    let heard = count(&mut line, 50);
    let flipped: u32 = heard.iter().zip((0..=255u8).cycle()).map(|(h, s)| (h ^ s).count_ones()).sum();
    // 64,000 bits at one in a thousand.
    assert!((40..100).contains(&flipped), "{flipped}");
    assert!(line.card.line_errors(1).unwrap().crc > 0);
    line.control.set_bit_errors(1, 0, 0).unwrap();
    let clean = count(&mut line, 10);
    assert!(clean.iter().copied().eq((0..=255u8).cycle().take(1_600)));
}

#[test]
fn each_alarm_is_shown_told_and_answered() {
    let none = Alarms::NONE;
    let kinds = [
        Alarms { red: true, ..none },
        Alarms { blue: true, ..none },
        Alarms { los: true, ..none },
        Alarms { lfa: true, ..none },
        Alarms { yellow: true, ..none },
    ];
    for alarms in kinds {
        let mut line = line();
        line.control.set_alarms(1, alarms).unwrap();
        line.control.advance(2);
        assert_eq!(line.card.alarms(1).unwrap(), alarms);
        assert_eq!(line.card.next_event(), Some(CardEvent::Alarms { span: 1, alarms }));
        // The other end is told that we hear nothing; a yellow alarm only says that it hears nothing itself.
        let answered = Alarms { yellow: !alarms.yellow, ..none };
        assert_eq!(line.card.alarms(2).unwrap(), answered, "{alarms:?}");
        line.control.set_alarms(1, none).unwrap();
        line.control.advance(2);
        assert!(line.card.alarms(1).unwrap().in_service() && line.card.alarms(2).unwrap().in_service());
    }
}

#[test]
fn a_lost_line_is_silent_and_its_bits_freeze() {
    let mut line = line();
    let (mut far_channel, _far_bearer) = line.card.open(2, 2).unwrap();
    let (near_channel, mut near_bearer) = line.card.open(1, 2).unwrap();
    far_channel.set_cas(CasBits::OFF_HOOK).unwrap();
    line.control.advance(5);
    line.control.set_alarms(1, Alarms { los: true, ..Alarms::NONE }).unwrap();
    far_channel.set_cas(CasBits::ON_HOOK).unwrap();
    line.control.advance(5);
    assert_eq!(near_channel.cas().unwrap(), CasBits::OFF_HOOK);
    let heard = count(&mut line, 2);
    assert!(heard.iter().all(|&octet| octet == line.bearer.law().silence()));
    line.control.set_alarms(1, Alarms::NONE).unwrap();
    line.control.advance(5);
    assert_eq!(near_channel.cas().unwrap(), CasBits::ON_HOOK);
    assert!(near_bearer.read(&mut [0; 8]).unwrap() > 0);
}

#[test]
fn stuck_bits_stay_until_let_go() {
    let mut line = line();
    line.control.stick_cas(1, 1, Some(CasBits::new(5))).unwrap();
    line.control.advance(5);
    assert_eq!(line.channel.cas().unwrap(), CasBits::new(5));
    assert_eq!(line.card.next_event(), Some(CardEvent::Cas { span: 1, timeslot: 1, bits: CasBits::new(5) }));
    line.control.stick_cas(1, 1, None).unwrap();
    line.control.advance(5);
    assert_eq!(line.channel.cas().unwrap(), CasBits::ON_HOOK);
}

#[test]
fn events_that_nobody_fetches_are_bounded_and_counted() {
    let mut line = line();
    for n in 0..10_000u16 {
        line.control.stick_cas(1, 1, Some(CasBits::new((n % 16) as u8))).unwrap();
        line.control.advance(1);
    }
    let events: Vec<CardEvent> = std::iter::from_fn(|| line.card.next_event()).collect();
    let dropped = events.iter().map(|e| if let CardEvent::Overrun { dropped } = e { *dropped } else { 0 }).sum::<u64>();
    assert!(matches!(events[0], CardEvent::Overrun { .. }), "the overrun comes first");
    assert!(events.len() < 2_000, "{}", events.len());
    // Bits start as 0, so that the first of the 10,000 settings is no change.
    assert_eq!(dropped + events.len() as u64 - 1, 9_999);
}

#[test]
fn the_far_end_sees_our_alarms() {
    let (mut card, control) = SimCard::new(SpanKind::E1, 1);
    assert!(control.far_alarms(1).unwrap().los, "a span that is not started sends nothing");
    card.start_span(1, ClockSource::Internal).unwrap();
    control.advance(1);
    assert!(control.far_alarms(1).unwrap().in_service());
    control.set_alarms(1, Alarms { red: true, ..Alarms::NONE }).unwrap();
    assert!(control.far_alarms(1).unwrap().yellow);
    control.set_alarms(1, Alarms::NONE).unwrap();
    control.set_far_loss(1, true).unwrap();
    control.advance(1);
    assert!(card.alarms(1).unwrap().yellow);
}
