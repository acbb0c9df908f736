//! Trunk cards: calls over them heard both ways, and what their failures do to whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cordboard::base::{Cause, Codec};
use cordboard::core::journal::Cdr;
use cordboard::dsp::reference::{Recognizer, ReferenceSignal};
use cordboard_hal::{Alarms, CasBits};
use cordboard_hal_sim::{Answering, FarEvent, FarEventKind, SimControl};

use crate::phone::Phone;
use crate::site::{Live, Site, agent, enqueue, flow, queue, quiet, until};

/// A voice and an ear at the far end of a circuit.
pub struct Far {
    control: SimControl,
    slot: u8,
    voice: ReferenceSignal,
    ear: Recognizer,
    /// Card's time up to which it has spoken.
    spoken_ms: Option<u64>,
}

impl Far {
    pub fn new(control: &SimControl, slot: u8, seed: u64) -> Self {
        control.set_recording(1, slot, true).unwrap();
        let (voice, ear) = (ReferenceSignal::new(seed), Recognizer::new());
        Self { control: control.clone(), slot, voice, ear, spoken_ms: None }
    }

    pub fn step(&mut self) {
        let now = self.control.now_ms();
        let mut spoken = self.spoken_ms.unwrap_or(now);
        while spoken < now + 100 {
            let mut pcm = [0; 800];
            self.voice.fill(&mut pcm);
            // A card that is gone hears nothing.
            drop(self.control.play(1, self.slot, &pcm));
            spoken += 100;
        }
        self.spoken_ms = Some(spoken);
        if let Ok(pcm) = self.control.take_recorded(1, self.slot) {
            self.ear.push(&pcm);
        }
    }

    pub fn hears(&self, seed: u64) -> bool {
        self.ear.recognise([seed]).is_some()
    }
}

/// A phone that talks on by itself.
struct Bystander {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Phone>,
}

