//! A disk that refuses: answers wait for it a while, then calls are served under an alarm, and nothing is lost.

use cordboard::base::Cause;
use cordboard::core::control::{Command, Reply};
use cordboard::edge::store::database_path;
use rusqlite::{Connection, TransactionBehavior};

use crate::phone::Phone;
use crate::site::{Site, agent, flow, quiet, until};

#[test]
fn calls_are_served_while_nothing_can_be_written_and_recorded_afterwards() {
    let site = Site::new();
    let live = site.start(&(flow("200", "quiet", &quiet()) + &agent("ana", "")));
    // The order's answer is durable, so nothing else waits to be written.
    assert_eq!(live.command(Command::SignIn { tenant: "acme".into(), agent: "ana".into() }), Reply::Done);
    let mut blocker = Connection::open(database_path(&site.data())).unwrap();
    let lock = blocker.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();

    let mut caller = Phone::new(site.carrier(), site.server(), "5551", 1);
    let session = caller.call("200");
    until("the disk is found to refuse", || {
        caller.step();
        assert!(!caller.is_up(session) || live.alarm("store-failing"), "answered before its record is durable");
        live.alarm("store-failing")
    });
    until("the call is answered all the same", || {
        caller.step();
        caller.is_up(session)
    });
    lock.rollback().unwrap();
    until("the disk is found to work", || {
        caller.step();
        !live.alarm("store-failing")
    });
    caller.hang_up(session);
    let record = site.ended("5551");
    assert!(record.answered_at.is_some() && record.cause == Some(Cause::Normal), "{record:?}");
    live.stop();
}
