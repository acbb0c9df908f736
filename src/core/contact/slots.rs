//! Slots: how many contacts of each medium an agent takes at once, and which go together.

use crate::base::Medium;

/// Most slots of one medium.
pub const SLOTS_MAX: u8 = 20;

/// An agent's capacity, by medium.
///
/// Voice and video are exclusive with each other and with chat. Email waits aside while a live medium is on. Voicemail and
/// fax are taken by who has nothing else, or by who has a place left among several emails, and are not interrupted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slots([u8; Medium::ALL.len()]);

impl Default for Slots {
    fn default() -> Self {
        Self::NONE
            .with(Medium::Voice, 1)
            .with(Medium::Video, 1)
            .with(Medium::Chat, 3)
            .with(Medium::Email, 1)
            .with(Medium::Voicemail, 1)
            .with(Medium::Fax, 1)
    }
}

impl Slots {
    /// None at all.
    pub const NONE: Slots = Slots([0; Medium::ALL.len()]);

    /// The same with another number of slots for a medium, at most [`SLOTS_MAX`]; of voice and video at most one.
    #[must_use]
    pub fn with(mut self, medium: Medium, slots: u8) -> Self {
        if let Some(own) = self.0.get_mut(medium.index()) {
            *own = slots.min(if medium.is_spoken() { 1 } else { SLOTS_MAX });
        }
        self
    }

    /// Slots for a medium.
    pub fn of(self, medium: Medium) -> u8 {
        self.0.get(medium.index()).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_medium_has_its_number_within_the_bound() {
        let slots = Slots::default().with(Medium::Chat, 200).with(Medium::Voice, 9);
        assert_eq!(slots.of(Medium::Chat), SLOTS_MAX);
        assert_eq!(slots.of(Medium::Voice), 1);
        assert_eq!(Slots::NONE.of(Medium::Email), 0);
    }
}