impl Bystander {
    fn start(mut phone: Phone) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                phone.step();
                thread::sleep(Duration::from_millis(2));
            }
            phone
        });
        Self { stop, thread }
    }

    fn stop(self) -> Phone {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Waits for an event at the far end.
pub fn event(control: &SimControl, what: &str, mut is: impl FnMut(&FarEvent) -> bool) -> FarEvent {
    let mut found = None;
    until(what, || {
        found = std::iter::from_fn(|| control.poll_event()).find(&mut is);
        found.is_some()
    });
    found.unwrap()
}

/// A T1 card, an E1 card behind the prefix 9, and numbers: 500 goes out to 95551, 300 to agents, 200 plays.
fn provisioning() -> String {
    let mut more = String::new();
    for (card, driver) in [("t1", "sim-t1"), ("e1", "sim-e1")] {
        more += &format!(
            "[[card]]\nname = '{card}'\ndriver = '{driver}'\n\
             [[span]]\nname = '{card}-1'\ncard = '{card}'\nsignalling = 'em-wink'\ntrunk = '{card}'\n"
        );
    }
    more += "[[trunk]]\nname = 't1'\nkind = 'tdm'\n[[trunk]]\nname = 'e1'\nkind = 'tdm'\nprefix = ['9']\nstrip = 1\n";
    let transfer = "[step.first]\ndo = \"transfer\"\nto = \"95551\"\nring_s = 20\n";
    more += &flow("500", "out", transfer);
    more += &flow("300", "help", &enqueue("help"));
    more += &flow("200", "quiet", &quiet());
    more + &queue("help", "record = true") + &agent("ana", "signed_in = true")
}

fn world(site: &Site) -> (Live, SimControl, SimControl) {
    let live = site.start(&provisioning());
    let [(_, t1), (_, e1)] = &live.0.sims[..] else { panic!("two cards") };
    let (t1, e1) = (t1.clone(), e1.clone());
    for slot in (1..=31).filter(|s| *s != 16) {
        let answering = Answering { digits: Some(4), ring_ms: Some(300), ..Answering::default() };
        e1.set_answering(1, slot, answering).unwrap();
    }
    until("the circuits are idle", || t1.is_idle(1, 1).unwrap() && live.status().alarms.is_empty());
    (live, t1, e1)
}

/// The far end of the T1 dials 500 on a timeslot, and is through to the E1's far end.
fn tandem(t1: &SimControl, e1: &SimControl, slot: u8) -> (Far, Far) {
    t1.dial(1, slot, "500").unwrap();
    event(t1, "the call is answered", |e| e.timeslot == slot && e.kind == FarEventKind::Answered);
    let out = event(e1, "the number arrives", |e| matches!(&e.kind, FarEventKind::DigitsReceived(d) if d == "5551"));
    event(e1, "the far end answers", |e| e.timeslot == out.timeslot && e.kind == FarEventKind::PickedUp);
    (Far::new(t1, slot, 11), Far::new(e1, out.timeslot, 22))
}

fn heard_both_ways(a: &mut Far, b: &mut Far) {
    until("both ends of the circuits hear each other", || {
        a.step();
        b.step();
        a.hears(22) && b.hears(11)
    });
}

fn tdm_records(site: &Site, count: usize) -> Vec<Cdr> {
    let mut records = Vec::new();
    until("the records of the circuits' calls", || {
        records = site.cdrs();
        records.retain(|c| c.to.as_str() == "500" && c.ended_at.is_some());
        records.len() >= count
    });
    records
}

#[test]
fn a_failing_card_ends_its_own_calls_and_no_others() {
    let site = Site::new();
    let (live, t1, e1) = world(&site);
    let mut caller = Phone::new(site.carrier(), site.server(), "5550", 1);
    let bystander = caller.call("200");
    until("the bystander's call is up", || {
        caller.step();
        caller.is_up(bystander)
    });
    let bystanding = Bystander::start(caller);

    // Red alarm in the middle of a call.
    let (mut a, mut b) = tandem(&t1, &e1, 1);
    heard_both_ways(&mut a, &mut b);
    e1.set_alarms(1, Alarms { red: true, ..Alarms::NONE }).unwrap();
    event(&t1, "the other end is released", |e| e.timeslot == 1 && e.kind == FarEventKind::HungUp);
    until("the alarm stands", || live.alarm("span-alarm"));
    let record = tdm_records(&site, 1).remove(0);
    assert_eq!(record.cause, Some(Cause::NetworkOutOfOrder), "{record:?}");

    // It comes back, and so do calls.
    e1.set_alarms(1, Alarms::NONE).unwrap();
    until("the alarm is over", || !live.alarm("span-alarm"));
    until("the span is idle at both ends", || (1..=31).all(|s| s == 16 || e1.is_idle(1, s).unwrap()));
    let (mut a, mut b) = tandem(&t1, &e1, 2);
    heard_both_ways(&mut a, &mut b);

    // Stuck signalling bits on another timeslot look like a seizure that never dials: that one is not used, no other
    // call is touched.
    t1.stick_cas(1, 7, Some(CasBits::OFF_HOOK)).unwrap();
    let (mut c, mut d) = tandem(&t1, &e1, 3);
    heard_both_ways(&mut c, &mut d);
    t1.hang_up(1, 3).unwrap();
    event(&e1, "hanging up goes through", |e| e.timeslot == d.slot && e.kind == FarEventKind::HungUp);
    heard_both_ways(&mut a, &mut b);

    // The card is pulled out.
    t1.vanish();
    event(&e1, "the far end of the other card is released", |e| e.timeslot == b.slot && e.kind == FarEventKind::HungUp);
    until("the alarm stands", || live.alarm("card-gone"));
    let mut causes: Vec<_> = tdm_records(&site, 3).iter().map(|c| c.cause).collect();
    causes.sort_by_key(|c| c.map(Cause::as_str));
    assert_eq!(causes, [Cause::NetworkOutOfOrder, Cause::NetworkOutOfOrder, Cause::Normal].map(Some));
    let mut caller = bystanding.stop();
    assert!(caller.is_up(bystander), "a SIP call was touched");
    let again = caller.call("200");
    until("SIP calls go on", || {
        caller.step();
        caller.is_up(again)
    });
    live.stop();
}

#[test]
fn callers_on_circuits_and_over_sip_talk_to_agents_and_are_recorded() {
    let site = Site::new();
    let (live, t1, _e1) = world(&site);
    let mut ana = Phone::new(site.office(), site.server(), "ana", 33).register();
    ana.codecs = vec![Codec::Pcmu];

    // SIP A-law to SIP u-law.
    let mut caller = Phone::new(site.carrier(), site.server(), "5551", 44);
    caller.codecs = vec![Codec::Pcma];
    let session = caller.call("300");
    until("A-law and u-law phones hear each other", || {
        ana.step();
        caller.step();
        ana.hears(44) && caller.hears(33)
    });
    caller.hang_up(session);
    until("the agent's phone is free", || {
        ana.step();
        caller.step();
        ana.up().is_none()
    });
    let record = site.ended("5551");
    assert_eq!((record.cause, record.agent.as_deref()), (Some(Cause::Normal), Some("ana")));
    recorded(&site, &record, 44, 33);

    // T1 to SIP.
    t1.dial(1, 5, "300").unwrap();
    event(&t1, "the call is answered", |e| e.kind == FarEventKind::Answered);
    let mut far = Far::new(&t1, 5, 55);
    until("circuit and phone hear each other", || {
        ana.step();
        far.step();
        ana.hears(55) && far.hears(33)
    });
    t1.hang_up(1, 5).unwrap();
    until("the agent's phone is free", || {
        ana.step();
        ana.up().is_none()
    });
    let record = {
        let mut found = None;
        until("the record", || {
            found = site.cdrs().into_iter().find(|c| c.from.is_empty() && c.ended_at.is_some());
            found.is_some()
        });
        found.unwrap()
    };
    assert_eq!(record.legs.iter().map(|l| l.kind.as_str()).collect::<Vec<_>>(), ["tdm", "sip"]);
    recorded(&site, &record, 55, 33);
    let status = live.status();
    assert_eq!((status.answered, status.double_offers), (2, 0), "{status:?}");
    live.stop();
}

/// The recording has one party's voice on each side.
fn recorded(site: &Site, record: &Cdr, client: u64, agent: u64) {
    let path = site.data().join(format!("recordings/acme/{}.wav", record.call_id));
    until("the recording is complete", || path.exists());
    let mut wav = hound::WavReader::open(&path).unwrap();
    assert_eq!(wav.spec().channels, 2);
    let samples: Vec<i16> = wav.samples().map(Result::unwrap).collect();
    for (side, seed, other) in [(0, client, agent), (1, agent, client)] {
        let pcm: Vec<i16> = samples.iter().skip(side).step_by(2).copied().collect();
        let mut ear = Recognizer::new();
        let best = pcm.chunks(800).any(|chunk| {
            ear.push(chunk);
            ear.recognise([client, agent]).is_some_and(|r| r.seed == seed)
        });
        assert!(best, "side {side} of {} s does not carry voice {seed}", pcm.len() / 8000);
        assert!(ear.score(other) < 0.5, "side {side} carries voice {other}");
    }
}
