//! Facts, events and messages in a few words.

use cordboard::core::journal::Change;
use cordboard::core::media::MediaEvent;

pub fn of_change(change: &Change) -> String {
    match change {
        Change::CallStarted { .. } => "the call began".into(),
        Change::CallChanged { .. } => "the call went on".into(),
        Change::CallEnded { .. } => "the call ended".into(),
        Change::AgentChanged { agent, status, .. } => format!("agent {agent} is {status:?}"),
        Change::AgentSeated { agent, .. } => format!("agent {agent} sits elsewhere"),
        Change::ClientMet { met } => format!("the caller has met {}", met.agent),
        Change::Provisioned { .. }
        | Change::WorkChanged { .. }
        | Change::Learned { .. }
        | Change::Audited { .. }
        | Change::Registered { .. } => "not of this call".into(),
    }
}

pub fn of_event(event: &MediaEvent) -> String {
    match event {
        MediaEvent::Sockets(ports) => format!("Sockets(..{} of them..)", ports.len()),
        event => format!("{event:?}"),
    }
}

pub fn first_line(message: &[u8]) -> &str {
    let line = message.split(|octet| *octet == b'\r').next().unwrap_or_default();
    std::str::from_utf8(line).unwrap_or("not text")
}
