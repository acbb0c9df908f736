//! Agents and callers at the queue: signing in by phone, ringing in vain, overflow, full queues, announcements.

use std::time::Duration;

use cordboard::base::Cause;
use cordboard::core::control::{Command, Reply};
use cordboard::core::journal::AgentStatus;

use crate::phone::{Habit, Phone};
use crate::site::{Live, Site, agent, during, enqueue, flow, queue, until};

/// The desk's flow of the sample configuration, as an operator would take it.
fn desk() -> String {
    let text = include_str!("../../config/flows/agent-desk.toml");
    format!(
        "[[flow]]\ntenant = 'acme'\nname = 'desk'\ntext = '''\n{text}'''\n\
         [[number]]\nnumber = '*1'\ntenant = 'acme'\nflow = 'desk'\n"
    )
}

fn world(agents: &str, treatment: &str) -> String {
    desk() + &flow("300", "help", &enqueue("help")) + &queue("help", treatment) + agents
}

/// Calls the desk, keys code, PIN and wish one after another as a person does, and hears it out.
fn desk_call(phone: &mut Phone, code: &str, pin: &str, wish: &str) {
    let session = phone.call_known("*1");
    until("the desk answers", || {
        phone.step();
        phone.is_up(session)
    });
    for keys in [format!("{code}#"), format!("{pin}#"), wish.to_owned()] {
        during(Duration::from_millis(300), || phone.step());
        phone.press(&keys);
        until("the keys are through", || {
            phone.step();
            phone.pressed()
        });
    }
    until("the desk hangs up", || {
        phone.step();
        phone.is_over(session)
    });
}

#[test]
fn agents_sign_in_and_out_by_phone_and_a_guessed_pin_locks_the_code() {
    let site = Site::new();
    let agents = agent("ana", "code = '2001'\npin = '4711'") + &agent("ben", "code = '2002'\npin = '4712'");
    let live = site.start(&world(&agents, ""));
    let mut ana = Phone::new(site.office(), site.server(), "ana", 33).register();
    let status = |name: &str| live.agent(name).status;
    for (wish, expected) in
        [("1", AgentStatus::Ready), ("3", AgentStatus::NotReady), ("4", AgentStatus::Ready), ("2", AgentStatus::Null)]
    {
        desk_call(&mut ana, "2001", "4711", wish);
        assert_eq!(status("ana"), expected, "after wish {wish}");
    }
    // The right PIN after five wrong ones is refused as well; the other agent's is not.
    for _ in 0..5 {
        desk_call(&mut ana, "2001", "0000", "1");
        assert_eq!(status("ana"), AgentStatus::Null);
    }
    desk_call(&mut ana, "2001", "4711", "1");
    assert_eq!(status("ana"), AgentStatus::Null, "the code is locked");
    desk_call(&mut ana, "2002", "4712", "1");
    // Ben has no phone, but he is signed in.
    assert_eq!(status("ben"), AgentStatus::Ready);
    let text = serde_json::to_string(&site.cdrs()).unwrap();
    assert!(!text.contains("4711") && !text.contains("0000#"), "keyed secrets are in the records");
    live.stop();
}

#[test]
fn an_agent_who_lets_it_ring_is_marked_and_the_next_one_is_rung() {
    let site = Site::new();
    // The longest idle of the fittest is rung first: ana, who has signed in first.
    let agents = agent("ana", "ring_s = 1") + &agent("ben", "ring_s = 5");
    let live = site.start(&world(&agents, ""));
    let mut ana = Phone::new(site.office(), site.server(), "ana", 33).register();
    let mut ben = Phone::new(site.office(), site.server(), "ben", 34).register();
    ana.habit = Habit::Ring;
    for agent in ["ana", "ben"] {
        let order = Command::SignIn { tenant: "acme".into(), agent: agent.into() };
        assert_eq!(live.command(order), Reply::Done);
        during(Duration::from_millis(20), || ());
    }
    let mut caller = Phone::new(site.carrier(), site.server(), "5551", 44);
    let session = caller.call("300");
    until("the second agent talks", || {
        ana.step();
        ben.step();
        caller.step();
        caller.hears(34) && ben.hears(44)
    });
    assert_eq!((ana.rung, ben.rung), (1, 1));
    let marked = live.agent("ana");
    assert_eq!(marked.status, AgentStatus::NotReady, "{marked:?}");
    assert!(!marked.reason.is_empty());
    assert_eq!(live.command(Command::Resume { tenant: "acme".into(), agent: "ana".into() }), Reply::Done);
    assert_eq!(live.agent("ana").status, AgentStatus::Ready);
    caller.hang_up(session);
    let record = site.ended("5551");
    let words: Vec<&str> = record.events.iter().map(|e| e.what.as_str()).collect();
    assert_eq!(words.iter().filter(|w| **w == "offered").count(), 2, "{words:?}");
    assert_eq!((record.agent.as_deref(), record.cause), (Some("ben"), Some(Cause::Normal)));
    live.stop();
}

fn ended(live: &Live, phone: &mut Phone, session: cordboard::proto::sip::SessionId) {
    until("the caller is let go", || {
        phone.step();
        phone.is_over(session)
    });
    assert_eq!(live.status().double_offers, 0);
}

#[test]
fn callers_overflow_after_their_time_and_at_once_when_the_queue_is_full() {
    let site = Site::new();
    let live = site.start(&world(&agent("ana", ""), "overflow_after_s = 3\nwaiting_max = 1"));
    let mut first = Phone::new(site.carrier(), site.server(), "5551", 44);
    let waiting = first.call("300");
    until("the first waits", || {
        first.step();
        first.is_up(waiting) && live.calls() == ["waiting help"]
    });
    let mut second = Phone::new(site.carrier(), site.server(), "5552", 45);
    let refused = second.call("300");
    ended(&live, &mut second, refused);
    first.step();
    assert!(first.is_up(waiting), "the first still waits");
    ended(&live, &mut first, waiting);
    let overflowed = site.ended("5551");
    assert_eq!(overflowed.cause, Some(Cause::NoAnswer));
    assert!((2_900..6_000).contains(&overflowed.queued_ms), "{} ms", overflowed.queued_ms);
    let full = site.ended("5552");
    assert_eq!((full.cause, full.queued_ms), (Some(Cause::Busy), 0));
    live.stop();
}

#[test]
fn the_position_is_announced_and_the_music_comes_back() {
    let site = Site::new();
    let live = site.start(&world(&agent("ana", ""), "announce_every_s = 60"));
    let mut caller = Phone::new(site.carrier(), site.server(), "5551", 44);
    let session = caller.call("300");
    until("the caller waits", || {
        caller.step();
        caller.is_up(session)
    });
    // Speech pauses between words; the music never does.
    let pauses = |heard: &[i16]| heard.chunks(400).filter(|w| w.iter().all(|x| x.unsigned_abs() < 60)).count();
    during(Duration::from_secs(9), || caller.step());
    let heard = caller.talk.as_ref().map(|t| t.heard.clone()).unwrap_or_default();
    assert!(heard.len() > 8 * 8000, "{} samples", heard.len());
    let (announced, music) = (&heard[..4 * 8000], &heard[heard.len() - 8000..]);
    assert!(pauses(announced) >= 1, "no speech at first");
    assert_eq!(pauses(music), 0, "no music after the announcement");
    caller.hang_up(session);
    assert_eq!(site.ended("5551").cause, Some(Cause::Abandoned));
    live.stop();
}
