//! Single calls, step by step, through what goes wrong in practice.

use std::time::Duration;

use cordboard::base::Cause;
use cordboard::core::control::{Command, Reply};
use cordboard::core::journal::{AgentStatus, Direction};
use cordboard::core::media::{DigitSource, HeardTone, MediaEvent};
use cordboard::core::switch::Input;
use cordboard::core::trunk::CardInput;
use cordboard::proto::cas::em_wink;
use cordboard::proto::sdp::Direction as Flow;
use cordboard::proto::sip::{Event, SessionId};

use crate::desk::{Desk, PROVISION, Party, Sound, description};
use crate::provision;

pub fn desk() -> Desk {
    Desk::new(1, provision(PROVISION))
}

/// A client who talks to ana.
fn talking(desk: &mut Desk) -> (SessionId, SessionId) {
    let client = desk.client("100");
    let ana = desk.agent_answers("ana");
    assert!(desk.client_port().bridge.is_some(), "the client talks to ana");
    (client, ana)
}

pub fn over(mut desk: Desk) {
    desk.seconds(700);
    desk.check_over();
}

fn sign_in(agent: &str) -> Command {
    Command::SignIn { tenant: "acme".into(), agent: agent.into() }
}

#[test]
fn an_agent_answers_and_hangs_up() {
    let mut desk = desk();
    let (_, ana) = talking(&mut desk);
    desk.seconds(5);
    assert_eq!(desk.agent("ana"), AgentStatus::Busy);
    desk.hangup(Party::Phones, ana);
    let cdr = desk.record();
    assert_eq!((cdr.cause, cdr.agent.as_deref()), (Some(Cause::Normal), Some("ana")));
    assert!(cdr.answered_at.is_some() && cdr.legs.iter().all(|l| l.answered_at.is_some() && l.media.is_some()));
    assert_eq!(desk.agent("ana"), AgentStatus::Ready);
    over(desk);
}

#[test]
fn an_invite_without_an_offer_is_answered_by_ours() {
    let mut desk = desk();
    let client = desk.call(Party::Carrier, "5550001", "100", None);
    assert!(desk.heard(Party::Carrier, |e| matches!(e, Event::Answered { sdp: Some(_), .. })), "our offer came");
    // The endpoint's ACK has no body; a description follows by re-INVITE, which is what an endpoint without one does.
    desk.seconds(1);
    assert_eq!(desk.record().cause, Some(Cause::IncompatibleMedia), "no answer in the ACK");
    assert!(desk.heard(Party::Carrier, |e| matches!(e, Event::Ended { session, .. } if *session == client)));
    over(desk);
}

/// A request of a caller without a stack of its own.
fn request(method: &str, cseq: u32, to_tag: &str, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
    format!(
        "{method} sip:100@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.2:5099;branch=z9hG4bK{method}{cseq}\n\
         Max-Forwards: 70\nFrom: <sip:5550001@127.0.0.2>;tag=a\nTo: <sip:100@127.0.0.1>{to_tag}\nCall-ID: by-hand\n\
         CSeq: {cseq} {method}\nContact: <sip:5550001@127.0.0.2:5099>\n{kind}Content-Length: {}\n\n{body}",
        body.replace('\n', "\r\n").len()
    )
}

fn answer(port: u16, direction: &str) -> String {
    format!(
        "v=0\no=- 1 1 IN IP4 127.0.0.2\ns=-\nc=IN IP4 127.0.0.9\nt=0 0\nm=audio {port} RTP/AVP 8\n\
         a=rtpmap:8 PCMA/8000\na={direction}\n"
    )
}

#[test]
fn the_ack_answers_our_late_offer() {
    let mut desk = desk();
    desk.datagram(&request("INVITE", 1, "", ""));
    let ours = desk.strays.iter().map(|b| String::from_utf8_lossy(b).into_owned()).find(|t| t.contains(" 200 OK"));
    let ours = ours.expect("the flow answered");
    assert!(ours.contains("m=audio") && ours.contains("PCMU") && ours.contains("PCMA"), "our whole offer: {ours}");
    let tag = ours.lines().find(|l| l.starts_with("To:")).and_then(|l| l.split("tag=").nth(1)).expect("our tag");
    let tag = format!(";tag={}", tag.trim());
    desk.datagram(&request("ACK", 1, &tag, &answer(20_000, "sendrecv")));
    assert_eq!(desk.client_port().remote, Some(20_000), "the stream goes where the ACK says");
    desk.agent_answers("ana");
    assert!(desk.client_port().bridge.is_some());
    // A re-INVITE without an offer: ours again, and the answer, which holds us, in the ACK.
    desk.datagram(&request("INVITE", 2, &tag, ""));
    desk.datagram(&request("ACK", 2, &tag, &answer(20_000, "sendonly")));
    assert!(desk.client_port().bridge.is_none(), "the client holds");
    desk.datagram(&request("BYE", 3, &tag, ""));
    assert_eq!(desk.record().cause, Some(Cause::Normal));
    over(desk);
}

