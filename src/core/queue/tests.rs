use std::time::Duration;

use super::*;
use crate::base::{AgentId, Now, OfferId, QueueId, SkillId, TenantId, WorkItemId};
use crate::core::journal::AgentStatus;

const TENANT: TenantId = TenantId(1);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn agent(id: u32, skills: &[(u32, f32)]) -> AgentProfile {
    let skills = skills.iter().map(|&(skill, level)| (SkillId(skill), level)).collect();
    AgentProfile { id: AgentId(id), tenant: TENANT, skills, ring: s(20), wrap_up: Duration::ZERO }
}

fn queue(id: u32, needs: &[(u32, f32)]) -> QueueProfile {
    QueueProfile {
        id: QueueId(id),
        tenant: TENANT,
        needs: needs.iter().map(|&(skill, level)| (SkillId(skill), level)).collect(),
        target: s(20),
        overflow_after: None,
        waiting_max: 0,
        announce_every: None,
    }
}

/// An engine with a clock beside it. State changes of agents are left out of what it returns unless asked for.
struct Bench {
    engine: Engine,
    now: Now,
}

impl Bench {
    fn new(agents: Vec<AgentProfile>, queues: Vec<QueueProfile>) -> Self {
        let mut bench = Self { engine: Engine::new(1_000), now: Now::default() };
        let ids: Vec<_> = agents.iter().map(|a| a.id).collect();
        bench.engine.provision(bench.now, agents, queues);
        for id in ids {
            bench.engine.set_reachable(bench.now, id, true);
            bench.pass(1);
            assert_eq!(bench.engine.sign_in(bench.now, id), Ok(()));
        }
        bench.pass(1);
        bench.outputs();
        bench
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.after(s(seconds));
        self.engine.handle_timeout(self.now);
        self.engine.check_invariants();
    }

    fn all_outputs(&mut self) -> Vec<Output> {
        self.engine.check_invariants();
        std::iter::from_fn(|| self.engine.poll_output()).collect()
    }

    fn outputs(&mut self) -> Vec<Output> {
        self.all_outputs().into_iter().filter(|o| !matches!(o, Output::AgentChanged { .. })).collect()
    }

    fn enqueue(&mut self, item: u64, queue: u32) {
        assert_eq!(self.engine.enqueue(self.now, WorkItemId(item), QueueId(queue)), Ok(()));
    }

    fn status(&self, agent: u32) -> (AgentStatus, String) {
        let state = self.engine.agent(AgentId(agent)).map(|a| (a.status, a.reason.to_owned()));
        state.unwrap_or((AgentStatus::Null, "unknown".to_owned()))
    }
}

fn offer(offer: u64, item: u64, agent: u32) -> Output {
    Output::Offer { offer: OfferId(offer), item: WorkItemId(item), agent: AgentId(agent) }
}

fn withdraw(offer: u64, agent: u32, why: OfferEnd) -> Output {
    Output::Withdraw { offer: OfferId(offer), agent: AgentId(agent), why }
}

fn announce(item: u64, position: usize, expected_wait_s: u32) -> Output {
    Output::Announce { item: WorkItemId(item), position, expected_wait_s }
}

fn overflow(item: u64) -> Output {
    Output::Overflow { item: WorkItemId(item) }
}

fn not_ready(reason: &str) -> (AgentStatus, String) {
    (AgentStatus::NotReady, reason.to_owned())
}

fn plain(status: AgentStatus) -> (AgentStatus, String) {
    (status, String::new())
}

#[test]
fn an_item_goes_to_the_longest_idle_among_the_fittest() {
    let agents = vec![agent(1, &[(1, 0.5)]), agent(2, &[(1, 0.9)]), agent(3, &[(1, 0.9)])];
    let mut b = Bench::new(agents, vec![queue(1, &[(1, 0.4)])]);
    for item in 1..=4 {
        b.enqueue(item, 1);
    }
    assert_eq!(b.outputs(), [offer(1, 1, 2), offer(2, 2, 3), offer(3, 3, 1)]);
}

