//! Tones by meaning; their frequencies and cadences are a country's (`dsp::tone`).

/// A call-progress tone that we play (ITU-T E.182).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ToneKind {
    /// The called party is being rung.
    Ringback,
    /// The called party is busy.
    Busy,
    /// No path.
    Congestion,
    /// Dial now.
    Dial,
}

/// A tone that the far end sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HeardTone {
    /// Dial tone.
    Dial,
    /// The called party is being rung.
    Ringback,
    /// The called party is busy.
    Busy,
    /// No path.
    Congestion,
    /// The special information tone: an announcement follows that says why the call cannot be completed.
    Special(SpecialTone),
    /// A fax machine calls (CNG, ITU-T T.30).
    FaxCalling,
    /// A fax machine answers (CED, ITU-T T.30).
    FaxAnswer,
    /// A modem, or a fast fax machine, answers (ANSam, ITU-T V.8).
    ModemAnswer,
}

impl From<ToneKind> for HeardTone {
    fn from(kind: ToneKind) -> Self {
        match kind {
            ToneKind::Ringback => Self::Ringback,
            ToneKind::Busy => Self::Busy,
            ToneKind::Congestion => Self::Congestion,
            ToneKind::Dial => Self::Dial,
        }
    }
}

impl HeardTone {
    /// The stable name used in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dial => "dial",
            Self::Ringback => "ringback",
            Self::Busy => "busy",
            Self::Congestion => "congestion",
            Self::Special(SpecialTone::NoCircuit) => "special-no-circuit",
            Self::Special(SpecialTone::Reorder) => "special-reorder",
            Self::Special(SpecialTone::VacantCode) => "special-vacant-code",
            Self::Special(SpecialTone::Intercept) => "special-intercept",
            Self::Special(SpecialTone::Other) => "special",
            Self::FaxCalling => "fax-calling",
            Self::FaxAnswer => "fax-answer",
            Self::ModemAnswer => "modem-answer",
        }
    }
}

/// Who, or what, answered a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answerer {
    /// A person: a short greeting, then a pause.
    Human,
    /// A machine: a long greeting, a beep, a fax or modem tone.
    Machine,
    /// Nothing that tells.
    Unknown,
}

impl Answerer {
    /// The stable name used in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Machine => "machine",
            Self::Unknown => "unknown",
        }
    }
}

/// What North America's variants of the special information tone say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SpecialTone {
    /// No circuit is free.
    NoCircuit,
    /// A switch failed the call.
    Reorder,
    /// The number is not in use.
    VacantCode,
    /// The number was changed or is out of service.
    Intercept,
    /// The tone as ITU-T E.180 has it, which says no more.
    Other,
}
