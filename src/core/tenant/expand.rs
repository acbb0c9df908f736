//! `[[agent]] range = [a, b]`: one entry that stands for many agents.

use std::fmt;

use crate::base::Redacted;
use crate::core::tenant::provision::{Agent, Provision};

/// Most agents on one appliance.
pub const AGENTS_MAX: usize = 100_000;

/// The ranges of a provisioning stand for more than [`AGENTS_MAX`] agents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyAgents {
    /// How many there would be.
    pub agents: u64,
}

impl fmt::Display for TooManyAgents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} agents, at most {AGENTS_MAX} are possible", self.agents)
    }
}

impl std::error::Error for TooManyAgents {}

/// How many agents an entry stands for; 0 for a range whose end lies before its start.
pub fn count(agent: &Agent) -> u64 {
    match agent.range {
        None => 1,
        Some([first, last]) if first <= last => u64::from(last - first) + 1,
        Some(_) => 0,
    }
}

/// The single agents that an entry stands for, in order of their numbers. Unbounded but by the range itself.
pub fn agents(agent: &Agent) -> impl Iterator<Item = Agent> + '_ {
    let (first, count) = match agent.range {
        None => (0, 1),
        Some([first, _]) => (first, count(agent)),
    };
    (0..count).map(move |i| match agent.range {
        None => agent.clone(),
        Some(_) => single(agent, u64::from(first) + i),
    })
}

/// Turns every range into single agents.
///
/// # Errors
/// [`TooManyAgents`] when there would be more than [`AGENTS_MAX`]; the provisioning is then as before.
pub fn expand(provision: &mut Provision) -> Result<(), TooManyAgents> {
    let agents_total = provision.agent.iter().map(count).fold(0, u64::saturating_add);
    if agents_total > AGENTS_MAX as u64 {
        return Err(TooManyAgents { agents: agents_total });
    }
    if provision.agent.iter().any(|agent| agent.range.is_some()) {
        provision.agent = provision.agent.iter().flat_map(agents).collect();
    }
    Ok(())
}

fn single(agent: &Agent, number: u64) -> Agent {
    let fill = |text: &str| text.replace("{n}", &number.to_string());
    let fill_option = |text: &Option<String>| text.as_deref().map(fill);
    let fill_secret =
        |text: &Option<Redacted<String>>| text.as_ref().map(|secret| Redacted::new(fill(secret.expose())));
    Agent {
        tenant: agent.tenant.clone(),
        name: fill(&agent.name),
        range: None,
        site: agent.site.clone(),
        extension: fill_option(&agent.extension),
        phone: fill_option(&agent.phone),
        contact: fill_option(&agent.contact),
        user: fill_option(&agent.user),
        password: fill_secret(&agent.password),
        code: fill_option(&agent.code),
        pin: fill_secret(&agent.pin),
        skills: agent.skills.clone(),
        serves: agent.serves.clone(),
        backup: agent.backup.clone(),
        attributes: agent.attributes.clone(),
        modifier: agent.modifier.clone(),
        slots: agent.slots.clone(),
        signed_in: agent.signed_in,
        ring_s: agent.ring_s,
        wrap_up_s: agent.wrap_up_s,
        srtp: agent.srtp.clone(),
        srtp_keys: agent.srtp_keys.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Medium;
    use crate::core::contact::Value;
    use crate::core::tenant::provision::Serves;

    fn ranged(first: u32, last: u32) -> Agent {
        Agent {
            tenant: "acme".into(),
            name: "agent{n}".into(),
            range: Some([first, last]),
            site: None,
            extension: Some("4{n}".into()),
            phone: Some("+49{n}".into()),
            contact: Some("sip:agent{n}@127.0.0.3:5080".into()),
            user: Some("u{n}".into()),
            password: Some(Redacted::new("p{n}".into())),
            code: Some("7{n}".into()),
            pin: Some(Redacted::new("{n}{n}".into())),
            serves: vec![Serves { tenant: "beta".into(), skills: Default::default() }],
            skills: [("sales".to_string(), 0.5)].into(),
            backup: [("sales".to_string(), 20)].into(),
            attributes: [("language".to_string(), Value::Symbol("es".into()))].into(),
            modifier: Vec::new(),
            slots: [(Medium::Chat, 2)].into(),
            signed_in: true,
            ring_s: 20,
            wrap_up_s: 3,
            srtp: "off".into(),
            srtp_keys: "dtls".into(),
        }
    }

    #[test]
    fn a_range_becomes_single_agents() {
        let mut provision = Provision { agent: vec![ranged(9, 11)], ..Provision::default() };
        expand(&mut provision).expect("few agents");
        let names: Vec<&str> = provision.agent.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["agent9", "agent10", "agent11"]);
        let ten = &provision.agent[1];
        assert_eq!(ten.contact.as_deref(), Some("sip:agent10@127.0.0.3:5080"));
        assert_eq!(ten.user.as_deref(), Some("u10"));
        assert_eq!(ten.code.as_deref(), Some("710"));
        assert_eq!((ten.extension.as_deref(), ten.phone.as_deref()), (Some("410"), Some("+4910")));
        assert_eq!(ten.password.as_ref().map(|p| p.expose().as_str()), Some("p10"));
        assert_eq!(ten.pin.as_ref().map(|p| p.expose().as_str()), Some("1010"));
        assert_eq!((ten.range, ten.signed_in, ten.wrap_up_s), (None, true, 3));
        let entry = ranged(9, 11);
        assert_eq!((&ten.backup, &ten.attributes, &ten.slots), (&entry.backup, &entry.attributes, &entry.slots));
        let before = provision.clone();
        expand(&mut provision).expect("nothing left to expand");
        assert_eq!(provision, before);
    }

    #[test]
    fn too_many_agents_change_nothing() {
        let mut provision = Provision { agent: vec![ranged(0, 99_999), ranged(5, 5)], ..Provision::default() };
        let before = provision.clone();
        assert_eq!(expand(&mut provision), Err(TooManyAgents { agents: 100_001 }));
        assert_eq!(provision, before);
        let mut widest = Provision { agent: vec![ranged(0, u32::MAX); 3], ..Provision::default() };
        assert_eq!(expand(&mut widest), Err(TooManyAgents { agents: 3 << 32 }));
    }

    #[test]
    fn a_range_that_runs_backwards_is_nobody() {
        assert_eq!(count(&ranged(2, 1)), 0);
        assert_eq!(agents(&ranged(2, 1)).count(), 0);
    }
}
