use std::time::Duration;

use super::*;
use crate::base::{AgentId, Medium, Now, OfferId, QueueId, TenantId, TraitId, WorkItemId};
use crate::core::contact::routing::{Policy, Routing};
use crate::core::contact::{Level, Mode, Schedule, Slots, Step, Want};
use crate::core::journal::AgentStatus;

mod explain;
mod foretold;
mod mass;

const TENANT: TenantId = TenantId(1);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn agent(id: u32, skills: &[(u32, f64)]) -> AgentProfile {
    let traits = skills.iter().map(|&(skill, level)| (TraitId(skill), Level::new(level))).collect();
    let (minds, slots) = (vec![], Slots::default());
    AgentProfile {
        id: AgentId(id),
        tenant: TENANT,
        serves: vec![],
        traits,
        minds,
        slots,
        ring: s(20),
        wrap_up: Duration::ZERO,
    }
}

/// As a queue's skills are meant: required at the least level, and the more the better.
fn skill(&(skill, least): &(u32, f64)) -> [Want; 2] {
    let want = |mode, level, importance| Want {
        what: TraitId(skill),
        mode,
        schedule: Schedule::constant(Level::new(level), importance),
    };
    [want(Mode::Required, least, 0), want(Mode::Preferred, 1.0, 100)]
}

pub(super) fn queue(id: u32, needs: &[(u32, f64)]) -> QueueProfile {
    QueueProfile {
        id: QueueId(id),
        tenant: TENANT,
        wants: needs.iter().flat_map(skill).collect(),
        importance: 1.0,
        targets: [s(20); 6],
        overflow_after: None,
        escalate_after: None,
        waiting_max: 0,
        announce_every: None,
    }
}

/// An engine with a clock beside it. What changes about agents, and whether anybody could
/// take an item, is left out of what it returns unless asked for.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) now: Now,
}

impl Bench {
    pub(super) fn new(agents: Vec<AgentProfile>, queues: Vec<QueueProfile>) -> Self {
        let mut bench = Self { engine: Engine::new(1_000), now: Now::default() };
        let ids: Vec<_> = agents.iter().map(|a| a.id).collect();
        bench.engine.provision(bench.now, vec![], agents, queues);
        for id in ids {
            bench.engine.set_reachable(bench.now, id, true);
            bench.pass(1);
            assert_eq!(bench.engine.sign_in(bench.now, id), Ok(()));
        }
        bench.pass(1);
        bench.outputs();
        bench
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now = self.now.after(s(seconds));
        self.engine.handle_timeout(self.now);
        self.engine.check_invariants();
    }

    fn all_outputs(&mut self) -> Vec<Output> {
        self.engine.check_invariants();
        std::iter::from_fn(|| self.engine.poll_output()).collect()
    }

    pub(super) fn outputs(&mut self) -> Vec<Output> {
        let told = |o: &Output| !matches!(o, Output::AgentChanged { .. } | Output::Unservable { .. });
        self.all_outputs().into_iter().filter(told).collect()
    }

    pub(super) fn enqueue(&mut self, item: u64, queue: u32) {
        self.add(item, Entry::new(QueueId(queue), Medium::Voice));
    }

    pub(super) fn add(&mut self, item: u64, entry: Entry) {
        assert_eq!(self.engine.enqueue(self.now, WorkItemId(item), entry), Ok(()));
    }

    /// The agent is through with the first item in hand.
    fn finish(&mut self, agent: u32) {
        let item = self.engine.agent(AgentId(agent)).and_then(|a| a.items.first().map(|&(item, _)| item));
        assert!(item.is_some_and(|item| self.engine.finished(self.now, item)), "{agent} has something in hand");
    }

    pub(super) fn status(&self, agent: u32) -> (AgentStatus, String) {
        let state = self.engine.agent(AgentId(agent)).map(|a| (a.status, a.reason.to_owned()));
        state.unwrap_or((AgentStatus::Null, "unknown".to_owned()))
    }
}

