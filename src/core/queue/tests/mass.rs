//! Mass events, held against a solver of assignments.

use super::*;

/// Many agents and items at once: what the engine makes of it, and the best that could have been made of it.
fn mass(seed: u64) -> (f64, f64) {
    let mut dice = seed;
    let mut draw = |below: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % below
    };
    let skills: Vec<Vec<(u32, f64)>> =
        (0..40).map(|_| (0..4).map(|_| (draw(8) as u32, 0.25 * (1 + draw(4)) as f64)).collect()).collect();
    let agents = |skilled: bool| {
        let of = |(id, skills): (usize, &Vec<(u32, f64)>)| agent(id as u32, if skilled { skills } else { &[] });
        skills.iter().enumerate().map(of).collect::<Vec<_>>()
    };
    let queues = || (0..8).map(|n| queue(n, &[(n, 0.25)])).collect::<Vec<_>>();
    let mut b = Bench::new(agents(false), queues());
    let entries: Vec<Entry> = (0..50).map(|_| Entry { waited: s(draw(20)), ..voice(draw(8) as u32) }).collect();
    for (n, entry) in entries.iter().enumerate() {
        b.add(n as u64, entry.clone());
    }
    b.outputs();
    // Another engine with the same agents says what each pair is worth.
    let mut rows = vec![];
    let judge = Bench::new(agents(true), queues());
    b.now = judge.now;
    for entry in &entries {
        let mut row = vec![0_i64; skills.len()];
        for candidate in judge.engine.consider(judge.now, entry).unwrap().candidates {
            if let Verdict::Scores(terms) = candidate.verdict {
                row[candidate.agent.0 as usize] = (terms.total() * 1_000.0) as i64;
            }
        }
        rows.push(row);
    }
    b.engine.provision(b.now, vec![], agents(true), queues());
    let offers = b.outputs();
    let made = offers.iter().filter_map(|output| match output {
        Output::Offer { offer, .. } => b.engine.reason(*offer).map(|reason| reason.terms.total()),
        _ => None,
    });
    let made = made.sum();
    // The solver wants no more rows than columns.
    let columns: Vec<Vec<i64>> = (0..skills.len()).map(|a| rows.iter().map(|row| row[a]).collect()).collect();
    let matrix = pathfinding::matrix::Matrix::from_rows(columns).unwrap();
    let (best, _) = pathfinding::kuhn_munkres::kuhn_munkres(&matrix);
    (made, best as f64 / 1_000.0)
}

#[test]
fn what_is_matched_at_once_is_within_half_a_percent_of_the_best_assignment() {
    let (mut made, mut best) = (0.0, 0.0);
    for seed in 1..=20 {
        let (one, most) = mass(seed);
        println!("seed {seed}: {one:.1} of {most:.1}");
        assert!(one <= most + 0.1, "seed {seed}: nothing is better than the best");
        assert!(one >= 0.985 * most, "seed {seed}: {one} of {most}");
        made += one;
        best += most;
    }
    assert!(made >= 0.995 * best, "{made} of {best}");
}

#[test]
fn what_is_too_much_for_one_go_is_matched_in_pieces_and_all_of_it() {
    let agents = |skilled: bool| {
        let of = |id: u32| {
            let skills = if skilled { vec![(id % 7, 1.0)] } else { vec![] };
            AgentProfile { tenant: TenantId(1 + id % 3), ..agent(id, &skills) }
        };
        (0..600_u32).map(of).collect::<Vec<_>>()
    };
    let queues = || {
        let of = |id: u32| QueueProfile { tenant: TenantId(1 + id % 3), ..queue(id, &[(id / 3, 0.5)]) };
        (0..21).map(of).collect::<Vec<_>>()
    };
    let mut b = Bench::new(agents(false), queues());
    b.engine.waiting_max = 10_000;
    for n in 0..3_000_u64 {
        b.engine.enqueue(b.now, WorkItemId(n), Entry { waited: s(n % 50), ..voice((n % 21) as u32) }).unwrap();
    }
    let offers = |b: &mut Bench| b.outputs().iter().filter(|output| matches!(output, Output::Offer { .. })).count();
    assert_eq!(offers(&mut b), 0);
    b.engine.provision(b.now, vec![], agents(true), queues());
    let (mut made, mut pieces) = (offers(&mut b), 0);
    assert!(made < 600, "not all at once: {made}");
    // Meanwhile the rest goes on: an item leaves that was to be looked at, another one comes, and an agent goes.
    assert!((0..3_000).any(|n| b.engine.leave(b.now, WorkItemId(n))));
    b.engine.enqueue(b.now, WorkItemId(9_999), voice(4)).unwrap();
    let pausing = (0..600).map(AgentId).find(|id| b.engine.agent(*id).is_some_and(|a| a.offer.is_none()));
    b.engine.pause(b.now, pausing.unwrap(), "tea").unwrap();
    while b.engine.poll_timeout().is_some_and(|at| at <= b.now.mono) {
        b.engine.handle_timeout(b.now);
        made += offers(&mut b);
        pieces += 1;
        assert!(pieces < 10_000, "it comes to an end");
    }
    // Each skill has agents of each tenant, and items enough for all.
    let busy = b.engine.agents().filter(|agent| agent.offer.is_some()).count();
    assert_eq!(busy, 599, "{made} offers in {pieces} pieces");
    assert!(pieces > 3);
    b.engine.check_invariants();
}
