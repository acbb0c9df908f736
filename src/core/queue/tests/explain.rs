//! What is said of an item that waits or would come, held against what then happens.

use super::*;

#[test]
fn an_offer_says_why_and_an_item_that_waits_why_not() {
    let agents = vec![agent(1, &[(1, 0.5)]), agent(2, &[(1, 0.9)]), agent(3, &[]), agent(4, &[(1, 1.0)])];
    let mut b = Bench::new(agents, vec![queue(1, &[(1, 0.4)])]);
    assert_eq!(b.engine.pause(b.now, AgentId(4), "tea"), Ok(()));
    b.enqueue(1, 1);
    let reason = b.engine.reason(OfferId(1)).unwrap();
    assert_eq!((reason.trigger, reason.compared), (Trigger::Item, 2));
    assert!((reason.terms.matched - 72.0).abs() < 1e-9 && reason.terms.total() > 72.0);
    assert_eq!(reason.others.first().map(|other| other.0), Some(AgentId(1)));
    b.enqueue(2, 1);
    b.enqueue(3, 1);
    let verdicts = b.engine.explain(b.now, WorkItemId(3)).unwrap().candidates;
    let verdict = |agent| verdicts.iter().find(|c| c.agent == AgentId(agent)).map(|c| c.verdict.clone());
    assert_eq!(verdict(1), Some(Verdict::Occupied(AgentStatus::Busy)));
    assert_eq!(verdict(4), Some(Verdict::Away(AgentStatus::NotReady)));
    let lacks = Unfit::Lacks { what: TraitId(1), have: Level::NONE, need: Level::new(0.4) };
    assert_eq!(verdict(3), Some(Verdict::Unfit(lacks)));
    let would = b.engine.consider(b.now, &voice(1)).unwrap();
    assert_eq!(would.candidates.len(), 4);
    assert_eq!(b.engine.consider(b.now, &voice(9)), Err(EnqueueError::UnknownQueue));
}

/// Four agents with an order of their own under each policy: idle longest first by number, best last.
fn four(policy: Policy) -> Bench {
    let agents = || vec![agent(1, &[(1, 0.5)]), agent(2, &[(1, 0.4)]), agent(3, &[(1, 0.9)]), agent(4, &[(1, 1.0)])];
    let mut b = Bench::new(agents(), vec![queue(1, &[(1, 0.2)])]);
    let tenant = TenantProfile { id: TENANT, routing: Routing { policy, ..Routing::default() } };
    b.engine.provision(b.now, vec![tenant], agents(), vec![queue(1, &[(1, 0.2)])]);
    b
}

#[test]
fn agents_are_in_the_order_in_which_they_would_be_taken_under_each_policy() {
    for (policy, expected) in [
        (Policy::Fifo, [1, 2, 3, 4]),
        (Policy::BestSkill, [4, 3, 1, 2]),
        (Policy::Score, [4, 3, 1, 2]),
        (Policy::ScoreHold, [4, 3, 1, 2]),
    ] {
        let mut b = four(policy);
        let told = b.engine.consider(b.now, &voice(1)).unwrap();
        assert_eq!(told.policy, policy);
        assert_eq!(told.candidates.iter().map(|c| c.agent.0).collect::<Vec<_>>(), expected, "{policy}");
        assert!(told.candidates.iter().all(|c| c.basis.is_none() == policy.goes_by_score()), "{policy}");
        let taken = (1..=4).map(|item| {
            b.enqueue(item, 1);
            let taken = b.outputs().iter().find_map(|output| match output {
                Output::Offer { offer, agent, .. } => Some((*offer, agent.0)),
                _ => None,
            });
            let (offer, agent) = taken.unwrap();
            assert_eq!(b.engine.reason(offer).map(|reason| reason.policy), Some(policy));
            agent
        });
        assert_eq!(taken.collect::<Vec<_>>(), expected, "{policy}");
    }
}