pub(super) fn offer(offer: u64, item: u64, agent: u32) -> Output {
    Output::Offer { offer: OfferId(offer), item: WorkItemId(item), agent: AgentId(agent) }
}

pub(super) fn withdraw(offer: u64, agent: u32, why: OfferEnd) -> Output {
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

pub(super) fn plain(status: AgentStatus) -> (AgentStatus, String) {
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
    let patient = QueueProfile { targets: [s(100); 6], ..queue(1, &[]) };
    let mut b = Bench::new(vec![agent(1, &[])], vec![patient, queue(2, &[])]);
    b.enqueue(1, 1);
    assert_eq!(b.outputs(), [offer(1, 1, 1)]);
    assert!(b.engine.accepted(b.now, OfferId(1)));
    b.enqueue(2, 1);
    b.pass(30);
    b.enqueue(3, 2);
    b.pass(10);
    // 40 s of 100 s against 10 s of 20 s.
    b.finish(1);
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
    b.finish(1);
    assert_eq!(b.status(1), plain(AgentStatus::WrapUp));
    assert_eq!(b.outputs(), [offer(1, 1, 1)]);
    b.pass(29);
    assert_eq!(b.outputs(), []);
    b.pass(1);
    assert_eq!(b.outputs(), [offer(2, 2, 1)]);
    b.engine.accepted(b.now, OfferId(2));
    b.finish(1);
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
    b.finish(1);
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
    b.finish(1);
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
fn bounds_refuse_and_count() {
    let mut engine = Engine::new(3);
    let now = Now::default();
    engine.provision(now, vec![], vec![], vec![QueueProfile { waiting_max: 2, ..queue(1, &[]) }, queue(2, &[])]);
    assert_eq!(
        engine.enqueue(now, WorkItemId(1), Entry::new(QueueId(9), Medium::Voice)),
        Err(EnqueueError::UnknownQueue)
    );
    assert_eq!(engine.enqueue(now, WorkItemId(1), Entry::new(QueueId(1), Medium::Voice)), Ok(()));
    assert_eq!(engine.enqueue(now, WorkItemId(1), Entry::new(QueueId(2), Medium::Voice)), Err(EnqueueError::Duplicate));
    assert_eq!(engine.enqueue(now, WorkItemId(2), Entry::new(QueueId(1), Medium::Voice)), Ok(()));
    assert_eq!(engine.enqueue(now, WorkItemId(3), Entry::new(QueueId(1), Medium::Voice)), Err(EnqueueError::Full));
    assert_eq!(engine.enqueue(now, WorkItemId(3), Entry::new(QueueId(2), Medium::Voice)), Ok(()));
    assert_eq!(engine.enqueue(now, WorkItemId(4), Entry::new(QueueId(2), Medium::Voice)), Err(EnqueueError::Full));
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
    b.finish(1);
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
    engine.provision(now, vec![], (1..=4).map(|id| agent(id, &[])).collect(), vec![queue(1, &[])]);
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
    b.engine.provision(b.now, vec![], vec![agent(2, &[])], vec![queue(1, &[])]);
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
    let queues = || vec![QueueProfile { targets: [s(40); 6], ..queue(1, &[(1, 0.5)]) }, queue(2, &[(1, 0.5)])];
    let mut b = Bench::new(vec![agent(1, &[]), agent(2, &[])], queues());
    b.enqueue(1, 1);
    b.pass(5);
    b.enqueue(2, 2);
    b.enqueue(3, 2);
    b.pass(10);
    // 15 s of 40 s against 10 s of 20 s, twice.
    b.engine.provision(b.now, vec![], vec![agent(1, &[(1, 1.0)]), agent(2, &[(1, 0.7)])], queues());
    assert_eq!(b.outputs(), [offer(1, 2, 1), offer(2, 3, 2)]);
}

#[test]
fn an_overdue_item_freed_by_provisioning_overflows() {
    let queues = || vec![QueueProfile { overflow_after: Some(s(10)), ..queue(1, &[]) }];
    let mut b = Bench::new(vec![agent(1, &[])], queues());
    b.enqueue(1, 1);
    b.pass(15);
    b.engine.provision(b.now, vec![], vec![], queues());
    b.pass(0);
    assert_eq!(b.outputs(), [offer(1, 1, 1), withdraw(1, 1, OfferEnd::AgentGone), overflow(1)]);
}

#[test]
fn a_very_long_wait_or_ring_does_not_overflow_the_clock() {
    let queues =
        vec![QueueProfile { overflow_after: Some(Duration::MAX), targets: [Duration::MAX; 6], ..queue(1, &[]) }];
    let mut b = Bench::new(vec![AgentProfile { ring: Duration::MAX, ..agent(1, &[]) }], queues);
    b.enqueue(1, 1);
    b.enqueue(2, 1);
    b.pass(1_000_000_000);
    assert_eq!(b.outputs(), [offer(1, 1, 1)]);
}

fn voice(queue: u32) -> Entry {
    Entry::new(QueueId(queue), Medium::Voice)
}

fn of(medium: Medium) -> Entry {
    Entry::new(QueueId(1), medium)
}

/// The first trait at .8, from 30 s on at .2.
fn relaxing() -> Want {
    let steps =
        [(0, 0.8), (30, 0.2)].map(|(after_s, level)| Step { after_s, level: Level::new(level), importance: 100 });
    Want { what: TraitId(1), mode: Mode::Required, schedule: Schedule::new(steps.to_vec()).unwrap() }
}

#[test]
fn a_want_that_relaxes_is_matched_at_that_moment() {
    let relaxing = relaxing();
    let mut b = Bench::new(vec![agent(1, &[(1, 0.5)])], vec![queue(1, &[])]);
    b.add(1, Entry { wants: vec![relaxing.clone()], ..voice(1) });
    // Credit counts as waiting.
    b.add(2, Entry { wants: vec![relaxing], credit: s(12), ..voice(1) });
    assert_eq!(b.outputs(), []);
    b.pass(17);
    assert_eq!(b.outputs(), []);
    b.pass(1);
    assert_eq!(b.outputs(), [offer(1, 2, 1)]);
    b.engine.accepted(b.now, OfferId(1));
    b.pass(12);
    b.finish(1);
    assert_eq!(b.outputs(), [offer(2, 1, 1)]);
}

#[test]
fn chats_share_an_agent_a_call_interrupts_an_email_and_an_email_waits() {
    let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
    let mut item = 0;
    let mut take = |b: &mut Bench, medium| {
        item += 1;
        b.add(item, of(medium));
        let live = b.engine.agent(AgentId(1)).and_then(|a| a.offer);
        live.is_some_and(|offer| b.engine.accepted(b.now, offer))
    };
    assert!(take(&mut b, Medium::Email));
    assert!(!take(&mut b, Medium::Email), "one email at a time");
    assert!(take(&mut b, Medium::Chat) && take(&mut b, Medium::Chat) && take(&mut b, Medium::Chat));
    assert!(!take(&mut b, Medium::Chat) && !take(&mut b, Medium::Voice));
    // The email, then the three chats, each through.
    (0..3).for_each(|_| b.finish(1));
    b.outputs();
    let hand = b.engine.agent(AgentId(1)).map(|a| (a.items, a.offer.is_some()));
    assert_eq!(hand, Some((vec![(WorkItemId(5), Medium::Chat)], true)), "the chat that waited is next");
}

#[test]
fn a_voicemail_is_not_starved_by_emails_where_an_agent_takes_several() {
    let slots = Slots::default().with(Medium::Email, 2);
    let mut b = Bench::new(vec![AgentProfile { slots, ..agent(1, &[]) }], vec![queue(1, &[])]);
    let mut taken = vec![];
    let media = [Medium::Email, Medium::Email, Medium::Voicemail, Medium::Email, Medium::Email];
    for (item, medium) in (1..).zip(media) {
        b.add(item, of(medium));
        b.pass(1);
    }
    // There is always another email.
    for _ in 0..4 {
        while let Some(live) = b.engine.agent(AgentId(1)).and_then(|a| a.offer) {
            taken.extend(b.engine.offered(live));
            assert!(b.engine.accepted(b.now, live));
        }
        b.pass(5);
        b.finish(1);
        b.outputs();
    }
    assert_eq!(taken, [1, 2, 3, 4, 5].map(WorkItemId), "in the order in which they came");
}

#[test]
fn an_item_keeps_its_whole_wait_through_a_restart() {
    let mut b = Bench::new(vec![], vec![queue(1, &[])]);
    b.pass(10);
    b.add(1, of(Medium::Email));
    b.add(2, Entry { waited: s(3_600), ..of(Medium::Email) });
    assert_eq!(b.engine.position(WorkItemId(2)), Some(1));
    assert_eq!(b.engine.position(WorkItemId(1)), Some(2));
    assert_eq!(b.engine.waited(b.now, WorkItemId(2)), Some(s(3_600)));
}

#[test]
fn an_item_in_hand_is_given_back_after_a_restart() {
    let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
    assert!(b.engine.restore_task(b.now, AgentId(1), WorkItemId(7), &of(Medium::Email)));
    assert!(!b.engine.restore_task(b.now, AgentId(1), WorkItemId(7), &of(Medium::Email)));
    assert_eq!(b.engine.enqueue(b.now, WorkItemId(7), of(Medium::Email)), Err(EnqueueError::Duplicate));
    assert_eq!(b.engine.handler(WorkItemId(7)), Some(AgentId(1)));
    b.finish(1);
    assert_eq!(b.engine.handler(WorkItemId(7)), None);
    assert_eq!(b.status(1), plain(AgentStatus::Ready));
}

#[test]
fn what_nobody_could_take_is_told_and_told_again_when_somebody_can() {
    let told = |unservable| Output::Unservable { item: WorkItemId(1), unservable };
    let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[(1, 0.5)])]);
    b.enqueue(1, 1);
    assert_eq!(b.all_outputs(), [told(true)]);
    assert_eq!(b.engine.counters().unservable, 1);
    b.engine.provision(b.now, vec![], vec![agent(1, &[(1, 0.7)])], vec![queue(1, &[(1, 0.5)])]);
    assert!(b.all_outputs().starts_with(&[told(false)]));
    assert_eq!(b.engine.offered(OfferId(1)), Some(WorkItemId(1)));
}

