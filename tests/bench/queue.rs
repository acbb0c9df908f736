//! What one match costs: an agent gets free, the most urgent item that fits is found, offered and answered, and a new
//! item comes; with so many items waiting and so many agents. `cargo bench --bench queue`

use std::time::Duration;

use cordboard::base::{AgentId, Now, QueueId, SkillId, TenantId, WorkItemId};
use cordboard::core::queue::{AgentProfile, Engine, Output, QueueProfile};

const QUEUES: u32 = 50;
const SKILLS: u32 = 20;

fn main() {
    divan::main();
}

/// A centre in which every agent talks and every other item waits.
struct Centre {
    engine: Engine,
    now: Now,
    item_last: u64,
    agents: u32,
    turn: u32,
}

impl Centre {
    fn new(items: u64, agents: u32) -> Self {
        let profiles = (0..agents).map(|id| AgentProfile {
            id: AgentId(id),
            tenant: TenantId(1),
            skills: (0..4).map(|n| (SkillId((id + n * 7) % SKILLS), 0.4 + 0.2 * n as f32)).collect(),
            ring: Duration::from_secs(20),
            wrap_up: Duration::ZERO,
        });
        let queues = (0..QUEUES).map(|id| QueueProfile {
            id: QueueId(id),
            tenant: TenantId(1),
            needs: vec![(SkillId(id % SKILLS), 0.2 * (id / SKILLS) as f32)],
            target: Duration::from_secs(10 + u64::from(id)),
            overflow_after: Some(Duration::from_secs(3_600)),
            waiting_max: 0,
            announce_every: Some(Duration::from_secs(30)),
        });
        let mut engine = Engine::new(1_000_000);
        let now = Now::default();
        engine.provision(now, profiles.collect(), queues.collect());
        for id in 0..agents {
            engine.set_reachable(now, AgentId(id), true);
            let _ = engine.sign_in(now, AgentId(id));
        }
        let mut centre = Self { engine, now, item_last: 0, agents, turn: 0 };
        while centre.engine.counters().waiting < items as usize {
            for _ in 0..100 {
                centre.come();
            }
        }
        centre
    }

    fn come(&mut self) {
        self.now = self.now.after(Duration::from_millis(1));
        self.item_last += 1;
        let queue = QueueId((self.item_last % u64::from(QUEUES)) as u32);
        let _ = self.engine.enqueue(self.now, WorkItemId(self.item_last), queue);
        self.answer();
    }

    fn answer(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            if let Output::Offer { offer, .. } = output {
                self.engine.accepted(self.now, offer);
            }
        }
    }

    fn cycle(&mut self) {
        self.turn = (self.turn + 7_919) % self.agents;
        self.engine.finished(self.now, AgentId(self.turn));
        self.answer();
        self.come();
    }
}

#[divan::bench(args = [(1_000, 100), (10_000, 100), (100_000, 100), (1_000, 1_000), (10_000, 1_000), (100_000, 1_000),
    (1_000, 10_000), (10_000, 10_000), (100_000, 10_000)], sample_count = 50, sample_size = 100)]
fn free_agent_to_next_item(bencher: divan::Bencher, (items, agents): (u64, u32)) {
    let mut centre = Centre::new(items, agents);
    bencher.bench_local(|| centre.cycle());
    assert_eq!(centre.engine.counters().double_offers, 0);
}
