//! Orders to agents pour in while calls flow: nobody is ever offered two calls.

use std::time::Duration;

use cordboard::core::control::{Command, Query};
use cordboard::edge::clock::wall;
use cordboard::edge::console::Request;

use crate::phone::{Habit, Phone, State};
use crate::site::{Site, agent, during, enqueue, flow, queue, until};

const AGENTS: u64 = 3;

#[test]
fn no_agent_gets_two_offers_however_orders_and_calls_cross() {
    let mut seed = wall().0.unsigned_abs() | 1;
    println!("seed {seed}");
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let site = Site::new();
    let mut more = flow("300", "help", &enqueue("help")) + &queue("help", "overflow_after_s = 20");
    for n in 0..AGENTS {
        more += &agent(&format!("a{n}"), "signed_in = true\nring_s = 1");
    }
    let live = site.start(&more);
    let mut phones: Vec<Phone> =
        (0..AGENTS).map(|n| Phone::new(site.office(), site.server(), &format!("a{n}"), 100 + n).register()).collect();
    let mut load = Phone::new(site.carrier(), site.server(), "load", 1);
    let mut calls = 0;
    let mut most_at_once = 0;
    let mut turn = |load: &mut Phone, phones: &mut [Phone]| {
        load.step();
        load.talk = None;
        for phone in phones.iter_mut() {
            phone.habit = match random(10) {
                0 => Habit::Refuse(486),
                1 => Habit::Ring,
                _ => Habit::PickUp,
            };
            phone.step();
            phone.talk = None;
            // What rings and talks at this phone now.
            let busy = phone.calls.values().filter(|s| matches!(s, State::Ringing | State::Up)).count();
            most_at_once = most_at_once.max(busy);
        }
        let up: Vec<_> = load.calls.iter().filter(|(_, s)| **s == State::Up).map(|(id, _)| *id).collect();
        for session in up {
            if random(20) == 0 {
                load.hang_up(session);
            }
        }
        let (tenant, agent) = ("acme".to_owned(), format!("a{}", random(AGENTS)));
        let order = match random(6) {
            0 => Command::SignIn { tenant, agent },
            1 => Command::SignOut { tenant, agent },
            2 => Command::Pause { tenant, agent, reason: "hammer".into() },
            _ => Command::Resume { tenant, agent },
        };
        // Many are refused: one cannot resume who is signed out.
        drop(live.0.ask(Request::Command(order)));
    };
    during(Duration::from_secs(8), || {
        if calls < 400 {
            calls += 1;
            load.call_as(&format!("c{calls}"), "300", false);
        }
        turn(&mut load, &mut phones);
    });
    let sessions: Vec<_> = load.calls.iter().filter(|(_, s)| **s == State::Up).map(|(id, _)| *id).collect();
    sessions.into_iter().for_each(|s| load.hang_up(s));
    until("all calls are over", || {
        load.step();
        phones.iter_mut().for_each(Phone::step);
        let up: Vec<_> = load.calls.iter().filter(|(_, s)| **s == State::Up).map(|(id, _)| *id).collect();
        up.into_iter().for_each(|s| load.hang_up(s));
        live.status().calls == 0
    });
    let status = live.status();
    println!("{calls} calls, {} offers, {} answered", status.offers, status.answered);
    assert_eq!((status.double_offers, status.waiting), (0, 0), "{status:?}");
    assert_eq!(status.offered, calls);
    assert!(most_at_once <= 1, "a phone had {most_at_once} calls at once");
    assert!(status.answered > 5, "too little went through: {status:?}");
    assert!(live.0.ask(Request::Query(Query::Queues)).is_some());
    live.stop();
    assert_eq!(site.cdrs().iter().filter(|c| c.ended_at.is_some()).count() as u64, calls);
}
