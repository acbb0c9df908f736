//! Provisioning: faulty files, and changes while calls are up.

use std::time::Duration;

use cordboard::base::Cause;
use cordboard::core::control::Command;
use cordboard::core::journal::AgentStatus;

use crate::phone::Phone;
use crate::process::{ok, run};
use crate::site::{Live, Site, agent, during, enqueue, flow, queue, quiet, until};

const FAULTY: &str = "[sip]\nlisten = ['udp:nowhere']\ncolour = 'red'\n\n[[agent]]\ntenant = 'acne'\nname = 'x'\n\
                      ring_s = 'soon'\n\n[[number]]\nnumber = '100'\ntenant = 'acme'\nflow = 'none'\n";

#[test]
fn a_faulty_file_is_refused_with_all_its_faults_and_nothing_is_applied() {
    let site = Site::new();
    let file = site.file("faulty.toml", FAULTY).display().to_string();
    for args in [["run", "--provision", &file].as_slice(), &["provision", "apply", &file]] {
        let output = run(&site, args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        for line in [2, 3, 6, 8, 12, 13] {
            assert!(said.contains(&format!("{file}:{line}:")), "{args:?}: line {line} is not in\n{said}");
        }
        assert!(!site.data().join("cordboard.db").exists() || site.cdrs().is_empty());
    }
    // Also where one runs: it goes on with what it had.
    let live = site.start(&agent("ana", ""));
    assert_eq!(run(&site, &["provision", "apply", &file]).status.code(), Some(1));
    assert_eq!(live.agent("ana").status, AgentStatus::Null);
    live.stop();
}

fn world() -> String {
    flow("300", "help", &enqueue("help"))
        + &flow("200", "quiet", &quiet())
        + &queue("help", "")
        + &agent("ana", "signed_in = true")
        + &agent("ben", "")
}

fn apply(live: &Live, site: &Site, more: &str) {
    let provision = Box::new(site.provision(more));
    assert_eq!(live.command(Command::Provision { provision }), cordboard::core::control::Reply::Done);
}

#[test]
fn calls_go_on_while_the_provisioning_changes() {
    let site = Site::new();
    let live = site.start(&world());
    let mut ana = Phone::new(site.office(), site.server(), "ana", 33).register();
    let mut caller = Phone::new(site.carrier(), site.server(), "5551", 44);
    let mut other = Phone::new(site.carrier(), site.server(), "5552", 55);
    let session = caller.call("300");
    let playing = other.call("200");
    until("both calls are up", || {
        ana.step();
        caller.step();
        other.step();
        caller.hears(33) && ana.hears(44) && other.is_up(playing)
    });

    // By the command line, beside the running process: the same again changes nothing.
    let file = site.file("same.toml", &site.text(2, &world())).display().to_string();
    assert_eq!(ok(&site, &["provision", "apply", &file]), "nothing to change\n");
    let more = site.file("more.toml", &site.text(2, &(world() + &agent("eve", "signed_in = true"))));
    let said = ok(&site, &["provision", "apply", &more.display().to_string()]);
    assert!(said.contains("+ agent acme/eve"), "{said}");
    assert_eq!(live.agent("eve").status, AgentStatus::Ready);

    // The agent who talks is removed, and with her the queue and the flow that plays.
    apply(&live, &site, &(flow("400", "other", &quiet()) + &agent("ben", "")));
    during(Duration::from_millis(500), || {
        ana.step();
        caller.step();
        other.step();
    });
    assert!(caller.is_up(session) && ana.up().is_some() && other.is_up(playing), "calls were cut");
    caller.hang_up(session);
    until("the removed agent's call ends", || {
        ana.step();
        caller.step();
        ana.up().is_none()
    });
    let record = site.ended("5551");
    assert_eq!((record.cause, record.agent.as_deref()), (Some(Cause::Normal), Some("ana")));
    other.hang_up(playing);
    assert_eq!(site.ended("5552").cause, Some(Cause::Normal));
    live.stop();
}

#[test]
fn callers_of_a_queue_that_is_removed_overflow() {
    let site = Site::new();
    let live = site.start(&world());
    let mut caller = Phone::new(site.carrier(), site.server(), "5551", 44);
    let session = caller.call("300");
    until("the caller waits", || {
        caller.step();
        live.calls() == ["waiting help"]
    });
    apply(&live, &site, &(flow("400", "other", &quiet()) + &agent("ana", "")));
    until("the caller is let go", || {
        caller.step();
        caller.is_over(session)
    });
    // The cause of the flow's step behind `on_overflow`.
    assert_eq!(site.ended("5551").cause, Some(Cause::NoAnswer));
    live.stop();
}
