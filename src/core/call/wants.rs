//! What a caller's contact asks of agents: what the call brings and what its flow found out, by the tenant's attributes.

use crate::base::{AgentId, CallId, Medium, Now, QueueId};
use crate::core::call::Call;
use crate::core::contact::{Attributes, Value};
use crate::core::journal::Direction;
use crate::core::queue::Entry;
use crate::core::switch::Switch;

impl Switch {
    /// A call's contact for a queue. Attributes of its flow that the tenant has count; one whose value cannot be is left out
    /// and noted in the record.
    pub(super) fn voice_entry(&mut self, now: Now, call: CallId, queue: QueueId) -> Entry {
        let mut entry = Entry::new(queue, Medium::Voice);
        let mut attributes = self.attributes_of(call);
        let mut left_out = vec![];
        let resolved = loop {
            match self.directory.resolve(queue, &attributes, &[]) {
                Ok(resolved) => break Some(resolved),
                Err(error) if attributes.remove(&error.attribute).is_some() => left_out.push(error.attribute),
                Err(_) => break None,
            }
        };
        if let Some(resolved) = resolved {
            entry.wants = resolved.wants;
            entry.traits = resolved.traits;
            entry.credit = resolved.credit;
        }
        let Some(c) = self.calls.get_mut(&call) else { return entry };
        for attribute in left_out {
            c.note(now, "attribute-refused", attribute);
        }
        let client = client_of(c).unwrap_or_default();
        entry.wants.extend(self.last_agent_wanted(now, queue, &client));
        entry
    }

    /// What the flow knows of the call, as far as the tenant has such attributes.
    pub(super) fn attributes_of(&self, call: CallId) -> Attributes {
        let Some(c) = self.calls.get(&call) else { return Attributes::new() };
        let Some((run, tenant)) = c.run.as_ref().zip(c.tenant) else { return Attributes::new() };
        let known = |(name, text): (&str, &str)| {
            let attribute = self.directory.attribute_by_name(tenant, name)?;
            Some((name.to_owned(), Value::parse(attribute.kind, text).ok()?))
        };
        run.attributes().filter_map(known).collect()
    }

    /// The caller met the agent: next time again, where the queue wants so, and nobody needs to call it back.
    pub(super) fn met(&mut self, now: Now, call: CallId, queue: QueueId, agent: AgentId) {
        let client = self.calls.get(&call).and_then(client_of);
        if let Some(client) = &client {
            self.remember_agent(now, queue, client, agent);
        }
        self.wish_settled(now, (queue, client.as_deref()), call);
    }
}

/// By what the client is known again: the number it calls from, or is called at. Who withholds it is nobody in particular.
pub(super) fn client_of(call: &Call) -> Option<String> {
    let number = if call.cdr.direction == Direction::Outbound { &call.cdr.to } else { &call.cdr.from };
    let number = number.as_str();
    (number.chars().filter(char::is_ascii_digit).count() >= DIGITS_MIN).then(|| number.to_owned())
}

/// Fewer digits are no number of a client's.
const DIGITS_MIN: usize = 3;