/// A client without a stack of its own talks to ana and presses 5, signalled by INFO; its port, ana's, and ana.
fn pressed(desk: &mut Desk, events: bool) -> (cordboard::base::PortId, cordboard::base::PortId, SessionId) {
    let mut offer = answer(20_000, "sendrecv");
    if events {
        offer = offer.replace("AVP 8\n", "AVP 8 101\na=rtpmap:101 telephone-event/8000\n");
    }
    desk.datagram(&request("INVITE", 1, "", &offer));
    let ours = desk.strays.iter().map(|b| String::from_utf8_lossy(b).into_owned()).find(|t| t.contains(" 200 OK"));
    let ours = ours.expect("the flow answered");
    assert_eq!(ours.contains("telephone-event"), events, "{ours}");
    let tag = ours.lines().find(|l| l.starts_with("To:")).and_then(|l| l.split("tag=").nth(1)).expect("our tag");
    let tag = format!(";tag={}", tag.trim());
    desk.datagram(&request("ACK", 1, &tag, ""));
    let ana = desk.agent_answers("ana");
    let info = request("INFO", 2, &tag, "Signal=5\n").replace("application/sdp", "application/dtmf-relay");
    desk.datagram(&info);
    let port = desk.client_port_id();
    (port, desk.client_port().bridge.expect("they talk"), ana)
}

#[test]
fn a_key_signalled_by_info_and_by_an_event_reaches_the_other_party_once() {
    let mut desk = desk();
    let (port, _, ana) = pressed(&mut desk, true);
    desk.pass(Duration::from_millis(100));
    desk.media_event(MediaEvent::Digit { port, digit: '5', source: DigitSource::Event });
    desk.seconds(5);
    assert!(desk.keyed.is_empty(), "the plane passes the event on: {:?}", desk.keyed);
    desk.hangup(Party::Phones, ana);
    over(desk);

    for events in [true, false] {
        let mut desk = self::desk();
        let (_, other, ana) = pressed(&mut desk, events);
        assert_eq!(desk.keyed.is_empty(), events, "who could send an event gets the time to");
        desk.pass(Duration::from_millis(400));
        assert_eq!(desk.keyed, [(other, "5".to_owned())]);
        desk.hangup(Party::Phones, ana);
        over(desk);
    }
}

#[test]
fn early_media_follows_ringing() {
    let mut desk = desk();
    let client = desk.client("200");
    let rang = |e: &Event| matches!(e, Event::Provisional { session, status: 180, .. } if *session == client);
    assert!(desk.heard(Party::Carrier, rang));
    let target = desk.rings(Party::Carrier, "85551234").expect("the target rings");
    let early = description(31_000, Flow::SendRecv);
    desk.with(Party::Carrier, |e, now| e.provisional(now, target, 183, Some(early)));
    assert!(desk.client_port().bridge.is_some(), "the client hears the target");
    desk.with(Party::Carrier, |e, now| e.reject(now, target, 486, None, None));
    desk.seconds(1);
    assert_eq!(desk.record().cause, Some(Cause::Busy));
    over(desk);
}

#[test]
fn keys_leave_no_timers_behind() {
    let mut desk = desk();
    desk.client("400");
    desk.seconds(2);
    let port = desk.port_to(20_000);
    for _ in 0..25 {
        desk.media_event(MediaEvent::Digit { port, digit: '1', source: DigitSource::Event });
        desk.pass(Duration::from_millis(10));
    }
    let wakes = desk.wakes;
    desk.seconds(9);
    assert!(desk.wakes - wakes < 10, "{} wakes for one pause between digits", desk.wakes - wakes);
    over(desk);
}

