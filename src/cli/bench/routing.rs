//! What a match costs: an engine with so many items and agents, and the time of each decision.
//!
//! There are 50 skills. An agent has eight of them, at levels by chance; an item requires two and prefers two others. Nearly
//! all agents talk, so nearly everything that comes waits; then one agent after the other gets free, takes the best item, and
//! a new one comes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::base::{AgentId, Medium, Now, QueueId, TenantId, TraitId, WorkItemId};
use crate::core::contact::{Level, Mode, Schedule, Slots, Want};
use crate::core::queue::{AgentProfile, Engine, Entry, Output, QueueProfile};

const QUEUES: u32 = 10;
const SKILLS: u64 = 50;
const SKILLS_OF_AGENT: usize = 8;

fn queues() -> Vec<QueueProfile> {
    let queue = |id| QueueProfile {
        id: QueueId(id),
        tenant: TenantId(1),
        wants: vec![],
        importance: 1.0,
        targets: [Duration::from_secs(10 + u64::from(id)); 6],
        overflow_after: Some(Duration::from_secs(36_000)),
        escalate_after: None,
        waiting_max: 0,
        announce_every: Some(Duration::from_secs(30)),
    };
    (0..QUEUES).map(queue).collect()
}

/// A centre in which as good as every agent talks and every other item waits.
pub struct Centre {
    engine: Engine,
    now: Now,
    item_last: u64,
    dice: u64,
    talking: VecDeque<WorkItemId>,
}

impl Centre {
    /// A centre with so many agents, nearly all of whom talk: of a hundred items that come, ninety wait.
    pub fn new(agents: u32) -> Self {
        let mut centre = Self::empty();
        let profiles = (0..agents).map(|id| centre.agent(id)).collect();
        centre.open(profiles);
        loop {
            let before = centre.waiting();
            (0..100).for_each(|_| centre.come());
            if centre.waiting() >= before + 90 {
                return centre;
            }
        }
    }

    /// What a change of provisioning takes with so many items waiting: where nobody is free, and where all agents are
    /// free and it gives them the skills that they lacked, so that all meet at once.
    ///
    /// Of each the time of the change itself, and of the longest piece of what follows from it.
    pub fn provisioned(agents: u32, waiting: usize) -> [[Duration; 2]; 2] {
        let mut centre = Self::empty();
        let skilled: Vec<AgentProfile> = (0..agents).map(|id| centre.agent(id)).collect();
        let unskilled = skilled.iter().map(|agent| AgentProfile { traits: vec![], ..agent.clone() });
        centre.open(unskilled.clone().collect());
        centre.fill(waiting);
        [unskilled.collect(), skilled].map(|profiles| {
            let began = Instant::now();
            centre.engine.provision(centre.now, vec![], profiles, queues());
            let at_first = began.elapsed();
            let mut piece_max = Duration::ZERO;
            while centre.engine.poll_timeout().is_some_and(|at| at <= centre.now.mono) {
                centre.answer();
                let began = Instant::now();
                centre.engine.handle_timeout(centre.now);
                piece_max = piece_max.max(began.elapsed());
            }
            centre.answer();
            [at_first, piece_max]
        })
    }

    fn empty() -> Self {
        let (engine, now) = (Engine::new(1_000_000), Now::default());
        Self { engine, now, item_last: 0, dice: 1, talking: VecDeque::new() }
    }

    /// Agents with these profiles come and are free.
    fn open(&mut self, profiles: Vec<AgentProfile>) {
        let ids: Vec<AgentId> = profiles.iter().map(|profile| profile.id).collect();
        self.engine.provision(self.now, vec![], profiles, queues());
        for id in ids {
            self.engine.set_reachable(self.now, id, true);
            // The agent is provisioned, so there is nothing to refuse.
            let _ = self.engine.sign_in(self.now, id);
        }
    }

    /// Items come until so many wait; agents who were still free take others. Gives how many came.
    pub fn fill(&mut self, waiting: usize) -> usize {
        let before = self.item_last;
        // Counting takes as long as there are items, so as many come at once as are missing.
        loop {
            match waiting.saturating_sub(self.waiting()) {
                0 => break,
                missing => (0..missing).for_each(|_| self.come()),
            }
        }
        usize::try_from(self.item_last - before).unwrap_or(usize::MAX)
    }

    /// Items that wait.
    pub fn waiting(&self) -> usize {
        self.engine.counters().waiting
    }

    /// An agent gets free and takes what is best, and an item comes. Gives the time of both decisions.
    pub fn turn(&mut self) -> [Duration; 2] {
        let Some(item) = self.talking.pop_front() else { return [Duration::ZERO; 2] };
        let began = Instant::now();
        self.engine.finished(self.now, item);
        let freed = began.elapsed();
        self.answer();
        let (item, entry) = self.next();
        let began = Instant::now();
        let taken = self.engine.enqueue(self.now, item, entry);
        let came = began.elapsed();
        debug_assert!(taken.is_ok(), "the bound is far away");
        self.answer();
        [freed, came]
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % below
    }

    fn skills(&mut self, count: usize) -> Vec<TraitId> {
        let mut skills = vec![];
        while skills.len() < count {
            let skill = TraitId(u32::try_from(self.draw(SKILLS)).unwrap_or(0));
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
            serves: vec![],
            traits,
            minds: vec![],
            slots: Slots::default(),
            ring: Duration::from_secs(20),
            wrap_up: Duration::ZERO,
        }
    }

    fn next(&mut self) -> (WorkItemId, Entry) {
        let modes = [Mode::Required, Mode::Required, Mode::Preferred, Mode::Preferred];
        let want = |(what, mode)| {
            let least = if mode == Mode::Required { 0.25 } else { 1.0 };
            Want { what, mode, schedule: Schedule::constant(Level::new(least), 50) }
        };
        let wants = self.skills(modes.len()).into_iter().zip(modes).map(want).collect();
        self.now = self.now.after(Duration::from_millis(1));
        self.item_last += 1;
        let queue = QueueId(u32::try_from(self.item_last % u64::from(QUEUES)).unwrap_or(0));
        (WorkItemId(self.item_last), Entry { wants, ..Entry::new(queue, Medium::Voice) })
    }

    fn come(&mut self) {
        let (item, entry) = self.next();
        let taken = self.engine.enqueue(self.now, item, entry);
        debug_assert!(taken.is_ok(), "the bound is far away");
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
}
