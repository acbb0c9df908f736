//! What is heard on circuits and leads calls: the network's tones, who answers, fax machines. Real samples through a real
//! appliance.

use std::path::Path;

use cordboard::base::{Cause, ToneKind};
use cordboard::core::journal::Cdr;
use cordboard::dsp::level::Dbm0;
use cordboard::dsp::tone::{Cadence, Component, Generator, PLANS, Tone, plan};
use cordboard_hal_sim::{Answering, FarEventKind, SimControl};

use crate::cards::event;
use crate::site::{Live, Site, flow, until};

/// Two cards, E1 behind the prefix 9; 500 goes out to 95551 and says what became of it by its own cause; 600 takes faxes.
fn world(site: &Site, country: &str, ring_ms: Option<u32>) -> (Live, SimControl, SimControl) {
    let mut text = String::new();
    for (card, driver) in [("t1", "sim-t1"), ("e1", "sim-e1")] {
        text += &format!(
            "[[card]]\nname = '{card}'\ndriver = '{driver}'\n\
             [[span]]\nname = '{card}-1'\ncard = '{card}'\nsignalling = 'em-wink'\ntrunk = '{card}'\n"
        );
    }
    text += "[[trunk]]\nname = 't1'\nkind = 'tdm'\n[[trunk]]\nname = 'e1'\nkind = 'tdm'\nprefix = ['9']\nstrip = 1\n";
    text += &flow(
        "500",
        "out",
        "[step.first]\ndo = \"transfer\"\nto = \"95551\"\nring_s = 30\non_machine = \"machine\"\n\
         [step.machine]\ndo = \"hangup\"\ncause = \"rejected\"\n",
    );
    let fax = "[step.first]\ndo = \"play\"\nprompt = [{ silence_ms = 10000 }, { silence_ms = 10000 }]\nnext = \"end\"\n\
               [step.fax]\ndo = \"hangup\"\ncause = \"incompatible-media\"\n";
    text += &flow("600", "fax", fax).replace("start = \"hello\"\n", "start = \"hello\"\non_fax = \"fax\"\n");
    let mut provision = site.provision(&text);
    provision.tenant[0].country = Some(country.to_owned());
    let live = site.restart(Some(provision));
    let [(_, t1), (_, e1)] = &live.0.sims[..] else { panic!("two cards") };
    let (t1, e1) = (t1.clone(), e1.clone());
    for slot in (1..=31).filter(|s| *s != 16) {
        e1.set_answering(1, slot, Answering { digits: Some(4), ring_ms, ..Answering::default() }).unwrap();
    }
    until("the circuits are idle", || t1.is_idle(1, 1).unwrap() && live.status().alarms.is_empty());
    (live, t1, e1)
}

/// Plays on a timeslot until the other end of the call has its record.
fn play(site: &Site, control: &SimControl, slot: u8, pcm: &[i16]) -> Cdr {
    let before = site.cdrs().iter().filter(|c| c.ended_at.is_some()).count();
    let (mut rest, mut found) = (pcm, None);
    until("the call's record", || {
        let taken = control.play(1, slot, &rest[..rest.len().min(800)]).unwrap_or_default();
        rest = &rest[taken..];
        let ended: Vec<Cdr> = site.cdrs().into_iter().filter(|c| c.ended_at.is_some()).collect();
        found = (ended.len() > before).then(|| ended.into_iter().max_by_key(|c| c.call_id)).flatten();
        found.is_some()
    });
    found.unwrap()
}

fn noted(record: &Cdr, what: &str) -> Vec<String> {
    record.events.iter().filter(|e| e.what == what).map(|e| e.detail.clone()).collect()
}

/// Dials 500 on the T1; the timeslot of the E1 on which it goes out. Which digits arrive is tested elsewhere: a machine that
/// is busy with other work stutters.
fn goes_out(t1: &SimControl, e1: &SimControl, slot: u8) -> u8 {
    t1.dial(1, slot, "500").unwrap();
    event(e1, "the number arrives", |e| matches!(e.kind, FarEventKind::DigitsReceived(_))).timeslot
}

/// So much of a country's tone.
fn tone(country: [u8; 2], kind: ToneKind) -> Vec<i16> {
    let mut pcm = vec![0; 8 * 8_000];
    Generator::new(plan(country, kind)).fill(&mut pcm);
    pcm
}