#[test]
fn an_item_escalates_once() {
    let queues = vec![QueueProfile { escalate_after: Some(s(30)), ..queue(1, &[]) }];
    let mut b = Bench::new(vec![], queues);
    b.add(1, Entry { waited: s(20), ..voice(1) });
    b.pass(9);
    assert!(!b.outputs().contains(&Output::Escalate { item: WorkItemId(1) }));
    b.pass(1);
    assert_eq!(b.outputs(), [Output::Escalate { item: WorkItemId(1) }]);
    b.pass(100);
    assert_eq!(b.outputs(), []);
    assert!(b.engine.leave(b.now, WorkItemId(1)));
}

/// Fifty services of two minutes, so that the law of service is known.
fn seasoned(policy: Policy) -> Bench {
    let mut b = Bench::new(vec![agent(1, &[(1, 1.0)]), agent(2, &[(1, 0.3)])], vec![queue(1, &[(1, 0.1)])]);
    let routing = Routing { policy, ..Routing::default() };
    let tenant = TenantProfile { id: TENANT, routing };
    b.engine.provision(
        b.now,
        vec![tenant],
        vec![agent(1, &[(1, 1.0)]), agent(2, &[(1, 0.3)])],
        vec![QueueProfile { targets: [s(60); 6], ..queue(1, &[(1, 0.1)]) }],
    );
    for n in 0..50 {
        b.enqueue(1_000 + n, 1);
        let live = b.engine.agent(AgentId(1)).and_then(|a| a.offer).unwrap();
        assert!(b.engine.accepted(b.now, live));
        b.pass(100 + n % 41);
        b.finish(1);
        b.outputs();
    }
    b
}

