//! Call-progress tones by meaning; their frequencies and cadences are a country's (`dsp::tone`).

/// A call-progress tone (ITU-T E.182).
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