#[test]
fn an_unfit_agent_is_never_offered() {
    let mut b = Bench::new(vec![agent(1, &[(1, 0.3)]), agent(2, &[(2, 1.0)])], vec![queue(1, &[(1, 0.4)])]);
    b.enqueue(1, 1);
    assert_eq!(b.outputs(), []);
}

#[test]
fn tenants_do_not_share_agents() {
    let other = QueueProfile { tenant: TenantId(2), ..queue(2, &[]) };
    let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[]), other]);
    b.enqueue(1, 2);
    assert_eq!(b.outputs(), []);
    b.enqueue(2, 1);
    assert_eq!(b.outputs(), [offer(1, 2, 1)]);
}

#[test]
fn an_agent_getting_free_takes_the_most_urgent_item_of_all_queues() {
    let patient = QueueProfile { target: s(100), ..queue(1, &[]) };
    let mut b = Bench::new(vec![agent(1, &[])], vec![patient, queue(2, &[])]);
    b.enqueue(1, 1);
    assert_eq!(b.outputs(), [offer(1, 1, 1)]);
    assert!(b.engine.accepted(b.now, OfferId(1)));
    b.enqueue(2, 1);
    b.pass(30);
    b.enqueue(3, 2);
    b.pass(10);
    // 40 s of 100 s against 10 s of 20 s.
    b.engine.finished(b.now, AgentId(1));
    assert_eq!(b.outputs(), [offer(2, 3, 1)]);
}

#[test]
fn ringing_out_marks_the_agent_and_the_item_moves_on_at_its_place() {
    let mut b = Bench::new(vec![agent(1, &[]), agent(2, &[])], vec![queue(1, &[])]);
    b.enqueue(1, 1);
    assert_eq!(b.outputs(), [offer(1, 1, 1)]);
    assert_eq!(b.engine.poll_timeout(), Some(b.now.mono + s(20)));
    b.pass(20);
    assert_eq!(b.outputs(), [withdraw(1, 1, OfferEnd::NoAnswer), offer(2, 1, 2)]);
    assert_eq!(b.status(1), not_ready("no-answer"));
    assert!(!b.engine.accepted(b.now, OfferId(1)), "a stale offer");
    b.enqueue(2, 1);
    b.engine.refused(b.now, OfferId(2), OfferEnd::Declined);
    assert_eq!(b.status(2), not_ready("declined"));
    assert_eq!(b.engine.position(WorkItemId(1)), Some(1));
    assert_eq!(b.engine.resume(b.now, AgentId(2)), Ok(()));
    assert_eq!(b.outputs(), [offer(3, 1, 2)]);
}

#[test]
fn an_item_that_leaves_takes_its_offer_along_and_the_agent_keeps_the_idle_time() {
    let mut b = Bench::new(vec![agent(1, &[]), agent(2, &[])], vec![queue(1, &[])]);
    b.enqueue(1, 1);
    b.pass(3);
    assert!(b.engine.leave(b.now, WorkItemId(1)));
    assert!(!b.engine.leave(b.now, WorkItemId(1)));
    assert_eq!(b.outputs(), [offer(1, 1, 1), withdraw(1, 1, OfferEnd::ItemLeft)]);
    b.enqueue(2, 1);
    assert_eq!(b.outputs(), [offer(2, 2, 1)]);
    assert_eq!(b.engine.counters().abandoned, 1);
}