#[test]
fn an_item_is_held_for_a_better_agent_who_is_likely_to_be_free_soon() {
    let mut b = seasoned(Policy::ScoreHold);
    b.enqueue(1, 1);
    let live = b.engine.agent(AgentId(1)).and_then(|a| a.offer).unwrap();
    b.engine.accepted(b.now, live);
    b.pass(130);
    b.outputs();
    b.enqueue(2, 1);
    assert_eq!(b.outputs(), [], "the novice idles");
    assert!(b.engine.is_on_hold(WorkItemId(2)));
    b.pass(5);
    assert!(b.engine.is_on_hold(WorkItemId(2)));
    b.finish(1);
    let agent = |outputs: &[Output]| match outputs {
        [Output::Offer { agent, .. }] => Some(*agent),
        _ => None,
    };
    assert_eq!(agent(&b.outputs()), Some(AgentId(1)));

    let mut b = seasoned(Policy::Score);
    b.enqueue(1, 1);
    let live = b.engine.agent(AgentId(1)).and_then(|a| a.offer).unwrap();
    b.engine.accepted(b.now, live);
    b.pass(130);
    b.outputs();
    b.enqueue(2, 1);
    assert_eq!(agent(&b.outputs()), Some(AgentId(2)), "without holding");
}

#[test]
fn an_item_is_held_from_a_freed_agent_only_where_nothing_else_waits() {
    for another in [false, true] {
        let mut b = seasoned(Policy::ScoreHold);
        let agents = vec![agent(1, &[(1, 1.0)]), agent(2, &[(1, 0.3)])];
        let queues = [1, 2].map(|id| QueueProfile { targets: [s(60); 6], ..queue(id, &[(1, 0.1)]) });
        b.engine.provision(b.now, vec![], agents, queues.into());
        b.engine.pause(b.now, AgentId(2), "tea").unwrap();
        b.enqueue(1, 1);
        let live = b.engine.agent(AgentId(1)).and_then(|a| a.offer).unwrap();
        b.engine.accepted(b.now, live);
        b.pass(130);
        b.enqueue(2, 1);
        if another {
            b.enqueue(3, 2);
        }
        b.outputs();
        // The novice is back from tea.
        b.engine.resume(b.now, AgentId(2)).unwrap();
        let offered = b.outputs().iter().any(|output| matches!(output, Output::Offer { .. }));
        assert_eq!((offered, b.engine.is_on_hold(WorkItemId(2))), (another, !another));
    }
}

