//! A checked flow: its steps, and what they refer to outside of it.

/// What an `agent` step does for the agent on the phone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AgentAction {
    /// Starts to take work.
    SignIn,
    /// Stops to take work for the day.
    SignOut,
    /// Stops to take work for a while.
    Pause,
    /// Ends a pause.
    Resume,
}

/// What kind of thing outside of the flow a [`Reference`] names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReferenceKind {
    /// A queue of the tenant.
    Queue,
    /// A prompt.
    Prompt,
    /// A number that a transfer dials.
    Number,
}

/// A name in a flow that means something outside of it. Names with `{attribute}` in them are known only at run time
/// and are no references.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reference {
    /// What it names.
    pub kind: ReferenceKind,
    /// The name.
    pub name: String,
    /// Line of the name in the flow's text, from 1.
    pub line: u32,
    /// Column of the name in characters, from 1.
    pub column: u32,
}

/// A checked flow.
#[derive(Clone, PartialEq, Debug)]
pub struct Flow {
    pub(super) references: Vec<Reference>,
}

impl Flow {
    /// The queues, prompts and numbers that the flow names, in the order of the text.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }
}
