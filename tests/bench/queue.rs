//! What one match costs: an agent gets free, the best item that fits is found, offered and answered, and a new item comes; with
//! so many items waiting and so many agents, 50 skills, and four of them wanted of each item. `cargo bench --bench queue`

use std::collections::VecDeque;
use std::time::Duration;

use cordboard::base::{AgentId, Medium, Now, QueueId, TenantId, TraitId, WorkItemId};
use cordboard::core::contact::{Level, Mode, Schedule, Slots, Want};
use cordboard::core::queue::{AgentProfile, Engine, Entry, Output, QueueProfile};

const QUEUES: u32 = 10;
const SKILLS: u64 = 50;
const SKILLS_OF_AGENT: usize = 8;

fn main() {
    divan::main();
}

/// A centre in which every agent talks and every other item waits.
struct Centre {
    engine: Engine,
    now: Now,
    item_last: u64,
    dice: u64,
    talking: VecDeque<WorkItemId>,
}

impl Centre {
    fn new(items: usize, agents: u32) -> Self {
        let mut centre = Self {
            engine: Engine::new(1_000_000),
            now: Now::default(),
            item_last: 0,
            dice: 1,
            talking: VecDeque::new(),
        };
        let queues = (0..QUEUES).map(|id| QueueProfile {
            id: QueueId(id),
            tenant: TenantId(1),
            wants: vec![],
            importance: 1.0,
            targets: [Duration::from_secs(10 + u64::from(id)); 6],
            overflow_after: Some(Duration::from_secs(36_000)),
            escalate_after: None,
            waiting_max: 0,
            announce_every: Some(Duration::from_secs(30)),
        });
        let profiles = (0..agents).map(|id| centre.agent(id)).collect();
        centre.engine.provision(centre.now, vec![], profiles, queues.collect());
        for id in 0..agents {
            centre.engine.set_reachable(centre.now, AgentId(id), true);
            let _ = centre.engine.sign_in(centre.now, AgentId(id));
        }
        while centre.engine.counters().waiting < items {
            for _ in 0..100 {
                centre.come();
            }
        }
        centre
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % below
    }

    fn skills(&mut self, count: usize) -> Vec<TraitId> {
        let mut skills = vec![];
        while skills.len() < count {
            let skill = TraitId(self.draw(SKILLS) as u32);
            if !skills.contains(&skill) {
                skills.push(skill);
            }
        }
        skills
    }

    fn agent(&mut self, id: u32) -> AgentProfile {
        let skills = self.skills(SKILLS_OF_AGENT);
        let traits = skills.into_iter().map(|skill| (skill, Level::new(0.25 * (1 + self.draw(4)) as f64))).collect();
        AgentProfile {
            id: AgentId(id),
            tenant: TenantId(1),
            traits,
            minds: vec![],
            slots: Slots::default(),
            ring: Duration::from_secs(20),
            wrap_up: Duration::ZERO,
        }
    }

    /// Two attributes are required, two preferred.
    fn wants(&mut self) -> Vec<Want> {
        let modes = [Mode::Required, Mode::Required, Mode::Preferred, Mode::Preferred];
        let skills = self.skills(modes.len());
        let want = |(what, mode)| {
            let least = if mode == Mode::Required { 0.25 } else { 1.0 };
            Want { what, mode, schedule: Schedule::constant(Level::new(least), 50) }
        };
        skills.into_iter().zip(modes).map(want).collect()
    }

    fn come(&mut self) {
        self.now = self.now.after(Duration::from_millis(1));
        self.item_last += 1;
        let queue = QueueId((self.item_last % u64::from(QUEUES)) as u32);
        let entry = Entry { wants: self.wants(), ..Entry::new(queue, Medium::Voice) };
        let _ = self.engine.enqueue(self.now, WorkItemId(self.item_last), entry);
        self.answer();
    }

    fn answer(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            if let Output::Offer { offer, item, .. } = output
                && self.engine.accepted(self.now, offer)
            {
                self.talking.push_back(item);
            }
        }
    }

    fn cycle(&mut self) {
        if let Some(item) = self.talking.pop_front() {
            self.engine.finished(self.now, item);
        }
        self.answer();
        self.come();
    }
}

#[divan::bench(args = [(1_000, 100), (10_000, 100), (100_000, 100), (1_000, 1_000), (10_000, 1_000), (100_000, 1_000),
    (1_000, 10_000), (10_000, 10_000), (100_000, 10_000)], sample_count = 50, sample_size = 100)]
fn free_agent_to_next_item(bencher: divan::Bencher, (items, agents): (usize, u32)) {
    let mut centre = Centre::new(items, agents);
    bencher.bench_local(|| centre.cycle());
    assert_eq!(centre.engine.counters().double_offers, 0);
}