#[test]
fn under_fifo_skill_counts_for_nothing() {
    let agents = || vec![agent(1, &[(1, 0.5)]), agent(2, &[(1, 0.9)])];
    for (policy, first) in [(Policy::Fifo, 1), (Policy::BestSkill, 2), (Policy::Score, 2)] {
        let mut b = Bench::new(agents(), vec![queue(1, &[(1, 0.4)])]);
        let tenant = TenantProfile { id: TENANT, routing: Routing { policy, ..Routing::default() } };
        b.engine.provision(b.now, vec![tenant], agents(), vec![queue(1, &[(1, 0.4)])]);
        b.enqueue(1, 1);
        assert_eq!(b.outputs(), [offer(1, 1, first)], "{policy}");
    }
}

#[test]
fn what_was_in_the_hand_of_an_agent_who_is_gone_comes_out_and_back_beyond_the_bound() {
    let mut full = queue(1, &[]);
    full.waiting_max = 1;
    let mut b = Bench::new(vec![agent(1, &[]), agent(2, &[])], vec![full.clone()]);
    assert_eq!(b.engine.pause(b.now, AgentId(2), "lunch"), Ok(()));
    b.enqueue(1, 1);
    assert_eq!(b.outputs(), [offer(1, 1, 1)]);
    assert!(b.engine.accepted(b.now, OfferId(1)));
    b.pass(100);
    b.engine.provision(b.now, vec![], vec![agent(2, &[])], vec![full]);
    assert_eq!(b.outputs(), [Output::Orphaned { item: WorkItemId(1) }]);
    b.enqueue(2, 1);
    let entry = Entry { waited: s(100), ..Entry::new(QueueId(1), Medium::Voice) };
    assert_eq!(b.engine.enqueue(b.now, WorkItemId(1), entry.clone()), Err(EnqueueError::Full));
    assert_eq!(b.engine.bring_back(b.now, WorkItemId(1), entry.clone()), Ok(()));
    // Known better, it goes back to its place, and has not come once more.
    let came = |b: &Bench| b.engine.counters().offered;
    let before = came(&b);
    assert_eq!(b.engine.bring_back(b.now, WorkItemId(1), entry.clone()), Ok(()));
    assert_eq!((came(&b), b.engine.counters().waiting), (before, 2));
    assert_eq!((b.engine.position(WorkItemId(1)), b.engine.position(WorkItemId(2))), (Some(1), Some(2)));
    b.engine.check_invariants();
}