#[test]
fn wrap_up_runs_its_time_or_until_resumed() {
    let mut b = Bench::new(vec![AgentProfile { wrap_up: s(30), ..agent(1, &[]) }], vec![queue(1, &[])]);
    b.enqueue(1, 1);
    b.enqueue(2, 1);
    b.enqueue(3, 1);
    b.engine.accepted(b.now, OfferId(1));
    b.engine.finished(b.now, AgentId(1));
    assert_eq!(b.status(1), plain(AgentStatus::WrapUp));
    assert_eq!(b.outputs(), [offer(1, 1, 1)]);
    b.pass(29);
    assert_eq!(b.outputs(), []);
    b.pass(1);
    assert_eq!(b.outputs(), [offer(2, 2, 1)]);
    b.engine.accepted(b.now, OfferId(2));
    b.engine.finished(b.now, AgentId(1));
    assert_eq!(b.engine.resume(b.now, AgentId(1)), Ok(()));
    assert_eq!(b.outputs(), [offer(3, 3, 1)]);
}

#[test]
fn pause_and_sign_out_wait_for_the_end_of_work() {
    let mut b = Bench::new(vec![AgentProfile { wrap_up: s(30), ..agent(1, &[]) }], vec![queue(1, &[])]);
    b.enqueue(1, 1);
    b.enqueue(2, 1);
    b.engine.accepted(b.now, OfferId(1));
    assert_eq!(b.engine.pause(b.now, AgentId(1), "lunch"), Ok(()));
    assert_eq!(b.status(1), plain(AgentStatus::Busy));
    b.engine.finished(b.now, AgentId(1));
    b.pass(29);
    assert_eq!(b.status(1), plain(AgentStatus::WrapUp));
    b.pass(1);
    assert_eq!(b.status(1), not_ready("lunch"));
    assert_eq!(b.engine.sign_in(b.now, AgentId(1)), Ok(()));
    assert_eq!(b.outputs(), [offer(1, 1, 1), offer(2, 2, 1)]);
    assert_eq!(b.engine.sign_out(b.now, AgentId(1)), Ok(()));
    b.engine.refused(b.now, OfferId(2), OfferEnd::Declined);
    assert_eq!(b.status(1), plain(AgentStatus::Null));
    assert_eq!(b.engine.pause(b.now, AgentId(1), "x"), Err(Refusal::SignedOut));
    assert_eq!(b.engine.resume(b.now, AgentId(1)), Err(Refusal::SignedOut));
    assert_eq!(b.engine.sign_in(b.now, AgentId(9)), Err(Refusal::UnknownAgent));
}

#[test]
fn a_later_order_undoes_what_was_to_follow() {
    let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
    b.enqueue(1, 1);
    b.engine.accepted(b.now, OfferId(1));
    assert_eq!(b.engine.sign_out(b.now, AgentId(1)), Ok(()));
    assert_eq!(b.engine.sign_in(b.now, AgentId(1)), Ok(()));
    b.engine.finished(b.now, AgentId(1));
    assert_eq!(b.status(1), plain(AgentStatus::Ready));
}

#[test]
fn state_changes_are_told_once_each() {
    let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
    let changed = |status, reason: &str| Output::AgentChanged { agent: AgentId(1), status, reason: reason.to_owned() };
    assert_eq!(b.engine.pause(b.now, AgentId(1), "tea"), Ok(()));
    assert_eq!(b.engine.pause(b.now, AgentId(1), "tea"), Ok(()));
    assert_eq!(b.engine.pause(b.now, AgentId(1), &"long".repeat(100)), Ok(()));
    let long = "long".repeat(25);
    assert_eq!(b.all_outputs(), [changed(AgentStatus::NotReady, "tea"), changed(AgentStatus::NotReady, &long)]);
    assert_eq!(b.engine.sign_in(b.now, AgentId(1)), Ok(()));
    assert_eq!(b.engine.sign_in(b.now, AgentId(1)), Ok(()));
    b.enqueue(1, 1);
    b.engine.accepted(b.now, OfferId(1));
    let (ready, busy) = (changed(AgentStatus::Ready, ""), changed(AgentStatus::Busy, ""));
    assert_eq!(b.all_outputs(), [ready, busy, offer(1, 1, 1)]);
}

