//! Posture: what an agent has in hand, and what can be taken beside it.
//!
//! An agent's email slots are places for what is not live. A voicemail or a fax takes one of them where one is left, so that where
//! there are several an agent who is never without an email comes to voicemails as well, by the one order of all media; beside
//! it nothing more is taken. With one place it waits until the email is done: it interrupts nothing.

use crate::base::Medium;
use crate::core::contact::Slots;

/// What an agent who may take more has in hand. Whoever has a conversation, a voicemail or a fax may take nothing and has no
/// posture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub(super) struct Posture {
    /// No phone can be reached: nothing that is spoken can be taken.
    pub(super) deaf: bool,
    /// Emails in hand.
    pub(super) emails: u8,
    /// Chats in hand.
    pub(super) chats: u8,
}

impl Posture {
    /// From what is in hand; none when that leaves room for nothing else.
    pub(super) fn new(deaf: bool, in_hand: impl Iterator<Item = Medium>) -> Option<Self> {
        let mut posture = Self { deaf, ..Self::default() };
        for medium in in_hand {
            match medium {
                Medium::Chat => posture.chats = posture.chats.saturating_add(1),
                Medium::Email => posture.emails = posture.emails.saturating_add(1),
                Medium::Voice | Medium::Video | Medium::Voicemail | Medium::Fax => return None,
            }
        }
        Some(posture)
    }

    /// Nothing in hand.
    pub(super) fn is_idle(self) -> bool {
        self.emails == 0 && self.chats == 0
    }

    /// Whether an item of the medium can be taken as well.
    pub(super) fn takes(self, medium: Medium, slots: Slots) -> bool {
        let most = slots.of(medium);
        match medium {
            Medium::Voice | Medium::Video => most > 0 && self.chats == 0 && !self.deaf,
            Medium::Chat => self.chats < most,
            Medium::Email => self.chats == 0 && self.emails < most,
            Medium::Voicemail | Medium::Fax => {
                most > 0 && self.chats == 0 && self.emails < slots.of(Medium::Email).max(1)
            }
        }
    }

    /// How much is put aside or slowed down by taking an item of the medium, from 0: the best slot is the one with the
    /// least. `plenty` says that more agents are idle than are kept for those who want one alone: a chat then goes to
    /// an idle agent first, else to who has the fewest chats. An email is interrupted last; beside a chat it waits anyway.
    pub(super) fn burden(self, medium: Medium, slots: Slots, plenty: bool) -> u8 {
        let chats_max = slots.of(Medium::Chat);
        match medium {
            Medium::Chat if self.emails > 0 && self.chats == 0 => chats_max.saturating_add(1),
            Medium::Chat if plenty => self.chats,
            Medium::Chat if self.chats == 0 => chats_max,
            Medium::Chat => self.chats - 1,
            _ => self.emails,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posture(in_hand: &[Medium]) -> Option<Posture> {
        Posture::new(false, in_hand.iter().copied())
    }

    fn taken(in_hand: &[Medium]) -> Vec<&'static str> {
        let slots = Slots::default();
        let takes = |m: &Medium| posture(in_hand).is_some_and(|p| p.takes(*m, slots));
        Medium::ALL.into_iter().filter(takes).map(Medium::as_str).collect()
    }

    #[test]
    fn what_goes_with_what() {
        assert_eq!(taken(&[]), ["voice", "video", "chat", "email", "voicemail", "fax"]);
        assert_eq!(taken(&[Medium::Email]), ["voice", "video", "chat"]);
        assert_eq!(taken(&[Medium::Chat, Medium::Chat]), ["chat"]);
        assert_eq!(taken(&[Medium::Chat, Medium::Email]), ["chat"]);
        assert_eq!(taken(&[Medium::Chat; 3]), [""; 0]);
        for alone in [Medium::Voice, Medium::Video, Medium::Voicemail, Medium::Fax] {
            assert_eq!(taken(&[alone]), [""; 0]);
        }
        // With a place left beside an email, a voicemail is as welcome as another email, and costs as much.
        let two = Slots::default().with(Medium::Email, 2);
        for (in_hand, expected) in [(&[Medium::Email][..], true), (&[Medium::Email; 2], false)] {
            for medium in [Medium::Email, Medium::Voicemail, Medium::Fax] {
                assert_eq!(posture(in_hand).map(|p| p.takes(medium, two)), Some(expected), "{medium}");
                assert_eq!(posture(in_hand).map(|p| p.burden(medium, two, true)), Some(in_hand.len() as u8));
            }
        }
        let beside_chat = posture(&[Medium::Email, Medium::Chat]).map(|p| p.takes(Medium::Voicemail, two));
        assert_eq!(beside_chat, Some(false));
        let deaf = Posture { deaf: true, ..Posture::default() };
        assert!(!deaf.takes(Medium::Voice, Slots::default()) && deaf.takes(Medium::Email, Slots::default()));
    }

    #[test]
    fn the_best_slot_for_a_chat_depends_on_how_many_idle() {
        let hands: [&[Medium]; 5] =
            [&[], &[Medium::Chat], &[Medium::Chat, Medium::Chat], &[Medium::Email], &[Medium::Email, Medium::Chat]];
        let order = |plenty| {
            let mut by: Vec<usize> = (0..hands.len()).collect();
            by.sort_by_key(|&n| posture(hands[n]).map(|p| p.burden(Medium::Chat, Slots::default(), plenty)));
            by
        };
        // The email beside a chat waits already.
        assert_eq!(order(true), [0, 1, 4, 2, 3]);
        assert_eq!(order(false), [1, 4, 2, 0, 3]);
    }

    #[test]
    fn a_call_goes_to_the_idle_before_an_email_is_interrupted() {
        let burden = |in_hand| posture(in_hand).map(|p| p.burden(Medium::Voice, Slots::default(), true));
        assert!(burden(&[]) < burden(&[Medium::Email]));
    }
}
