//! Media: the kinds of contact that a client can make.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kind of a contact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    /// A telephone call.
    Voice,
    /// A call with pictures.
    Video,
    /// Messages back and forth while both sides are there.
    Chat,
    /// A letter that is answered when there is time.
    Email,
    /// A message that a caller left.
    Voicemail,
    /// A fax.
    Fax,
}

impl Medium {
    /// All of them.
    pub const ALL: [Medium; 6] =
        [Medium::Voice, Medium::Video, Medium::Chat, Medium::Email, Medium::Voicemail, Medium::Fax];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Video => "video",
            Self::Chat => "chat",
            Self::Email => "email",
            Self::Voicemail => "voicemail",
            Self::Fax => "fax",
        }
    }

    /// Whether the client is there and waits: what is not live can be put aside for what is.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Voice | Self::Video | Self::Chat)
    }

    /// Whether it needs a telephone.
    pub const fn is_spoken(self) -> bool {
        matches!(self, Self::Voice | Self::Video)
    }

    /// Whether whoever handles one handles nothing beside it.
    pub const fn is_alone(self) -> bool {
        matches!(self, Self::Voice | Self::Video | Self::Voicemail | Self::Fax)
    }

    /// Its place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is no [`Medium`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMedium;

impl fmt::Display for NoMedium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected voice, video, chat, email, voicemail or fax")
    }
}

impl std::error::Error for NoMedium {}

impl FromStr for Medium {
    type Err = NoMedium;

    fn from_str(text: &str) -> Result<Self, NoMedium> {
        Self::ALL.into_iter().find(|medium| medium.as_str() == text).ok_or(NoMedium)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_places_are_their_own() {
        for (n, medium) in Medium::ALL.into_iter().enumerate() {
            assert_eq!(medium.as_str().parse(), Ok(medium));
            assert_eq!(medium.index(), n);
        }
        assert_eq!("Voice".parse::<Medium>(), Err(NoMedium));
    }
}