#[test]
fn a_transfer_that_fails_in_a_loop_ends() {
    let mut text = provision(PROVISION);
    for flow in text.flow.iter_mut().filter(|f| f.name == "out") {
        flow.text = "[flow]\nstart = \"out\"\n[step.out]\ndo = \"transfer\"\nto = \"777\"\non_fail = \"out\"\n".into();
    }
    // A small stack: steps must not nest.
    let walk = move || {
        let mut desk = Desk::new(1, text);
        desk.client("200");
        assert_eq!(desk.record().cause, Some(Cause::TemporaryFailure));
        over(desk);
    };
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(walk).expect("a thread");
    thread.join().expect("the loop ends");
}

#[test]
fn a_span_that_is_provisioned_in_alarm_is_out_of_service() {
    let mut without = provision(PROVISION);
    without.span.clear();
    let mut desk = Desk::new(1, without);
    desk.card(CardInput::Span { span: 1, alarm: Some("red") });
    desk.command(Command::Provision { provision: Box::new(provision(PROVISION)) });
    desk.client("300");
    assert_eq!(desk.record().cause, Some(Cause::NoCircuit));
    over(desk);
}

#[test]
fn ringing_is_heard_where_early_media_was_open() {
    let mut desk = desk();
    desk.client("400");
    assert!(matches!(desk.client_port().sound, Sound::Play(_)));
    desk.seconds(12);
    assert!(desk.rings(Party::Carrier, "85551234").is_some());
    assert!(matches!(desk.client_port().sound, Sound::Tone(_)), "{:?}", desk.client_port().sound);
    over(desk);
}

#[test]
fn what_one_conversation_was_not_told_is_not_told_to_the_next() {
    let mut desk = desk();
    let (client, ana) = talking(&mut desk);
    desk.reoffer(Party::Carrier, client, Flow::SendOnly);
    let port = desk.client_port_id();
    desk.media_event(MediaEvent::RecordFailed { port });
    desk.refer(Party::Phones, ana, "600");
    desk.reoffer(Party::Carrier, client, Flow::SendRecv);
    let target = desk.rings(Party::Carrier, "85551234").expect("the target rings");
    desk.accept(Party::Carrier, target);
    desk.seconds(9);
    assert!(desk.state().starts_with("talking"), "{}", desk.state());
    assert!(told(&desk).is_empty(), "nobody had said that anybody would record");
    desk.hangup(Party::Carrier, client);
    over(desk);
}

/// Who was told that nobody records.
fn told(desk: &Desk) -> Vec<cordboard::base::PortId> {
    desk.said.iter().filter(|(_, prompt)| prompt == "en/queue/not-recorded").map(|(port, _)| *port).collect()
}

