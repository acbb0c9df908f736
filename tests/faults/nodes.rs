//! Three appliances joined by trunks: one has the lines, one talks to callers, one has the agents. A call goes from one to the next
//! under one trace; what was found out of it goes along; it is handed back where the one before can go on, and never goes round.

use std::fmt::Write;

use cordboard::base::Cause;
use cordboard::core::control::{Command, Reply};
use cordboard::core::journal::Cdr;
use cordboard_hal_sim::FarEventKind;

use crate::cards::{Far, event};
use crate::phone::Phone;
use crate::site::{Live, Site, agent, flow, queue, until};

/// A trunk to another appliance.
fn joined(name: &str, to: &Site) -> String {
    format!(
        "[[trunk]]\nname = 'to-{name}'\nkind = 'sip'\nnode = '{name}'\n[[trunk.peer]]\naddress = '{}'\nport = 5060\noptions_s = 0\n",
        to.server().ip()
    )
}

fn node(name: &str, roles: &str) -> String {
    format!("[node]\nname = '{name}'\nroles = [{roles}]\n")
}

/// Passes callers on as they come.
fn pass(number: &str, to: &str) -> String {
    let text = format!("[flow]\nstart = 'on'\n[step.on]\ndo = 'transfer'\nto = '{to}'\n");
    format!(
        "[[flow]]\ntenant = 'acme'\nname = 'pass-{number}'\ntext = \"\"\"\n{text}\"\"\"\n\
         [[number]]\nnumber = '{number}'\ntenant = 'acme'\nflow = 'pass-{number}'\n"
    )
}

/// Answers, learns what language is wanted, and passes the caller on.
fn ask(number: &str, to: &str) -> String {
    let mut steps = String::from(
        "[step.first]\ndo = 'menu'\nprompt = ['en/agent/enter-code']\nkeys = { 1 = 'german' }\ntimeout_s = 4\n\
         on_timeout = 'german'\n[step.german]\ndo = 'set'\nattributes = { language = 'de' }\nnext = 'on'\n",
    );
    let _ = write!(steps, "[step.on]\ndo = 'transfer'\nto = '{to}'\n");
    flow(number, &format!("ask-{number}"), &steps)
}

/// Takes callers who want German to the agents, and nobody else.
fn desk(number: &str) -> String {
    let steps = "[step.first]\ndo = 'branch'\nwhen = [{ attribute = 'language', eq = 'de', then = 'in' }]\nelse = 'out'\n\
                 [step.in]\ndo = 'enqueue'\nqueue = 'help'\non_overflow = 'out'\non_full = 'out'\n\
                 [step.out]\ndo = 'hangup'\ncause = 'rejected'\n";
    flow(number, &format!("desk-{number}"), steps)
}

struct Three {
    front: (Site, Live),
    ivr: (Site, Live),
    back: (Site, Live),
}

/// `direct`: the front has a trunk to the agents' appliance, too. It has a T1 card as well.
fn three(direct: bool) -> Three {
    let (front, ivr, back) = (Site::new(), Site::new(), Site::new());
    let mut front_text =
        node("front", "'switch'") + &joined("ivr", &ivr) + &pass("700", "node:ivr/700") + &pass("701", "node:ivr/701");
    front_text += "[[card]]\nname = 't1'\ndriver = 'sim-t1'\n[[span]]\nname = 't1-1'\ncard = 't1'\n\
                   signalling = 'em-wink'\ntrunk = 't1'\n[[trunk]]\nname = 't1'\nkind = 'tdm'\n";
    if direct {
        front_text += &joined("back", &back);
    }
    let at_once = flow(
        "702",
        "at-once",
        "[step.first]\ndo = 'set'\nattributes = { language = 'de' }\nnext = 'on'\n\
                       [step.on]\ndo = 'transfer'\nto = 'node:back/800'\n",
    );
    front_text += &pass("702", "node:ivr/702");
    let ivr_text = at_once
        + &node("ivr", "'switch', 'resource'")
        + &joined("front", &front)
        + &joined("back", &back)
        + &ask("700", "node:back/800")
        + &pass("701", "node:front/701");
    let back_text = node("back", "'switch', 'resource', 'workflow'")
        + &joined("front", &front)
        + &joined("ivr", &ivr)
        + &agent("ana", "")
        + &queue("help", "")
        + &desk("800");
    let live = [front.start(&front_text), ivr.start(&ivr_text), back.start(&back_text)];
    let [a, b, c] = live;
    Three { front: (front, a), ivr: (ivr, b), back: (back, c) }
}

fn ended(site: &Site, count: usize) -> Vec<Cdr> {
    let mut found = vec![];
    until("the records are complete", || {
        found = site.cdrs();
        found.len() == count && found.iter().all(|cdr| cdr.ended_at.is_some())
    });
    found
}

fn said(cdr: &Cdr, what: &str) -> bool {
    cdr.events.iter().any(|event| event.what == what)
}

