//! Calls through the card with E&M wink start, the far end against our machine.

use cordboard::base::{Cause, DialString};
use cordboard::proto::cas::em_wink::{Event, GlareRole, Input};
use cordboard_hal::SpanKind;
use cordboard_hal_sim::{Answering, FarEventKind, FarFailure, GlareRole as FarRole};

use super::near::{Near, SPAN, TIMESLOT};

fn dial(text: &str) -> DialString {
    DialString::new(text).unwrap()
}

fn seize(digits: &str) -> Input {
    Input::Seize { digits: dial(digits) }
}

/// A sweep through 8 kHz samples that no codec mistakes for silence.
fn speech(samples: usize) -> Vec<i16> {
    (0..samples).map(|n| ((n as f32 * n as f32 / 40_000.0).sin() * 8_000.0) as i16).collect()
}

/// Highest normalised correlation of `wanted` with any part of `heard`.
fn likeness(wanted: &[i16], heard: &[i16]) -> f64 {
    let product = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let of = |part: &[i16]| product(wanted, part) / (product(wanted, wanted) * product(part, part)).sqrt().max(1.0);
    heard.windows(wanted.len()).map(of).fold(0.0, f64::max)
}

#[test]
fn the_far_end_calls_us() {
    for kind in [SpanKind::T1, SpanKind::E1] {
        let mut near = Near::new(kind, GlareRole::Yield);
        near.control.dial(SPAN, TIMESLOT, "5550100").unwrap();
        near.pass_until(&Event::Address(dial("5550100")));
        assert_eq!(near.events[0], Event::Seized);
        assert_eq!(near.far_events, [FarEventKind::Winked, FarEventKind::DigitsSent]);
        near.input(Input::Answer);
        near.pass(200);
        assert_eq!(near.far_events.pop(), Some(FarEventKind::Answered));

        // Both talk; each hears the other and nothing else.
        let words = speech(4_000);
        near.heard.clear();
        assert_eq!(near.control.play(SPAN, TIMESLOT, &words).unwrap(), words.len());
        near.pass(600);
        let alike = likeness(&words, &near.heard);
        assert!(alike > 0.99, "{kind:?}: {alike}");
        near.control.set_recording(SPAN, TIMESLOT, true).unwrap();
        let law = near.bearer.law();
        for frame in words.chunks(160) {
            let octets: Vec<u8> = frame.iter().map(|&s| cordboard_hal_sim::g711::encode(law, s)).collect();
            assert_eq!(near.bearer.write(&octets).unwrap(), octets.len());
            near.pass(20);
        }
        near.pass(100);
        let recorded = near.control.take_recorded(SPAN, TIMESLOT).unwrap();
        assert_eq!(recorded.len(), 600 * 8, "8 samples each millisecond");
        let alike = likeness(&words, &recorded);
        assert!(alike > 0.99, "{kind:?}: {alike}");

        near.control.hang_up(SPAN, TIMESLOT).unwrap();
        near.pass_until(&Event::Released(Cause::Normal));
        near.pass_until(&Event::Idle);
        assert!(near.control.is_idle(SPAN, TIMESLOT).unwrap());
    }
}

#[test]
fn we_call_the_far_end() {
    let mut near = Near::new(SpanKind::T1, GlareRole::Yield);
    near.input(seize("18005550199"));
    near.pass_until(&Event::Answered);
    assert_eq!(near.events, [Event::Winked, Event::Proceeding, Event::Answered]);
    let received = FarEventKind::DigitsReceived("18005550199".into());
    assert_eq!(near.far_events, [FarEventKind::Seized, received, FarEventKind::PickedUp]);
    assert_eq!(near.control.send_digits(SPAN, TIMESLOT, "42#").unwrap(), 3);
    near.pass(1_000);
    near.input(Input::Release(Cause::Normal));
    near.pass_until(&Event::Idle);
    assert_eq!(near.far_events.pop(), Some(FarEventKind::HungUp));
    // The next call takes the same circuit.
    near.events.clear();
    near.input(seize("1"));
    near.pass_until(&Event::Answered);
}