#[test]
fn who_is_on_hold_is_told_afterwards_that_nobody_records() {
    let mut desk = desk();
    let (client, ana) = talking(&mut desk);
    desk.reoffer(Party::Phones, ana, Flow::SendOnly);
    let port = desk.client_port_id();
    desk.media_event(MediaEvent::RecordFailed { port });
    assert!(told(&desk).is_empty(), "the client has music");
    assert!(matches!(desk.client_port().sound, Sound::Music(_)));
    desk.reoffer(Party::Phones, ana, Flow::SendRecv);
    assert_eq!(told(&desk).len(), 2, "both");
    desk.reoffer(Party::Phones, ana, Flow::SendOnly);
    desk.reoffer(Party::Phones, ana, Flow::SendRecv);
    assert_eq!(told(&desk).len(), 2, "once");
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn the_alarm_of_a_recording_that_failed_ends_when_one_is_known_to_be_written_well() {
    let mut desk = desk();
    let (client, _) = talking(&mut desk);
    desk.seconds(1);
    let port = desk.client_port_id();
    desk.media_event(MediaEvent::RecordFailed { port });
    desk.hangup(Party::Carrier, client);
    assert!(alarm(&desk, "recording-failed"), "the failed one's own end ends nothing");
    desk.seconds(60);
    let (client, _) = talking(&mut desk);
    assert!(alarm(&desk, "recording-failed"));
    desk.hangup(Party::Carrier, client);
    assert!(alarm(&desk, "recording-failed"), "its end is no proof that it was written");
    let now = desk.now;
    desk.switch.handle(now, Input::RecordingsFail(false));
    assert!(!alarm(&desk, "recording-failed"));
    over(desk);
}

fn alarm(desk: &Desk, name: &str) -> bool {
    desk.switch.status().alarms.iter().any(|a| a.name == name)
}

#[test]
fn a_full_disk_refuses_new_recordings_and_says_so_to_both_who_talk() {
    let mut desk = desk();
    let now = desk.now;
    desk.switch.handle(now, Input::DiskFull(true));
    assert!(alarm(&desk, "disk-full"));
    let (client, _) = talking(&mut desk);
    assert!(desk.recordings.is_empty(), "{:?}", desk.recordings);
    let mut both: Vec<_> = desk.ports.keys().copied().collect();
    both.sort_unstable();
    assert_eq!(told(&desk), both);
    desk.seconds(3);
    desk.check_sounds();
    assert!(desk.client_port().bridge.is_some(), "they talk all the same");
    desk.hangup(Party::Carrier, client);
    assert!(desk.record().events.iter().any(|e| e.what == "not-recorded"), "{:?}", desk.record());
    assert_eq!(desk.switch.status().recordings_refused, 1);

    let now = desk.now;
    desk.switch.handle(now, Input::DiskFull(false));
    assert!(!alarm(&desk, "disk-full"));
    desk.seconds(60);
    let (client, _) = talking(&mut desk);
    desk.hangup(Party::Carrier, client);
    assert_eq!((desk.recordings.len(), told(&desk).len()), (1, 2));
    over(desk);
}

/// What cannot be written for long must not stop what goes on.
#[test]
fn while_the_store_is_far_behind_no_new_call_begins_and_those_in_progress_go_on() {
    let mut desk = desk();
    let (client, _) = talking(&mut desk);
    let now = desk.now;
    desk.switch.handle(now, Input::StoreBehind(true));
    assert!(alarm(&desk, "store-behind"));
    desk.call(Party::Carrier, "5550002", "100", None);
    assert!(desk.heard(Party::Carrier, |e| matches!(e, Event::Failed { status: 503, .. })));
    desk.call(Party::Carrier, "5550003", "911", None);
    let shed = desk.switch.status().load.shed;
    assert_eq!(shed.get("store-behind"), Some(&1), "not the emergency call");
    desk.seconds(3);
    assert!(desk.client_port().bridge.is_some(), "they talk all the same");
    desk.hangup(Party::Carrier, client);
    let now = desk.now;
    desk.switch.handle(now, Input::StoreBehind(false));
    assert!(!alarm(&desk, "store-behind"));
    over(desk);
}

#[test]
fn a_recording_that_ends_early_is_said_once_and_the_next_conversation_is_recorded() {
    let mut desk = desk();
    let (client, ana) = talking(&mut desk);
    let port = desk.port_to(20_000);
    desk.media_event(MediaEvent::RecordFailed { port });
    desk.media_event(MediaEvent::RecordFailed { port });
    assert!(alarm(&desk, "recording-failed"));
    assert_eq!(told(&desk).len(), 2, "both, once");
    desk.hangup(Party::Phones, ana);
    desk.seconds(60);
    desk.hangup(Party::Carrier, client);
    let (client, _) = talking(&mut desk);
    desk.hangup(Party::Carrier, client);
    assert_eq!(desk.recordings.len(), 2, "{:?}", desk.recordings);
    over(desk);
}

#[test]
fn a_second_peer_takes_what_the_first_cannot() {
    let mut desk = desk();
    desk.client("200");
    let first = desk.rings(Party::Carrier, "85551234").expect("the first peer");
    desk.with(Party::Carrier, |e, now| e.reject(now, first, 503, None, None));
    let second = desk.rings(Party::Backup, "85551234").expect("the second peer");
    desk.accept(Party::Backup, second);
    desk.seconds(3);
    desk.hangup(Party::Backup, second);
    let cdr = desk.record();
    assert_eq!((cdr.cause, cdr.legs.len()), (Some(Cause::Normal), 3));
    assert_eq!(cdr.direction, Direction::Inbound);
    over(desk);
}

#[test]
fn a_circuit_is_not_seized_for_what_cannot_be_dialled() {
    let mut desk = desk();
    let phone = desk.call(Party::Phones, "ana", "9+15551234", Some(description(21_000, Flow::SendRecv)));
    assert!(
        desk.heard(Party::Phones, |e| matches!(e, Event::Failed { session, .. } if *session == phone)),
        "told at once"
    );
    assert_eq!(desk.record().cause, Some(Cause::InvalidNumber));
    desk.check_over();
    over(desk);
}

#[test]
fn a_phone_calls_out_over_a_circuit() {
    let mut desk = desk();
    let phone = desk.call(Party::Phones, "ana", "95551234", Some(description(21_000, Flow::SendRecv)));
    desk.seconds(8);
    assert!(desk.far_heard(1, &em_wink::Event::Address(cordboard::base::DialString::new("5551234").expect("digits"))));
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(3);
    assert!(desk.port_on(1).is_some_and(|p| p.bridge.is_some()));
    desk.hangup(Party::Phones, phone);
    desk.seconds(3);
    let cdr = desk.record();
    assert_eq!((cdr.direction, cdr.cause), (Direction::Outbound, Some(Cause::Normal)));
    assert_eq!(cdr.agent.as_deref(), Some("ana"));
    let status = desk.switch.status();
    assert!(status.answered <= status.offered, "answered are of the offered");
    over(desk);
}

/// The port of a circuit that was dialled and listens for tones.
pub fn dialled(desk: &mut Desk, timeslot: u8) -> cordboard::base::PortId {
    desk.seconds(8);
    let on = desk.ports.iter().find(|(_, p)| p.circuit.is_some_and(|c| c.timeslot == timeslot));
    let (port, state) = on.expect("a circuit was taken");
    assert_eq!(state.tones, Some(*b"us"), "it listens for the tones of the tenant's country");
    *port
}

#[test]
fn a_tone_on_a_circuit_ends_the_call_with_its_cause() {
    for (tone, cause) in [
        (HeardTone::Busy, Cause::Busy),
        (HeardTone::Special(cordboard::base::SpecialTone::VacantCode), Cause::UnallocatedNumber),
    ] {
        let mut desk = desk();
        let _phone = desk.call(Party::Phones, "ana", "95551234", Some(description(21_000, Flow::SendRecv)));
        let port = dialled(&mut desk, 1);
        desk.media_event(MediaEvent::Tone { port, tone: HeardTone::Ringback });
        desk.seconds(1);
        assert!(desk.port_on(1).is_some(), "ringing ends nothing");
        desk.media_event(MediaEvent::Tone { port, tone });
        desk.seconds(5);
        assert_eq!(desk.record().cause, Some(cause));
        assert!(desk.port_on(1).is_none_or(|p| p.bridge.is_none()));
        over(desk);
    }
}

#[test]
fn congestion_on_one_circuit_leads_to_another() {
    let mut desk = desk();
    let phone = desk.call(Party::Phones, "ana", "95551234", Some(description(21_000, Flow::SendRecv)));
    let port = dialled(&mut desk, 1);
    desk.media_event(MediaEvent::Tone { port, tone: HeardTone::Congestion });
    dialled(&mut desk, 2);
    desk.hangup(Party::Phones, phone);
    desk.seconds(3);
    assert!(desk.record().events.iter().any(|e| e.what == "tone" && e.detail == "congestion"));
    over(desk);
}

#[test]
fn a_tone_after_the_answer_changes_nothing() {
    let mut desk = desk();
    let phone = desk.call(Party::Phones, "ana", "95551234", Some(description(21_000, Flow::SendRecv)));
    let port = dialled(&mut desk, 1);
    desk.far(1, em_wink::Input::Answer);
    desk.seconds(3);
    assert_eq!(desk.ports.get(&port).and_then(|p| p.tones), None, "nobody listens for tones any longer");
    desk.media_event(MediaEvent::Tone { port, tone: HeardTone::Busy });
    desk.seconds(3);
    assert!(desk.port_on(1).is_some_and(|p| p.bridge.is_some()), "they talk on");
    desk.hangup(Party::Phones, phone);
    desk.seconds(3);
    over(desk);
}

#[test]
fn a_fax_machine_that_calls_goes_to_its_step() {
    let mut desk = desk();
    let _client = desk.client("500");
    desk.seconds(1);
    let port = desk.client_port_id();
    assert_eq!(desk.ports.get(&port).and_then(|p| p.tones), Some(*b"us"));
    desk.media_event(MediaEvent::Tone { port, tone: HeardTone::FaxCalling });
    desk.seconds(3);
    assert_eq!(desk.record().cause, Some(Cause::IncompatibleMedia));
    over(desk);
}

#[test]
fn glare_moves_the_call_to_another_circuit() {
    let mut desk = desk();
    let _phone = desk.call(Party::Phones, "ana", "95551234", Some(description(21_000, Flow::SendRecv)));
    // The far end, which holds, seized the same circuit in the same moment: it shows off-hook for longer than a wink.
    desk.far(1, em_wink::Input::Alarm(true));
    desk.card(CardInput::Cas { span: 1, timeslot: 1, bits: 0x0f });
    desk.seconds(1);
    assert!(desk.port_on(2).is_some(), "the second circuit is tried");
    desk.card(CardInput::Cas { span: 1, timeslot: 1, bits: 0 });
    over(desk);
}

#[test]
fn a_call_from_a_circuit_is_answered() {
    let mut desk = desk();
    desk.seize(3, "100");
    desk.seconds(6);
    desk.agent_answers("ana");
    desk.seconds(3);
    assert!(desk.far_heard(3, &em_wink::Event::Answered));
    assert!(desk.port_on(3).is_some_and(|p| p.bridge.is_some() && p.recording.is_some()));
    desk.far(3, em_wink::Input::Release(Cause::Normal));
    desk.seconds(3);
    assert_eq!(desk.record().cause, Some(Cause::Normal));
    over(desk);
}

#[test]
fn a_span_in_alarm_takes_no_call_to_its_own_circuits() {
    let mut desk = desk();
    desk.client("300");
    desk.seconds(1);
    assert!(desk.port_on(1).is_some(), "it dials");
    desk.card(CardInput::Span { span: 1, alarm: Some("red") });
    assert_eq!(desk.record().cause, Some(Cause::NetworkOutOfOrder));
    assert_eq!(desk.record().legs.len(), 2, "no circuit of the failed span is tried: {:?}", desk.record());
    over(desk);
}

#[test]
fn hold_plays_music_and_survives_a_failed_transfer() {
    let mut desk = desk();
    desk.command(sign_in("ben"));
    let (client, ana) = talking(&mut desk);
    desk.reoffer(Party::Phones, ana, Flow::SendOnly);
    assert!(matches!(desk.client_port().sound, Sound::Music(_)));
    desk.refer(Party::Phones, ana, "ben");
    let ben = desk.rings(Party::Phones, "ben").expect("ben rings");
    assert!(matches!(desk.client_port().sound, Sound::Tone(_)), "the client hears ringing");
    // One at a time.
    desk.refer(Party::Phones, ana, "100");
    desk.with(Party::Phones, |e, now| e.reject(now, ben, 486, None, None));
    assert!(desk.client_port().bridge.is_none(), "ana still holds");
    assert!(matches!(desk.client_port().sound, Sound::Music(_)), "{:?}", desk.client_port().sound);
    desk.reoffer(Party::Phones, ana, Flow::SendRecv);
    assert!(desk.client_port().bridge.is_some(), "and is back");
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn a_client_on_hold_meets_its_agent_when_it_comes_back() {
    let mut desk = desk();
    let client = desk.client("100");
    desk.reoffer(Party::Carrier, client, Flow::SendOnly);
    desk.agent_answers("ana");
    assert!(desk.client_port().bridge.is_none(), "the client holds");
    desk.reoffer(Party::Carrier, client, Flow::SendRecv);
    assert!(desk.client_port().bridge.is_some());
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn a_transfer_goes_through_though_its_agent_left_at_once() {
    let mut desk = desk();
    let (client, ana) = talking(&mut desk);
    desk.refer(Party::Phones, ana, "ben");
    desk.hangup(Party::Phones, ana);
    desk.seconds(1);
    assert_eq!(desk.agent("ana"), AgentStatus::Ready);
    desk.agent_answers("ben");
    assert!(desk.client_port().bridge.is_some());
    desk.hangup(Party::Carrier, client);
    let cdr = desk.record();
    assert_eq!(cdr.agent.as_deref(), Some("ben"), "who talked last");
    over(desk);
}

#[test]
fn a_circuit_whose_audio_fails_takes_no_address() {
    let mut desk = desk();
    desk.seize(2, "100");
    desk.pass(Duration::from_millis(450));
    let (&port, _) = desk.ports.iter().find(|(_, p)| p.circuit.is_some()).expect("it listens");
    desk.media_event(MediaEvent::Failed { port });
    assert!(desk.ports.is_empty(), "it listens no more");
    desk.seconds(8);
    assert_eq!(desk.started, 0);
    desk.far(2, em_wink::Input::Release(Cause::Normal));
    over(desk);
}

#[test]
fn a_phone_that_dies_while_it_rings_is_free_again() {
    let mut desk = desk();
    let client = desk.client("100");
    assert!(desk.rings(Party::Phones, "ana").is_some());
    desk.dead.insert(Party::Phones);
    desk.hangup(Party::Carrier, client);
    assert_eq!(desk.record().cause, Some(Cause::Abandoned));
    // RFC 3261 9.1: 64 T1 after the CANCEL the INVITE counts as cancelled, whatever the phone says.
    desk.seconds(70);
    desk.dead.clear();
    let client = desk.client("100");
    assert!(desk.rings(Party::Phones, "ana").is_some(), "ana is rung again");
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn a_phone_that_dies_in_a_conversation_is_free_again() {
    let mut desk = desk();
    let (client, _) = talking(&mut desk);
    desk.dead.insert(Party::Phones);
    desk.hangup(Party::Carrier, client);
    desk.seconds(70);
    desk.dead.clear();
    let client = desk.client("100");
    assert!(desk.rings(Party::Phones, "ana").is_some(), "ana is rung again");
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn a_client_may_leave_during_a_transfer() {
    let mut desk = desk();
    let (client, ana) = talking(&mut desk);
    desk.refer(Party::Phones, ana, "ben");
    desk.hangup(Party::Carrier, client);
    assert_eq!(desk.agent("ana"), AgentStatus::Ready);
    assert_eq!(desk.record().cause, Some(Cause::Normal));
    over(desk);
}

#[test]
fn a_transfer_back_into_the_queue_is_recorded_apart() {
    let mut desk = desk();
    let (client, ana) = talking(&mut desk);
    assert!(desk.client_port().recording.is_some());
    desk.command(sign_in("ben"));
    desk.command(Command::Pause { tenant: "acme".into(), agent: "ana".into(), reason: "lunch".into() });
    desk.refer(Party::Phones, ana, "100");
    assert!(desk.heard(Party::Phones, |e| matches!(e, Event::ReferProgress { status: 200, .. })), "ana's phone knows");
    assert_eq!(desk.client_port().recording, None, "waiting is not recorded");
    assert_eq!(desk.agent("ana"), AgentStatus::NotReady);
    desk.agent_answers("ben");
    assert!(desk.client_port().recording.is_some());
    assert_eq!(desk.recordings.len(), 2);
    desk.hangup(Party::Carrier, client);
    assert_eq!(desk.record().agent.as_deref(), Some("ben"));
    over(desk);
}

#[test]
fn agents_are_not_ready_for_the_tenants_reasons_alone() {
    let mut text = provision(PROVISION);
    text.tenant[0].not_ready_reasons = vec!["lunch".into(), "training".into()];
    let tenant = text.tenant[0].name.clone();
    let mut desk = Desk::new(1, text);
    let pause = |reason: &str| Command::Pause { tenant: tenant.clone(), agent: "ana".into(), reason: reason.into() };
    desk.command(sign_in("ana"));
    let refused = desk.command(pause("golf"));
    assert!(matches!(&refused, Reply::Refused { reason } if reason.contains("lunch, training")), "{refused:?}");
    assert_eq!(desk.agent("ana"), AgentStatus::Ready);
    desk.command(pause("lunch"));
    assert_eq!(desk.agent("ana"), AgentStatus::NotReady);
    over(desk);
}

#[test]
fn a_busy_party_is_not_asked_again_by_another_trunk() {
    let mut desk = desk();
    let (client, ana) = talking(&mut desk);
    desk.refer(Party::Phones, ana, "85551234");
    let target = desk.rings(Party::Carrier, "85551234").expect("rings");
    desk.with(Party::Carrier, |e, now| e.reject(now, target, 486, None, None));
    assert!(desk.rings(Party::Backup, "85551234").is_none(), "busy is busy");
    assert!(desk.client_port().bridge.is_some(), "back to ana");
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn want_of_sockets_is_not_the_agents_fault() {
    let mut desk = desk();
    desk.seconds(1);
    desk.sockets_left = 0;
    // All sockets but one are taken by callers who wait.
    desk.command(Command::Pause { tenant: "acme".into(), agent: "ana".into(), reason: "later".into() });
    let mut clients = Vec::new();
    loop {
        clients.push(desk.client("100"));
        let status = desk.switch.status();
        let sockets = status.bounds.iter().find(|b| b.name == "rtp-sockets").expect("the bound");
        if sockets.refused > 0 || clients.len() > 400 {
            break;
        }
    }
    desk.command(Command::Resume { tenant: "acme".into(), agent: "ana".into() });
    desk.seconds(10);
    assert!(desk.rings(Party::Phones, "ana").is_some(), "{:?}", desk.agents);
    assert!(!desk.cdrs.is_empty(), "a caller made room");
    over(desk);
}

#[test]
fn digits_and_silence_during_a_conversation_change_nothing() {
    let mut desk = desk();
    let (client, _) = talking(&mut desk);
    let port = desk.port_to(20_000);
    for digit in "123*#".chars() {
        desk.media_event(MediaEvent::Digit { port, digit, source: DigitSource::Event });
    }
    desk.media_event(MediaEvent::Silent { port });
    assert!(desk.client_port().bridge.is_some());
    desk.hangup(Party::Carrier, client);
    over(desk);
}

#[test]
fn a_stop_ends_every_state() {
    let mut desk = desk();
    let _talking = talking(&mut desk);
    desk.client("100"); // waits
    desk.client("200"); // connects
    desk.client("400"); // in its flow
    desk.seize(5, "100"); // waits on a circuit
    desk.seize(6, "999"); // hears a tone
    desk.seconds(6);
    desk.command(Command::Stop);
    desk.command(Command::Stop);
    desk.seconds(3);
    assert!(desk.stopped);
    assert!(desk.cdrs.iter().all(|c| c.cause.is_some()));
    over(desk);
}

#[test]
fn provisioning_changes_leave_calls_alone_and_no_timers_behind() {
    let mut text = provision(PROVISION);
    for peer in text.trunk.iter_mut().flat_map(|t| &mut t.peer) {
        peer.options_s = 10;
    }
    let mut desk = Desk::new(1, text.clone());
    let (client, _) = talking(&mut desk);
    for _ in 0..20 {
        desk.command(Command::Provision { provision: Box::new(text.clone()) });
    }
    assert!(desk.client_port().bridge.is_some());
    desk.hangup(Party::Carrier, client);
    desk.seconds(30);
    let mut wakes = 0;
    for _ in 0..1_000 {
        let Some(due) = desk.switch.poll_timeout() else { break };
        if due.since(desk.now.mono) > Duration::from_secs(60) {
            break;
        }
        let to = due.since(desk.now.mono);
        desk.pass(to);
        wakes += 1;
        if desk.now.mono.as_micros() > 90_000_000 {
            break;
        }
    }
    assert!(wakes < 100, "{wakes} wakes in a minute for two peers asked every ten seconds");
    over(desk);
}

#[test]
fn a_queue_that_goes_lets_its_callers_go_on() {
    let mut desk = desk();
    desk.client("100");
    assert!(desk.rings(Party::Phones, "ana").is_some());
    let mut without = provision(PROVISION);
    without.queue.clear();
    desk.command(Command::Provision { provision: Box::new(without) });
    desk.seconds(3);
    assert_eq!(desk.record().cause, Some(Cause::Normal), "the flow goes on by its overflow");
    assert_eq!(desk.agent("ana"), AgentStatus::Ready);
    over(desk);
}

#[test]
fn circuits_that_are_no_longer_provisioned_go_on_hook() {
    let mut desk = desk();
    desk.far(4, em_wink::Input::Seize { digits: cordboard::base::DialString::new("100").expect("digits") });
    // In the middle of our wink.
    desk.pass(Duration::from_millis(250));
    assert_eq!(desk.hooks.get(&4), Some(&0x0f));
    let mut without = provision(PROVISION);
    without.span.clear();
    without.card.clear();
    desk.command(Command::Provision { provision: Box::new(without) });
    desk.seconds(1);
    assert_eq!(desk.hooks.get(&4), Some(&0), "our hook is not left off");
    over(desk);
}
