//! Ground floor: identifiers, units, time, numbers, causes. Imports nothing of ours.

pub mod bound;
pub mod cause;
pub mod codec;
pub mod erlang;
pub mod id;
pub mod lognormal;
pub mod medium;
pub mod number;
pub mod redact;
pub mod source;
pub mod spare;
pub mod time;
pub mod tone;
pub mod trace;

pub use bound::Bound;
pub use cause::Cause;
pub use codec::{Codec, Law};
pub use id::*;
pub use medium::{Medium, NoMedium};
pub use number::DialString;
pub use redact::Redacted;
pub use source::Source;
pub use spare::GiveBack;
pub use time::{Instant, Now, Timestamp};
pub use tone::{Answerer, HeardTone, SpecialTone, ToneKind};
pub use trace::Trace;
