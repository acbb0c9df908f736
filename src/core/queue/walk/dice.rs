//! What the walk draws.

use super::AGENTS;
use crate::base::{AgentId, Medium, TraitId};
use crate::core::contact::{Level, Mode, Schedule, Step, Want};

/// SplitMix64: small, and the same everywhere.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = self.below(from.len().max(1) as u64) as usize;
        from.get(at).copied()
    }

    pub(super) fn level(&mut self) -> f64 {
        [0.2, 0.5, 0.8, 1.0][self.below(4) as usize]
    }

    pub(super) fn want(&mut self) -> Want {
        let mode = [Mode::Required, Mode::Preferred, Mode::Forbidden][self.below(3) as usize];
        let mut steps = vec![Step { after_s: 0, level: Level::new(self.level()), importance: 50 }];
        if self.below(2) == 0 {
            let importance = [0, 100][self.below(2) as usize];
            steps.push(Step { after_s: 5 + self.below(40) as u32, level: Level::new(self.level()), importance });
        }
        let schedule = Schedule::new(steps).unwrap();
        // Now and then somebody is meant in person.
        let somebody = TraitId::of_agent(AgentId(self.below(AGENTS) as u32));
        let what = if self.below(6) == 0 { somebody } else { TraitId(self.below(3) as u32) };
        Want { what, mode, schedule }
    }

    pub(super) fn medium(&mut self) -> Medium {
        use Medium::{Chat, Email, Fax, Video, Voice, Voicemail};
        [Voice, Voice, Voice, Chat, Chat, Email, Video, Voicemail, Fax][self.below(9) as usize]
    }
}