/// A caller of the front is asked by the second appliance and talks to an agent of the third; gives all records.
fn talk(all: &Three, calls_at_ivr: usize) -> [Vec<Cdr>; 3] {
    let mut ana = Phone::new(all.back.0.office(), all.back.0.server(), "ana", 1).register();
    let signed_in = all.back.1.command(Command::SignIn { tenant: "acme".into(), agent: "ana".into() });
    assert_eq!(signed_in, Reply::Done);
    let mut caller = Phone::new(all.front.0.carrier(), all.front.0.server(), "5551", 2);
    let session = caller.call("700");
    until("the second appliance answers", || {
        caller.step();
        caller.is_up(session)
    });
    caller.press("1");
    until("they talk", || {
        caller.step();
        ana.step();
        ana.up().is_some() && ana.hears(2) && caller.hears(1)
    });
    assert_eq!(all.ivr.1.calls().len(), calls_at_ivr, "calls that are still at the second appliance");
    caller.hang_up(session);
    until("all is over", || {
        caller.step();
        ana.step();
        [&all.front, &all.ivr, &all.back].into_iter().all(|(_, live)| live.calls().is_empty())
    });
    [&all.front, &all.ivr, &all.back].map(|(site, _)| ended(site, 1))
}

fn stop(all: Three) {
    [all.front.1, all.ivr.1, all.back.1].into_iter().for_each(Live::stop);
}

#[test]
fn a_call_is_treated_by_one_appliance_and_answered_at_another_and_handed_back_between() {
    let all = three(true);
    let [front, ivr, back] = talk(&all, 0);
    let trace = front[0].trace.expect("a trace");
    assert_eq!([ivr[0].trace, back[0].trace], [Some(trace); 2], "one call");
    assert!(said(&ivr[0], "handed-back"), "{:?}", ivr[0].events);
    assert!(said(&front[0], "referred"), "{:?}", front[0].events);
    assert_eq!((back[0].agent.as_deref(), back[0].cause), (Some("ana"), Some(Cause::Normal)));
    assert_eq!(all.ivr.1.status().handed_back, 1);
    stop(all);
}

#[test]
fn a_call_on_a_card_of_one_is_answered_by_an_agent_of_another() {
    let all = three(true);
    let [(_, t1)] = &all.front.1.0.sims[..] else { panic!("one card") };
    let t1 = t1.clone();
    until("the circuits are idle", || t1.is_idle(1, 1).unwrap() && all.front.1.status().alarms.is_empty());
    let mut ana = Phone::new(all.back.0.office(), all.back.0.server(), "ana", 1).register();
    all.back.1.command(Command::SignIn { tenant: "acme".into(), agent: "ana".into() });
    t1.dial(1, 1, "700").unwrap();
    event(&t1, "the second appliance answers", |e| e.timeslot == 1 && e.kind == FarEventKind::Answered);
    let mut caller = Far::new(&t1, 1, 11);
    // Who presses nothing is taken to want German.
    until("they talk", || {
        ana.step();
        caller.step();
        ana.up().is_some() && ana.hears(11) && caller.hears(1)
    });
    assert_eq!(all.ivr.1.calls().len(), 0);
    let up = ana.up().unwrap();
    ana.hang_up(up);
    event(&t1, "the circuit is released", |e| e.timeslot == 1 && e.kind == FarEventKind::HungUp);
    let cdrs = [&all.front, &all.ivr, &all.back].map(|(site, _)| ended(site, 1));
    assert!(cdrs[0][0].trace.is_some() && cdrs.iter().all(|of| of[0].trace == cdrs[0][0].trace), "{cdrs:?}");
    stop(all);
}

#[test]
fn a_call_is_handed_back_as_soon_as_it_is_answered() {
    let all = three(true);
    let mut ana = Phone::new(all.back.0.office(), all.back.0.server(), "ana", 1).register();
    all.back.1.command(Command::SignIn { tenant: "acme".into(), agent: "ana".into() });
    let mut caller = Phone::new(all.front.0.carrier(), all.front.0.server(), "5551", 2);
    let session = caller.call("702");
    until("they talk", || {
        caller.step();
        ana.step();
        caller.is_up(session) && ana.up().is_some() && ana.hears(2) && caller.hears(1)
    });
    assert_eq!((all.ivr.1.calls().len(), all.ivr.1.status().handed_back), (0, 1));
    caller.hang_up(session);
    until("all is over", || {
        caller.step();
        ana.step();
        all.back.1.calls().is_empty() && all.front.1.calls().is_empty()
    });
    stop(all);
}

#[test]
fn where_the_first_appliance_cannot_go_on_the_second_does() {
    let all = three(false);
    let [front, ivr, back] = talk(&all, 1);
    assert!(said(&ivr[0], "not-handed-back"), "{:?}", ivr[0].events);
    assert_eq!([ivr[0].trace, back[0].trace], [front[0].trace; 2]);
    assert_eq!(back[0].agent.as_deref(), Some("ana"));
    stop(all);
}

#[test]
fn a_call_that_goes_round_is_refused() {
    let all = three(true);
    let mut caller = Phone::new(all.front.0.carrier(), all.front.0.server(), "5551", 2);
    let session = caller.call("701");
    until("it is refused", || {
        caller.step();
        caller.is_over(session)
    });
    assert_eq!(all.front.1.status().gone_round, 1);
    let ended = [&all.front, &all.ivr].map(|(site, _)| ended(site, 1));
    assert!(ended.iter().all(|cdrs| cdrs[0].answered_at.is_none()));
    stop(all);
}