#[test]
fn who_is_taken_out_has_not_abandoned() {
    let mut b = Bench::new(vec![agent(1, &[])], vec![queue(1, &[])]);
    b.enqueue(1, 1);
    assert_eq!(b.outputs(), [offer(1, 1, 1)]);
    assert!(b.engine.take_out(b.now, WorkItemId(1)) && !b.engine.take_out(b.now, WorkItemId(1)));
    assert_eq!(b.outputs(), [withdraw(1, 1, OfferEnd::ItemLeft)]);
    assert_eq!((b.status(1).0, b.engine.counters().abandoned), (AgentStatus::Ready, 0));
}

#[test]
fn who_had_something_in_hand_before_a_restart_has_it_again_and_takes_what_goes_beside_it() {
    let profiles = (vec![agent(1, &[])], vec![queue(1, &[])]);
    let mut b = Bench { engine: Engine::new(1_000), now: Now::default() };
    b.engine.provision(b.now, vec![], profiles.0, profiles.1);
    b.engine.set_reachable(b.now, AgentId(1), true);
    let of = |medium| Entry::new(QueueId(1), medium);
    assert!(b.engine.restore_task(b.now, AgentId(1), WorkItemId(7), &of(Medium::Email)));
    assert_eq!(b.engine.bring_back(b.now, WorkItemId(8), of(Medium::Email)), Ok(()));
    assert_eq!(b.engine.bring_back(b.now, WorkItemId(9), of(Medium::Chat)), Ok(()));
    b.engine.restore(b.now, AgentId(1), AgentStatus::Busy, "");
    assert_eq!(b.outputs(), [offer(1, 9, 1)]);
    assert!(b.engine.accepted(b.now, OfferId(1)) && b.engine.finished(b.now, WorkItemId(9)));
    assert_eq!((b.outputs(), b.status(1).0), (vec![], AgentStatus::Busy));
    assert!(b.engine.finished(b.now, WorkItemId(7)));
    assert_eq!(b.outputs(), [offer(2, 8, 1)]);
}