#[test]
fn unreachable_agents_get_nothing_until_reachable() {
    let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
    b.engine.set_reachable(b.now, AgentId(1), false);
    b.enqueue(1, 1);
    assert_eq!(b.outputs(), []);
    assert_eq!(b.status(1), plain(AgentStatus::Ready));
    b.engine.set_reachable(b.now, AgentId(1), true);
    assert_eq!(b.outputs(), [offer(1, 1, 1)]);
}

#[test]
fn overflow_takes_the_item_out_but_not_while_it_rings() {
    let mut b = Bench::new(vec![agent(1, &[])], vec![QueueProfile { overflow_after: Some(s(10)), ..queue(1, &[]) }]);
    b.enqueue(1, 1);
    b.enqueue(2, 1);
    b.pass(10);
    assert_eq!(b.outputs(), [offer(1, 1, 1), overflow(2)]);
    b.pass(10);
    assert_eq!(b.outputs(), [withdraw(1, 1, OfferEnd::NoAnswer), overflow(1)]);
    assert_eq!(b.engine.counters().overflowed, 2);
    assert_eq!(b.engine.poll_timeout(), None);
}

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
    b.engine.finished(b.now, AgentId(1));
    b.pass(1);
    b.outputs();
    // One agent, 90 s per item, item 2 rings ahead.
    assert_eq!(b.engine.expected_wait(WorkItemId(3)), Some(s(180)));
    // A clock that jumps far ahead brings one announcement, not all that were missed.
    b.pass(800);
    assert_eq!(b.outputs(), [announce(3, 2, 180)]);
}

#[test]
fn bounds_refuse_and_count() {
    let mut engine = Engine::new(3);
    let now = Now::default();
    engine.provision(now, vec![], vec![QueueProfile { waiting_max: 2, ..queue(1, &[]) }, queue(2, &[])]);
    assert_eq!(engine.enqueue(now, WorkItemId(1), QueueId(9)), Err(EnqueueError::UnknownQueue));
    assert_eq!(engine.enqueue(now, WorkItemId(1), QueueId(1)), Ok(()));
    assert_eq!(engine.enqueue(now, WorkItemId(1), QueueId(2)), Err(EnqueueError::Duplicate));
    assert_eq!(engine.enqueue(now, WorkItemId(2), QueueId(1)), Ok(()));
    assert_eq!(engine.enqueue(now, WorkItemId(3), QueueId(1)), Err(EnqueueError::Full));
    assert_eq!(engine.enqueue(now, WorkItemId(3), QueueId(2)), Ok(()));
    assert_eq!(engine.enqueue(now, WorkItemId(4), QueueId(2)), Err(EnqueueError::Full));
    let counters = engine.counters();
    assert_eq!((counters.refused, counters.waiting, counters.waiting_max), (2, 3, 3));
    engine.check_invariants();
}

#[test]
fn service_level_counts_answers_within_target() {
    let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
    b.enqueue(1, 1);
    b.enqueue(2, 1);
    b.pass(5);
    b.engine.accepted(b.now, OfferId(1));
    b.pass(16);
    b.engine.finished(b.now, AgentId(1));
    b.engine.accepted(b.now, OfferId(2));
    b.enqueue(3, 1);
    b.pass(7);
    let queue = b.engine.queues(b.now).next();
    let seen = queue.map(|q| (q.offered, q.answered, q.in_target, q.waiting, q.longest_wait));
    assert_eq!(seen, Some((3, 2, 1, 1, s(7))));
    assert_eq!(b.engine.counters().in_target, 1);
    assert_eq!(b.engine.agent(AgentId(1)).map(|a| a.answered), Some(2));
}