#[test]
fn busy_ends_a_call_on_a_circuit_and_congestion_leads_to_another_circuit() {
    // Two sines, one sine, and a rhythm of its own. All countries' tones are told apart in `dsp`.
    for country in ["us", "de", "gb"] {
        let code = *country.as_bytes().first_chunk().unwrap();
        assert!(PLANS.iter().any(|plan| plan.country == code));
        let site = Site::new();
        let (live, t1, e1) = world(&site, country, None);
        let out = goes_out(&t1, &e1, 1);
        let record = play(&site, &e1, out, &tone(code, ToneKind::Busy));
        assert_eq!(record.cause, Some(Cause::Busy), "{country}: {record:?}");
        assert_eq!(noted(&record, "tone"), ["busy"]);
        event(&t1, "the caller is released", |e| e.timeslot == 1 && e.kind == FarEventKind::HungUp);

        let out = goes_out(&t1, &e1, 2);
        let pcm = tone(code, ToneKind::Congestion);
        let mut rest = pcm.as_slice();
        until("the number arrives on another circuit", || {
            let taken = e1.play(1, out, &rest[..rest.len().min(800)]).unwrap_or_default();
            rest = &rest[taken..];
            let events = std::iter::from_fn(|| e1.poll_event());
            events.into_iter().any(|e| e.timeslot != out && matches!(e.kind, FarEventKind::DigitsReceived(_)))
        });
        t1.hang_up(1, 2).unwrap();
        let record = play(&site, &e1, out, &[]);
        let causes: Vec<_> = record.legs.iter().map(|leg| leg.cause).collect();
        assert_eq!(causes[1], Some(Cause::Congestion), "{country}: {record:?}");
        live.stop();
    }
}

/// A prompt of ours, as speech.
fn speech(name: &str) -> Vec<i16> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/prompts/en/{name}.wav"));
    hound::WavReader::open(file).unwrap().samples().map(Result::unwrap).collect()
}

#[test]
fn a_greeting_lets_the_call_go_on_elsewhere_and_a_word_joins_the_parties() {
    let site = Site::new();
    let (live, t1, e1) = world(&site, "us", Some(300));
    let out = goes_out(&t1, &e1, 1);
    event(&e1, "the far end answers", |e| e.kind == FarEventKind::PickedUp);
    let greeting = [vec![0; 4_000], speech("transfer/not-available"), speech("queue/please-hold")].concat();
    let record = play(&site, &e1, out, &greeting);
    assert_eq!((record.cause, noted(&record, "answered-by")), (Some(Cause::Rejected), vec!["machine".into()]));

    let out = goes_out(&t1, &e1, 2);
    event(&e1, "the far end answers", |e| e.kind == FarEventKind::PickedUp);
    let word = [vec![0; 4_000], speech("digits/1"), vec![0; 16_000]].concat();
    let mut rest = word.as_slice();
    until("they are joined", || {
        let taken = e1.play(1, out, &rest[..rest.len().min(800)]).unwrap_or_default();
        rest = &rest[taken..];
        live.calls().iter().any(|state| state.starts_with("talking"))
    });
    t1.hang_up(1, 2).unwrap();
    until("both records", || site.cdrs().iter().filter(|c| c.ended_at.is_some()).count() == 2);
    let record = site.cdrs().into_iter().max_by_key(|c| c.call_id).unwrap();
    assert_eq!((record.cause, noted(&record, "answered-by")), (Some(Cause::Normal), vec!["human".into()]));
    live.stop();
}

#[test]
fn a_fax_machine_that_calls_goes_to_its_step() {
    let site = Site::new();
    let (live, t1, _) = world(&site, "us", None);
    t1.dial(1, 1, "600").unwrap();
    event(&t1, "the call is answered", |e| e.kind == FarEventKind::Answered);
    // T.30: 1,100 Hz for half a second, every 3.5 s.
    let calling = Some(Component { hz: 1_100.0, level: Dbm0(-12.0) });
    let tone = Tone { components: [calling, None, None], cadence: Cadence(&[500, 3_000]) };
    let mut pcm = vec![0; 12 * 8_000];
    Generator::new(&tone).fill(&mut pcm);
    let record = play(&site, &t1, 1, &pcm);
    assert_eq!(record.cause, Some(Cause::IncompatibleMedia), "{record:?}");
    assert_eq!(noted(&record, "fax").len(), 1, "{record:?}");
    live.stop();
}