#[test]
fn credit_helps_and_makes_nothing_late() {
    // The same target; other wants, so that neither is alike.
    let queues = || vec![queue(1, &[]), queue(2, &[(1, 0.1)])];
    let mut b = Bench::new(vec![agent(1, &[(1, 1.0)])], queues());
    b.add(1, voice(1));
    assert!(b.engine.accepted(b.now, OfferId(1)));
    b.add(2, voice(2));
    b.add(3, Entry { credit: s(30), ..voice(1) });
    b.outputs();
    b.pass(1);
    b.finish(1);
    assert_eq!(b.outputs(), [offer(2, 3, 1)]);
}

#[test]
fn who_is_very_late_waits_no_longer_for_those_in_time() {
    let mut b = Bench::new(vec![agent(1, &[(1, 1.0)])], vec![queue(1, &[]), queue(2, &[(1, 0.1)])]);
    b.add(1, voice(1));
    assert!(b.engine.accepted(b.now, OfferId(1)));
    b.add(2, voice(1));
    b.outputs();
    let late = 10 * 20;
    b.pass(late - 2);
    b.add(3, voice(2));
    b.pass(1);
    b.finish(1);
    assert_eq!(b.outputs(), [offer(2, 3, 1)], "late, and another still in time");
    assert!(b.engine.accepted(b.now, OfferId(2)));
    b.add(4, voice(2));
    b.pass(1);
    b.finish(1);
    assert_eq!(b.outputs(), [offer(3, 2, 1)], "very late");
}

#[test]
fn an_agent_wanted_in_person_need_not_be_idle_longest() {
    let want = |agent| Want {
        what: TraitId::of_agent(AgentId(agent)),
        mode: Mode::Preferred,
        schedule: Schedule::constant(Level::FULL, 40),
    };
    let mut b = Bench::new((1..=4).map(|id| agent(id, &[(1, 1.0)])).collect(), vec![queue(1, &[(1, 0.1)])]);
    b.add(1, Entry { wants: vec![want(3)], ..voice(1) });
    b.add(2, Entry { wants: vec![Want { mode: Mode::Required, ..want(4) }], ..voice(1) });
    b.add(3, Entry { wants: vec![want(3)], ..voice(1) });
    // One who is forbidden does not stand before the others of her class.
    let barred = Want { mode: Mode::Forbidden, ..want(1) };
    b.add(4, Entry { wants: vec![barred.clone()], ..voice(1) });
    b.add(5, Entry { wants: vec![barred], ..voice(1) });
    assert_eq!(b.outputs(), [offer(1, 1, 3), offer(2, 2, 4), offer(3, 3, 1), offer(4, 4, 2)]);
}

#[test]
fn an_item_that_forbids_the_only_agent_free_waits() {
    let barred = Want {
        what: TraitId::of_agent(AgentId(1)),
        mode: Mode::Forbidden,
        schedule: Schedule::constant(Level::FULL, 100),
    };
    let mut b = Bench::new(vec![agent(1, &[]), agent(2, &[])], vec![queue(1, &[])]);
    assert_eq!(b.engine.pause(b.now, AgentId(2), "tea"), Ok(()));
    b.add(1, Entry { wants: vec![barred], ..voice(1) });
    assert_eq!(b.outputs(), []);
    assert_eq!(b.engine.resume(b.now, AgentId(2)), Ok(()));
    assert_eq!(b.outputs(), [offer(1, 1, 2)]);
}

#[test]
fn a_relaxing_item_is_not_passed_by_a_younger_one_that_is_alike() {
    let want = relaxing();
    let mut b = Bench::new(vec![agent(1, &[(1, 0.9)])], vec![queue(1, &[])]);
    b.add(1, Entry { wants: vec![want.clone()], ..voice(1) });
    assert!(b.engine.accepted(b.now, OfferId(1)));
    b.add(2, Entry { wants: vec![want.clone()], ..voice(1) });
    b.pass(40);
    b.add(3, Entry { wants: vec![want], ..voice(1) });
    b.outputs();
    b.finish(1);
    assert_eq!(b.outputs(), [offer(2, 2, 1)]);
}