#[test]
fn a_far_end_that_does_not_answer_or_wink() {
    let mut near = Near::new(SpanKind::T1, GlareRole::Yield);
    let answering = Answering { ring_ms: None, digits: Some(3), ..Answering::default() };
    near.control.set_answering(SPAN, TIMESLOT, answering).unwrap();
    near.input(seize("911"));
    near.pass_until(&Event::Proceeding);
    near.pass(30_000);
    assert!(!near.events.contains(&Event::Answered));
    near.input(Input::Release(Cause::NoAnswer));
    near.pass_until(&Event::Idle);

    near.events.clear();
    let dead = Answering { wink_delay_ms: None, ..Answering::default() };
    near.control.set_answering(SPAN, TIMESLOT, dead).unwrap();
    near.input(seize("911"));
    near.pass_until(&Event::Released(Cause::ChannelUnavailable));
}

#[test]
fn a_caller_who_hangs_up_early() {
    // During our wink, among the digits, and before the answer.
    for after_ms in [300, 1_000, 6_000] {
        let mut near = Near::new(SpanKind::E1, GlareRole::Yield);
        near.control.dial(SPAN, TIMESLOT, "5550100").unwrap();
        near.pass(after_ms);
        near.control.hang_up(SPAN, TIMESLOT).unwrap();
        near.pass_until(&Event::Released(Cause::Normal));
        near.pass_until(&Event::Idle);
        assert!(!near.far_events.contains(&FarEventKind::Answered), "{after_ms}");
    }
}

#[test]
fn glare_when_we_yield() {
    let mut near = Near::new(SpanKind::T1, GlareRole::Yield);
    near.control.dial(SPAN, TIMESLOT, "100").unwrap();
    near.input(seize("200"));
    near.pass_until(&Event::Address(dial("100")));
    assert_eq!(near.events[..2], [Event::Glare, Event::Seized]);
    near.input(Input::Answer);
    near.pass(200);
    assert_eq!(near.far_events.last(), Some(&FarEventKind::Answered));
}

#[test]
fn glare_when_the_far_end_yields() {
    let mut near = Near::new(SpanKind::T1, GlareRole::Hold);
    near.control.set_glare_role(SPAN, TIMESLOT, FarRole::Yield).unwrap();
    near.control.dial(SPAN, TIMESLOT, "100").unwrap();
    near.input(seize("200"));
    near.pass_until(&Event::Answered);
    let received = FarEventKind::DigitsReceived("200".into());
    assert_eq!(near.far_events, [FarEventKind::Glare, received, FarEventKind::PickedUp]);
}

#[test]
fn glare_when_the_far_end_holds_too_is_resolved_by_time() {
    let mut near = Near::new(SpanKind::T1, GlareRole::Hold);
    near.control.dial(SPAN, TIMESLOT, "100").unwrap();
    near.input(seize("200"));
    near.pass_until(&Event::Address(dial("100")));
    assert_eq!(near.events[..2], [Event::Glare, Event::Seized]);
}

#[test]
fn an_alarm_ends_the_call_at_both_ends() {
    let mut near = Near::new(SpanKind::T1, GlareRole::Yield);
    near.input(seize("1"));
    near.pass_until(&Event::Answered);
    let red = cordboard_hal::Alarms { red: true, ..cordboard_hal::Alarms::NONE };
    near.control.set_alarms(SPAN, red).unwrap();
    near.pass_until(&Event::Released(Cause::NetworkOutOfOrder));
    assert_eq!(near.far_events.last(), Some(&FarEventKind::Failed(FarFailure::Line)));
    near.control.set_alarms(SPAN, cordboard_hal::Alarms::NONE).unwrap();
    near.pass_until(&Event::Idle);
    near.events.clear();
    near.input(seize("2"));
    near.pass_until(&Event::Answered);
}

#[test]
fn a_card_that_vanishes_ends_its_call() {
    let mut near = Near::new(SpanKind::T1, GlareRole::Yield);
    near.input(seize("1"));
    near.pass_until(&Event::Answered);
    near.control.vanish();
    near.pass_until(&Event::Released(Cause::NetworkOutOfOrder));
    assert!(near.gone);
    near.pass(10_000);
    assert!(!near.machine.is_idle(), "no call can be put on it");
}
