//! Transfers that ask who answers: a person, a machine, or nobody known.

use cordboard::base::Cause;
use cordboard::core::media::{Answerer, DigitSource, MediaEvent};
use cordboard::proto::cas::em_wink;
use cordboard::proto::sdp::Direction as Flow;
use cordboard::proto::sip::Event;

use crate::desk::{Desk, Party, Sound, description};
use crate::scripts::{desk, dialled, over};

/// A caller of number 500, whose flow transfers over a circuit and asks who answers; the circuit's port.
fn examined(desk: &mut Desk) -> cordboard::base::PortId {
    let _client = desk.client("500");
    desk.seconds(1);
    let keyed = desk.client_port_id();
    desk.media_event(MediaEvent::Digit { port: keyed, digit: '1', source: DigitSource::Event });
    let port = dialled(desk, 1);
    assert!(desk.port_on(1).is_some_and(|p| p.bridge.is_some()), "what the far end says before the answer is heard");
    answer_unknown(desk);
    port
}

/// The far end answers, and nobody knows yet who it is.
fn answer_unknown(desk: &mut Desk) {
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(1);
    assert!(desk.port_on(1).is_some_and(|p| p.bridge.is_none()), "nobody is joined with who knows whom");
    assert!(matches!(desk.client_port().sound, Sound::Tone(_)), "it rings on: {:?}", desk.client_port().sound);
}

#[test]
fn a_person_who_answers_is_joined_and_a_machine_is_let_go() {
    let mut desk = desk();
    examined(&mut desk);
    desk.seconds(3);
    assert!(desk.port_on(1).is_some_and(|p| p.bridge.is_some()) && desk.state().starts_with("talking"));
    desk.far(1, em_wink::Input::Release(Cause::Normal));
    desk.seconds(3);
    let cdr = desk.record();
    assert_eq!(cdr.cause, Some(Cause::Normal));
    assert!(cdr.events.iter().any(|e| e.what == "answered-by" && e.detail == "human"), "{:?}", cdr.events);
    over(desk);

    let mut desk = crate::scripts::desk();
    let port = examined(&mut desk);
    desk.media_event(MediaEvent::Answered { port, by: Answerer::Machine });
    desk.seconds(3);
    // The flow's step for machines.
    let cdr = desk.record();
    assert_eq!(cdr.cause, Some(Cause::Rejected));
    assert!(cdr.events.iter().any(|e| e.what == "answered-by" && e.detail == "machine"), "{:?}", cdr.events);
    over(desk);
}

#[test]
fn early_media_ends_while_it_is_found_out_who_answered() {
    for by in [Answerer::Human, Answerer::Machine] {
        let mut desk = desk();
        let client = desk.client("600");
        let target = desk.rings(Party::Carrier, "85551234").expect("the target rings");
        let early = description(31_000, Flow::SendRecv);
        desk.with(Party::Carrier, |e, now| e.provisional(now, target, 183, Some(early)));
        assert!(desk.client_port().bridge.is_some(), "the client hears the target");
        desk.accept(Party::Carrier, target);
        assert_eq!(desk.client_port().bridge, None);
        assert!(matches!(desk.client_port().sound, Sound::Tone(_)), "{:?}", desk.client_port().sound);
        let port = *desk.ports.keys().find(|port| **port != desk.client_port_id()).expect("the target's port");
        desk.media_event(MediaEvent::Answered { port, by });
        if by == Answerer::Human {
            assert!(desk.client_port().bridge.is_some() && desk.state().starts_with("talking"));
            desk.hangup(Party::Carrier, client);
        } else {
            assert_eq!(desk.record().cause, Some(Cause::Rejected));
        }
        over(desk);
    }
}

#[test]
fn a_client_whose_target_never_rang_hears_ringing_while_it_is_found_out_who_answered() {
    let mut desk = desk();
    (desk.listens, desk.ring) = (None, false);
    let client = desk.client("601");
    let target = desk.rings(Party::Carrier, "85551234").expect("the target is called");
    let rang = |e: &Event| matches!(e, Event::Provisional { session, status: 180, .. } if *session == client);
    assert!(!desk.heard(Party::Carrier, rang));
    desk.accept(Party::Carrier, target);
    assert!(desk.heard(Party::Carrier, rang));
    desk.seconds(9);
    assert!(desk.state().starts_with("talking"), "{}", desk.state());
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn who_hangs_up_before_it_is_known_who_answered_is_not_called_again() {
    let mut desk = desk();
    examined(&mut desk);
    desk.far(1, em_wink::Input::Release(Cause::Normal));
    desk.seconds(8);
    assert!(desk.port_on(2).is_none());
    assert_eq!((desk.record().legs.len(), desk.record().cause), (2, Some(Cause::Normal)), "{:?}", desk.record());
    over(desk);

    let mut desk = crate::scripts::desk();
    desk.client("600");
    let target = desk.rings(Party::Carrier, "85551234").expect("the target rings");
    desk.accept(Party::Carrier, target);
    desk.hangup(Party::Carrier, target);
    assert!(desk.rings(Party::Backup, "85551234").is_none());
    assert_eq!(desk.record().legs.len(), 2);
    over(desk);
}

#[test]
fn the_time_to_ring_is_not_the_time_to_find_out_who_answered() {
    let mut desk = desk();
    desk.listens = None;
    let _client = desk.client("500");
    desk.seconds(1);
    let keyed = desk.client_port_id();
    desk.media_event(MediaEvent::Digit { port: keyed, digit: '1', source: DigitSource::Event });
    let port = dialled(&mut desk, 1);
    // 39 of 40 s: as voice mail does.
    desk.seconds(31);
    answer_unknown(&mut desk);
    desk.seconds(3);
    assert!(desk.port_on(1).is_some_and(|p| p.bridge.is_none()), "{}", desk.state());
    desk.media_event(MediaEvent::Answered { port, by: Answerer::Machine });
    assert_eq!(desk.record().cause, Some(Cause::Rejected));
    over(desk);

    // A plane that never says: joined, long before the ringing would have ended.
    let mut desk = crate::scripts::desk();
    desk.listens = None;
    examined(&mut desk);
    desk.seconds(8);
    assert!(desk.state().starts_with("talking"), "{}", desk.state());
    desk.far(1, em_wink::Input::Release(Cause::Normal));
    over(desk);
}