#[test]
fn restored_agents_work_again_and_only_differences_are_told() {
    let mut engine = Engine::new(10);
    let now = Now::default();
    engine.provision(now, (1..=4).map(|id| agent(id, &[])).collect(), vec![queue(1, &[])]);
    engine.restore(now, AgentId(1), AgentStatus::Busy, "");
    engine.restore(now, AgentId(2), AgentStatus::NotReady, "lunch");
    engine.restore(now, AgentId(3), AgentStatus::Ready, "");
    engine.restore(now, AgentId(4), AgentStatus::Null, "");
    engine.restore(now, AgentId(5), AgentStatus::Ready, "");
    let states: Vec<_> = engine.agents().map(|a| (a.status, a.reason.to_owned())).collect();
    let ready = plain(AgentStatus::Ready);
    assert_eq!(states, [ready.clone(), not_ready("lunch"), ready, plain(AgentStatus::Null)]);
    let told: Vec<_> = std::iter::from_fn(|| engine.poll_output()).collect();
    let reason = String::new();
    assert_eq!(told, [Output::AgentChanged { agent: AgentId(1), status: AgentStatus::Ready, reason }]);
}

#[test]
fn provisioning_keeps_who_stays_and_frees_what_hangs_on_who_goes() {
    let mut b = Bench::new(vec![agent(1, &[]), agent(2, &[])], vec![queue(1, &[]), queue(2, &[])]);
    b.enqueue(1, 1);
    b.enqueue(2, 2);
    b.enqueue(3, 2);
    b.enqueue(4, 1);
    assert_eq!(b.outputs(), [offer(1, 1, 1), offer(2, 2, 2)]);
    // Agent 1, who rings for item 1, and queue 2, whose item 2 rings at agent 2, are gone.
    b.engine.provision(b.now, vec![agent(2, &[])], vec![queue(1, &[])]);
    assert_eq!(
        b.outputs(),
        [
            withdraw(1, 1, OfferEnd::AgentGone),
            withdraw(2, 2, OfferEnd::ItemLeft),
            overflow(2),
            overflow(3),
            offer(3, 1, 2)
        ]
    );
    assert_eq!(b.engine.position(WorkItemId(4)), Some(2));
    assert!(!b.engine.accepted(b.now, OfferId(1)));
    assert!(b.engine.accepted(b.now, OfferId(3)));
}

#[test]
fn provisioning_that_widens_skills_matches_the_most_urgent_first() {
    let queues = || vec![QueueProfile { target: s(40), ..queue(1, &[(1, 0.5)]) }, queue(2, &[(1, 0.5)])];
    let mut b = Bench::new(vec![agent(1, &[]), agent(2, &[])], queues());
    b.enqueue(1, 1);
    b.pass(5);
    b.enqueue(2, 2);
    b.enqueue(3, 2);
    b.pass(10);
    // 15 s of 40 s against 10 s of 20 s, twice.
    b.engine.provision(b.now, vec![agent(1, &[(1, 1.0)]), agent(2, &[(1, 0.7)])], queues());
    assert_eq!(b.outputs(), [offer(1, 2, 1), offer(2, 3, 2)]);
}

#[test]
fn an_overdue_item_freed_by_provisioning_overflows() {
    let queues = || vec![QueueProfile { overflow_after: Some(s(10)), ..queue(1, &[]) }];
    let mut b = Bench::new(vec![agent(1, &[])], queues());
    b.enqueue(1, 1);
    b.pass(15);
    b.engine.provision(b.now, vec![], queues());
    b.pass(0);
    assert_eq!(b.outputs(), [offer(1, 1, 1), withdraw(1, 1, OfferEnd::AgentGone), overflow(1)]);
}

#[test]
fn a_very_long_wait_or_ring_does_not_overflow_the_clock() {
    let queues = vec![QueueProfile { overflow_after: Some(Duration::MAX), target: Duration::MAX, ..queue(1, &[]) }];
    let mut b = Bench::new(vec![AgentProfile { ring: Duration::MAX, ..agent(1, &[]) }], queues);
    b.enqueue(1, 1);
    b.enqueue(2, 1);
    b.pass(1_000_000_000);
    assert_eq!(b.outputs(), [offer(1, 1, 1)]);
}
