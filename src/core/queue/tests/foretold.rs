//! What those who wait are told.

use super::*;

#[test]
fn announcements_say_place_and_wait_at_the_start_and_then_on_time() {
    let queues = vec![QueueProfile { announce_every: Some(s(30)), ..queue(1, &[]) }];
    let mut b = Bench::new(vec![AgentProfile { ring: s(1_000), ..agent(1, &[]) }], queues);
    b.enqueue(1, 1);
    b.enqueue(2, 1);
    b.enqueue(3, 1);
    // Nothing measured: the target stands in. Item 1 rings and is not told.
    assert_eq!(b.outputs(), [offer(1, 1, 1), announce(2, 2, 20), announce(3, 3, 20)]);
    b.pass(29);
    assert_eq!(b.outputs(), []);
    b.pass(1);
    assert_eq!(b.outputs(), [announce(2, 2, 20), announce(3, 3, 20)]);
    b.engine.accepted(b.now, OfferId(1));
    b.pass(60);
    b.finish(1);
    b.pass(1);
    b.outputs();
    // One agent, 90 s per item, item 2 rings ahead.
    assert_eq!(b.engine.expected_wait(WorkItemId(3)), Some(s(180)));
    // A clock that jumps far ahead brings one announcement, not all that were missed.
    b.pass(800);
    assert_eq!(b.outputs(), [announce(3, 2, 180)]);
}

#[test]
fn a_new_queue_is_foretold_what_its_agents_take_for_others() {
    let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[]), queue(2, &[])]);
    for item in 1..=40 {
        b.enqueue(item, 1);
        b.outputs();
        b.engine.accepted(b.now, OfferId(item));
        b.pass(90);
        b.finish(1);
        b.pass(10);
    }
    [(41, 1), (42, 1), (43, 2)].into_iter().for_each(|(item, queue)| b.enqueue(item, queue));
    b.outputs();
    b.engine.accepted(b.now, OfferId(41));
    // Nothing is known of queue 2, but that its only agent has one item of the other before, and takes 90 s for each.
    let wait = b.engine.expected_wait(WorkItemId(43)).map(|wait| wait.as_secs());
    assert!(wait.is_some_and(|wait| (170..=190).contains(&wait)), "{wait:?}");
}

#[test]
fn a_caller_is_told_its_place_among_callers_and_emails_do_not_lengthen_its_wait() {
    let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
    for item in 1..=5 {
        b.enqueue(item, 1);
        b.outputs();
        b.engine.accepted(b.now, OfferId(item));
        b.pass(60);
        b.finish(1);
        b.pass(10);
    }
    b.enqueue(6, 1);
    b.outputs();
    b.engine.accepted(b.now, OfferId(6));
    (10..40).for_each(|item| b.add(item, Entry::new(QueueId(1), Medium::Email)));
    b.enqueue(50, 1);
    assert_eq!(b.engine.position(WorkItemId(50)), Some(1));
    assert_eq!(b.engine.position(WorkItemId(39)), Some(30));
    let wait = b.engine.expected_wait(WorkItemId(50)).map(|wait| wait.as_secs());
    assert!(wait.is_some_and(|wait| (50..=70).contains(&wait)), "{wait:?}");
    // A voicemail that is as urgent is taken before, and not put aside for a call.
    b.add(60, Entry::new(QueueId(1), Medium::Voicemail));
    assert_eq!(b.engine.expected_wait(WorkItemId(50)).map(|wait| wait.as_secs()), wait.map(|wait| 2 * wait));
}

#[test]
fn emails_are_foretold_by_how_their_line_moves_on() {
    let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
    (1..=6).for_each(|item| b.add(item, of(Medium::Email)));
    b.outputs();
    assert_eq!(b.engine.expected_wait(WorkItemId(6)), None, "nobody moved up yet");
    for item in 1..=3 {
        b.engine.accepted(b.now, OfferId(item));
        b.pass(200);
        b.engine.finished(b.now, WorkItemId(item));
        b.outputs();
    }
    // The fourth rings; the fifth and the sixth are behind it.
    assert_eq!(b.engine.expected_wait(WorkItemId(6)), Some(s(600)));
    assert_eq!(b.engine.counters().foretold, 0, "which is no figure of how well live waits are foretold");
}
