//! What is in the hand of an agent to whom no way leads any more: it stays for a while, then waits again.

use super::*;
use crate::core::switch::Timer;

/// The way to an agent is lost, or back.
pub(super) fn cut(b: &mut Bench, agent: &str, cut: bool) {
    let id = b.switch.directory.agents().find(|entry| entry.name == agent).map(|entry| entry.id);
    id.into_iter().for_each(|id| b.switch.set_cut(b.now, id, cut));
    b.switch.handle_timeout(b.now);
    b.drain();
}

/// Ana has a chat and an email.
fn in_hand(b: &mut Bench) -> (WorkItemId, WorkItemId) {
    b.sign_out("ben");
    let email = b.add(spec("help", Medium::Email));
    b.accept(email, "ana");
    let chat = b.add(spec("short", Medium::Chat));
    b.accept(chat, "ana");
    b.pass(100);
    b.sign_in("ben");
    (chat, email)
}

fn of(agent: &str) -> Option<String> {
    Some(agent.to_owned())
}

#[test]
fn a_chat_goes_to_another_agent_after_half_a_minute_and_an_email_much_later() {
    let mut b = Bench::new();
    let (chat, email) = in_hand(&mut b);
    cut(&mut b, "ana", true);
    b.pass(29);
    assert_eq!(b.at(chat), (WorkState::Handled, of("ana")));
    // Links come and go.
    cut(&mut b, "ana", false);
    b.pass(20);
    cut(&mut b, "ana", true);
    b.pass(29);
    assert_eq!(b.at(chat), (WorkState::Handled, of("ana")));
    b.pass(2);
    assert_eq!(b.at(chat), (WorkState::Offered, of("ben")));
    let record = b.record(chat);
    let told: Vec<_> = record.events.iter().map(|event| (event.what.as_str(), event.detail.as_str())).collect();
    assert_eq!(&told[3..], [("cut-off", "ana"), ("offered", "ben")]);
    b.accept(chat, "ben");
    // She is back, and has what is still hers.
    cut(&mut b, "ana", false);
    assert_eq!((b.at(chat), b.at(email)), ((WorkState::Handled, of("ben")), (WorkState::Handled, of("ana"))));
    cut(&mut b, "ana", true);
    b.pass(899);
    assert_eq!(b.at(email), (WorkState::Handled, of("ana")));
    b.complete(chat);
    b.pass(2);
    assert_eq!(b.at(email), (WorkState::Offered, of("ben")));
    b.accept(email, "ben");
    b.complete(email);
    assert_eq!(b.switch.status().double_offers, 0);
}

#[test]
fn however_often_it_is_provisioned_an_agent_who_is_cut_off_has_one_timer() {
    let mut b = Bench::new();
    in_hand(&mut b);
    cut(&mut b, "ana", true);
    let timers = |b: &Bench| b.switch.armed().filter(|(_, timer)| matches!(timer, Timer::CutOff(_))).count();
    let before = timers(&b);
    for passed in [0, 10, 25] {
        b.pass(passed);
        (0..20).for_each(|_| b.switch.provision_reach(b.now));
        assert_eq!((before, timers(&b)), (1, 1), "{passed}");
    }
}

#[test]
fn who_was_cut_off_waits_as_long_as_a_new_one_before_a_restart_and_after_it() {
    for restart in [false, true] {
        let mut b = Bench::new();
        let (chat, _) = in_hand(&mut b);
        b.sign_out("ben");
        cut(&mut b, "ana", true);
        b.pass(35);
        let later = b.add(spec("short", Medium::Chat));
        assert_eq!(b.at(chat).0, WorkState::Waiting);
        if restart {
            let seq = b.changes.last().unwrap().0;
            b.restart(seq, provision(PROVISION));
            cut(&mut b, "ana", true);
        }
        b.pass(50);
        assert_eq!(b.at(chat).0, WorkState::Waiting, "its queue has a minute's patience");
        b.sign_in("ben");
        assert_eq!((b.at(chat), b.at(later).0), ((WorkState::Offered, of("ben")), WorkState::Waiting), "{restart}");
        b.sign_out("ben");
        b.pass(40);
        assert_eq!(b.last(chat).outcome, Some(Outcome::Overflowed));
    }
}

/// Killed after each change, every item is with the agent who had it last, or waits; none is lost, none is there twice.
#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_is_with_two() {
    let mut b = Bench::new();
    let (chat, email) = in_hand(&mut b);
    cut(&mut b, "ana", true);
    b.pass(31);
    b.accept(chat, "ben");
    cut(&mut b, "ana", false);
    b.pass(5);
    cut(&mut b, "ana", true);
    b.pass(901);
    b.complete(chat);
    b.accept(email, "ben");
    let changes = b.changes.clone();
    for (seq, _) in &changes {
        b.changes.clone_from(&changes);
        b.restart(*seq, provision(PROVISION));
        let (_, works) = left(b.changes.iter().filter(|(at, _)| at <= seq).map(|(_, change)| change));
        let views: BTreeMap<_, _> = b.works().into_iter().map(|view| (view.id, view)).collect();
        assert_eq!(views.len(), works.len(), "after {seq}");
        for work in works {
            let view = &views[&work.id];
            match work.state {
                WorkState::Handled => assert_eq!((view.state, &view.agent), (work.state, &work.agent), "after {seq}"),
                _ => assert!(matches!(view.state, WorkState::Waiting | WorkState::Offered), "after {seq}: {view:?}"),
            }
        }
        assert_eq!(b.switch.status().double_offers, 0);
    }
    println!("killed after each of {} changes", changes.len());
}