#[test]
fn who_puts_work_aside_comes_last_under_fifo_and_the_basis_says_so() {
    let mut b = four(Policy::Fifo);
    b.add(1, of(Medium::Email));
    assert_eq!(b.outputs(), [offer(1, 1, 1)]);
    assert!(b.engine.accepted(b.now, OfferId(1)));
    b.pass(5);
    let told = b.engine.consider(b.now, &voice(1)).unwrap();
    assert_eq!(told.candidates.iter().map(|c| c.agent.0).collect::<Vec<_>>(), [2, 3, 4, 1]);
    let basis = told.candidates.last().and_then(|c| c.basis).unwrap();
    assert_eq!((basis.put_aside, basis.level), (1, Level::new(0.5)));
}

#[test]
fn an_item_that_is_or_would_be_held_says_for_whom_until_when_and_why() {
    for policy in [Policy::Score, Policy::ScoreHold] {
        let mut b = seasoned(policy);
        b.enqueue(1, 1);
        let live = b.engine.agent(AgentId(1)).and_then(|a| a.offer).unwrap();
        b.engine.accepted(b.now, live);
        b.pass(130);
        b.outputs();
        let would = b.engine.consider(b.now, &voice(1)).unwrap();
        assert_eq!(would.candidates.first().map(|c| c.agent), Some(AgentId(2)), "who could take it");
        b.enqueue(2, 1);
        assert_eq!(would.hold.is_some(), b.engine.is_on_hold(WorkItemId(2)), "{policy}: as it was foretold");
        assert_eq!(would.hold.is_some(), policy == Policy::ScoreHold);
        let Some(hold) = would.hold else { continue };
        assert_eq!((hold.instead_of, hold.better.as_slice(), hold.better_count), (AgentId(2), &[AgentId(1)][..], 1));
        // .3 of 80 points against all of them, but for what each is needed for elsewhere: here nothing.
        assert!((hold.gain - 56.0).abs() < 1e-9 && hold.loss > 0.0 && hold.loss < hold.gain, "{hold:?}");
        assert!(hold.free_in > Duration::ZERO && hold.free_in < s(58));
        assert_eq!(hold.look_in, s(5));
        // Two seconds on, the item itself says the same, and who stands behind it is held with it.
        b.pass(2);
        b.enqueue(3, 1);
        for item in [2, 3] {
            let told = b.engine.explain(b.now, WorkItemId(item)).unwrap().hold.unwrap();
            assert_eq!((told.instead_of, told.better), (AgentId(2), vec![AgentId(1)]), "{item}");
            assert!(told.look_in <= s(5), "{item}");
        }
        assert_eq!(b.engine.explain(b.now, WorkItemId(2)).and_then(|told| told.hold).map(|h| h.look_in), Some(s(3)));
    }
}

/// An agent of two tenants: of each one's item it is told what waited of that tenant, as if nothing waited of the other.
#[test]
fn what_an_agent_of_two_tenants_is_offered_is_compared_within_the_items_tenant() {
    let other = TenantId(2);
    let setup = |foreign: u64| {
        let shared = AgentProfile { serves: vec![other], ..agent(1, &[(1, 0.9), (2, 0.5)]) };
        let theirs = QueueProfile { tenant: other, importance: 0.1, ..queue(2, &[(2, 0.1)]) };
        let more = QueueProfile { importance: 0.5, ..queue(3, &[(1, 0.2)]) };
        let mut b = Bench::new(vec![shared], vec![queue(1, &[(1, 0.4)]), theirs, more]);
        assert_eq!(b.engine.pause(b.now, AgentId(1), "tea"), Ok(()));
        for item in 0..foreign {
            b.enqueue(100 + item, 2);
        }
        b.pass(1);
        b.enqueue(1, 1);
        b.enqueue(2, 3);
        b.pass(1);
        assert_eq!(b.engine.resume(b.now, AgentId(1)), Ok(()));
        let reason = b.engine.reason(OfferId(1)).cloned().unwrap();
        (b.engine.offered(OfferId(1)), reason)
    };
    let alone = setup(0);
    assert_eq!((alone.0, alone.1.compared), (Some(WorkItemId(1)), 2));
    assert_eq!(alone.1.others.iter().map(|other| other.1).collect::<Vec<_>>(), [WorkItemId(2)]);
    for foreign in [1, 8] {
        assert_eq!(setup(foreign), alone, "{foreign} of the other tenant's wait");
    }
}
