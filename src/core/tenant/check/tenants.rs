//! Tenants and what is theirs.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Checker, Problem};
use crate::base::DialString;
use crate::core::ivr::{self, Reference, ReferenceKind};
use crate::core::tenant::address;
use crate::core::tenant::expand::{self, AGENTS_MAX};
use crate::core::tenant::provision::{Agent, Flow, Queue};

/// Most digits of a code or PIN.
const DIGITS_MAX: usize = 16;

/// Folder of the prompts that every appliance has.
const BUILT_IN_PROMPTS: &str = "en";

/// A day in seconds: longer times are slips.
pub(super) const DAY_S: u32 = 86_400;

impl<'p> Checker<'p> {
    pub(super) fn tenants(&mut self) {
        let provision = self.provision;
        let mut names = HashSet::new();
        for (index, tenant) in provision.tenant.iter().enumerate() {
            self.enter(index, tenant);
            self.name("name", &tenant.name);
            self.unique(&mut names, "name", tenant.name.as_str(), &tenant.name);
            // A folder of prompts with a tenant's name is that tenant's alone.
            if tenant.name == BUILT_IN_PROMPTS {
                self.problem(
                    "name",
                    format!("{:?} is the folder of the built-in prompts", tenant.name),
                    "another name",
                );
            }
            if let Some(country) = &tenant.country {
                self.country(country);
            }
            self.timezone(&tenant.timezone);
            if !address::is_language(&tenant.language) {
                self.problem("language", format!("`language` is {:?}", tenant.language), "a language, as en");
            }
            self.routing(tenant);
            self.contract(tenant);
            self.main_number(tenant);
        }
        let mut names = HashSet::new();
        for (index, site) in provision.site.iter().enumerate() {
            self.enter(index, site);
            self.name("name", &site.name);
            self.unique(&mut names, "name", site.name.as_str(), &site.name);
            self.timezone(&site.timezone);
            self.site(site);
        }
        let mut names = HashSet::new();
        for (index, skill) in provision.skill.iter().enumerate() {
            self.enter(index, skill);
            self.tenant_exists(&skill.tenant);
            self.attribute_name(&mut names, &skill.tenant, &skill.name);
        }
        for (index, attribute) in provision.attribute.iter().enumerate() {
            self.enter(index, attribute);
            self.tenant_exists(&attribute.tenant);
            self.attribute_name(&mut names, &attribute.tenant, &attribute.name);
            self.attribute(attribute);
        }
        self.agents();
        self.users();
        self.queues();
        self.flows();
        self.numbers();
        self.quotas();
    }

    fn agents(&mut self) {
        let provision = self.provision;
        let total = provision.agent.iter().map(expand::count).fold(0, u64::saturating_add);
        let mut taken = Taken { users: self.trunk_users(), ..Taken::default() };
        for (index, agent) in provision.agent.iter().enumerate() {
            self.enter(index, agent);
            self.tenant_exists(&agent.tenant);
            self.agent(agent);
            if agent.range.is_some() && !agent.name.contains("{n}") && expand::count(agent) > 1 {
                self.problem("name", "a range of agents has one name", "{n} in the name");
            } else if total <= AGENTS_MAX as u64 {
                expand::agents(agent).for_each(|single| self.is_free(&mut taken, &single));
            }
        }
        if total > AGENTS_MAX as u64
            && let Some((index, agent)) =
                provision.agent.iter().enumerate().max_by_key(|(_, agent)| expand::count(agent))
        {
            self.enter(index, agent);
            self.problem("range", format!("{total} agents in all"), format!("at most {AGENTS_MAX}"));
        }
    }

    /// Users as which trunks authenticate with us, and whose they are: phones and trunks share one space of names.
    fn trunk_users(&mut self) -> HashMap<String, String> {
        let mut users = HashMap::new();
        for (index, trunk) in self.provision.trunk.iter().enumerate().filter(|(_, trunk)| trunk.authenticate) {
            let Some(user) = &trunk.user else { continue };
            if let Some(other) = users.insert(user.clone(), format!("trunk {:?}", trunk.name)) {
                self.enter(index, trunk);
                self.problem("user", format!("user {user:?} is taken by {other}"), "a user of its own");
            }
        }
        users
    }

    /// What does not depend on other agents; of a range, the first and the last stand for all.
    fn agent(&mut self, agent: &Agent) {
        if let Some([first, last]) = agent.range
            && first > last
        {
            self.problem("range", format!("`range` is [{first}, {last}]"), "the lower number first");
        }
        let last = agent.range.map(|[_, last]| Agent { range: Some([last, last]), ..agent.clone() });
        let ends = [expand::agents(agent).next(), last.and_then(|last| expand::agents(&last).next())];
        let before = self.problems.len();
        for single in ends.iter().flatten() {
            // One report is enough.
            if self.problems.len() == before {
                self.single_agent(single);
            }
        }
        if let Some(site) = &agent.site
            && !self.names.sites.contains_key(site.as_str())
        {
            let known: Vec<&str> = self.provision.site.iter().map(|site| site.name.as_str()).collect();
            self.refers("site", "site", site, known);
        }
        self.site_of_extension(agent);
        self.levels(&agent.tenant, &agent.skills, "over 0, up to 1", |level| level > 0.0 && level <= 1.0);
        self.serves(agent);
        self.agent_routing(agent);
        self.in_range("ring_s", agent.ring_s, 1..=600);
        self.in_range("wrap_up_s", agent.wrap_up_s, 0..=DAY_S);
        self.srtp(&agent.srtp, &agent.srtp_keys);
    }

    /// The other tenants whose contacts the agent takes.
    fn serves(&mut self, agent: &Agent) {
        let mut seen = HashSet::new();
        for (index, of) in agent.serves.iter().enumerate() {
            let field = format!("serves[{index}].tenant");
            if of.tenant == agent.tenant {
                let what = format!("{:?} is the agent's own tenant", of.tenant);
                self.problem(&field, what, "another tenant; what the agent can do for its own stands in `skills`");
            } else if !seen.insert(of.tenant.as_str()) {
                self.problem(&field, format!("tenant {:?} is there twice", of.tenant), "each tenant once");
            } else if !self.names.tenants.contains(of.tenant.as_str()) {
                let known: Vec<&str> = self.provision.tenant.iter().map(|tenant| tenant.name.as_str()).collect();
                self.refers(&field, "tenant", &of.tenant, known);
            }
            for (skill, level) in &of.skills {
                let field = format!("serves[{index}].skills.{skill}");
                self.skill_exists(&field, &of.tenant, skill);
                if !(*level > 0.0 && *level <= 1.0) {
                    self.problem(&field, format!("the level of {skill:?} is {level}"), "over 0, up to 1");
                }
            }
        }
    }

    fn single_agent(&mut self, agent: &Agent) {
        self.name("name", &agent.name);
        match &agent.contact {
            Some(contact) if !address::is_sip_uri(contact) => {
                self.problem("contact", format!("`contact` is {contact:?}"), "sip:USER@HOST:PORT");
            }
            None if agent.user.is_none() && agent.extension.is_none() && agent.phone.is_none() => {
                let what = "the agent has none of `contact`, `user`, `extension` and `phone`";
                self.problem("", what, "how to reach the phone");
            }
            _ => {}
        }
        self.ways(agent);
        self.credentials(agent.user.as_deref(), agent.password.as_ref().map(|password| password.expose().as_str()));
        if let Some(code) = &agent.code
            && !address::is_digits(code, DIGITS_MAX)
        {
            self.problem("code", format!("`code` is {code:?}"), format!("1 to {DIGITS_MAX} digits"));
        }
        if agent.pin.as_ref().is_some_and(|pin| !address::is_digits(pin.expose(), DIGITS_MAX)) {
            self.problem("pin", "`pin` is not usable", format!("1 to {DIGITS_MAX} digits"));
        }
        match (&agent.code, &agent.pin) {
            (Some(_), None) => self.problem("code", "`code` without PIN", "`pin` (exports leave it out)"),
            (None, Some(_)) => self.problem("pin", "`pin` without code", "`code`"),
            _ => {}
        }
    }

    fn is_free(&mut self, taken: &mut Taken, agent: &Agent) {
        if !taken.names.insert((agent.tenant.clone(), agent.name.clone())) {
            self.problem("name", format!("agent {:?} is there twice", agent.name), "a name of its own");
        }
        if let Some(user) = &agent.user
            && let Some(other) = taken.users.insert(user.clone(), format!("agent {:?}", agent.name))
        {
            self.problem("user", format!("user {user:?} is taken by {other}"), "a user of its own");
        }
        if let Some(code) = &agent.code
            && let Some(other) = taken.codes.insert((agent.tenant.clone(), code.clone()), agent.name.clone())
        {
            self.problem("code", format!("code {code:?} is taken by agent {other:?}"), "a code of its own");
        }
    }

    fn levels(&mut self, tenant: &str, levels: &BTreeMap<String, f64>, range: &str, fits: impl Fn(f64) -> bool) {
        for (skill, level) in levels {
            let field = format!("skills.{skill}");
            self.skill_exists(&field, tenant, skill);
            if !fits(*level) {
                self.problem(&field, format!("the level of {skill:?} is {level}"), range);
            }
        }
    }

    fn queues(&mut self) {
        let mut names = HashSet::new();
        for (index, queue) in self.provision.queue.iter().enumerate() {
            self.enter(index, queue);
            self.tenant_exists(&queue.tenant);
            self.name("name", &queue.name);
            self.unique(&mut names, "name", (queue.tenant.as_str(), queue.name.as_str()), &queue.name);
            self.queue(queue);
        }
        self.escalation_circles();
    }

    fn queue(&mut self, queue: &Queue) {
        self.levels(&queue.tenant, &queue.skills, "0 to 1", |level| (0.0..=1.0).contains(&level));
        self.one_of("treatment", &queue.treatment, &["music", "ringback"]);
        if let Some(music) = &queue.music
            && !is_prompt(music)
        {
            self.problem("music", format!("`music` is {music:?}"), "the name of a prompt, as acme/waiting");
        }
        self.never_or_in_range("announce_every_s", queue.announce_every_s, 5..=3_600);
        self.in_range("target_s", queue.target_s, 1..=DAY_S);
        self.in_range("overflow_after_s", queue.overflow_after_s, 0..=DAY_S);
        self.in_range("waiting_max", queue.waiting_max, 0..=1_000_000);
        self.queue_routing(queue);
    }

    fn flows(&mut self) {
        let mut names = HashSet::new();
        let mut onward = HashMap::new();
        for (index, flow) in self.provision.flow.iter().enumerate() {
            self.enter(index, flow);
            self.tenant_exists(&flow.tenant);
            self.name("name", &flow.name);
            self.unique(&mut names, "name", (flow.tenant.as_str(), flow.name.as_str()), &flow.name);
            match (flow.text.len(), &flow.file) {
                (0, Some(_)) => {}
                (0, None) => self.problem("text", "the flow has no text", "`text` or `file`"),
                (_, Some(_)) => self.problem("file", "the flow has both `text` and `file`", "one of them"),
                (_, None) => onward.extend(self.flow(index, flow).map(|numbers| (index, numbers))),
            }
        }
        self.transfer_circles(&onward);
    }

    /// The numbers to which it passes every call on, where it does nothing else.
    fn flow(&mut self, index: usize, flow: &'p Flow) -> Option<Vec<Reference>> {
        self.at.flow = Some(index);
        match ivr::check(&flow.text, "") {
            Err(faults) => {
                for fault in faults {
                    self.problem("text", fault.what, fault.expected);
                    self.lies_at(fault.line, fault.column);
                }
                None
            }
            Ok(checked) => {
                let references = checked.references();
                for node in references.iter().filter(|reference| reference.kind == ReferenceKind::Node) {
                    if self.leads_nowhere("text", &node.name) {
                        self.lies_at(node.line, node.column);
                    }
                }
                for site in references.iter().filter(|reference| reference.kind == ReferenceKind::Site) {
                    if !self.names.sites.contains_key(site.name.as_str()) {
                        let known: Vec<&str> = self.provision.site.iter().map(|site| site.name.as_str()).collect();
                        self.refers("text", "site", &site.name, known);
                        self.lies_at(site.line, site.column);
                    }
                }
                for queue in references.iter().filter(|reference| reference.kind == ReferenceKind::Queue) {
                    if self.names.queues.contains(&(&flow.tenant, &queue.name)) {
                        continue;
                    }
                    let known = self.provision.queue.iter().map(|queue| (queue.tenant.as_str(), queue.name.as_str()));
                    self.refers_within("text", "queue", (&flow.tenant, &queue.name), known);
                    self.lies_at(queue.line, queue.column);
                }
                checked.only_to_numbers()
            }
        }
    }

    /// Gives the last problem its place in the flow's text.
    pub(super) fn lies_at(&mut self, line: u32, column: u32) {
        if let Some(Problem { inner, .. }) = self.problems.last_mut() {
            *inner = Some((line, column));
        }
    }

    fn numbers(&mut self) {
        let mut claimed: HashMap<&str, (&str, &str)> = HashMap::new();
        for (index, number) in self.provision.number.iter().enumerate() {
            self.enter(index, number);
            self.tenant_exists(&number.tenant);
            if number.number.is_empty() || DialString::new(number.number.as_str()).is_err() {
                let expected = "1 to 128 octets without space and < > \" @";
                self.problem("number", format!("`number` is {:?}", number.number), expected);
            }
            let claim = (number.tenant.as_str(), number.flow.as_str());
            if let Some((tenant, flow)) = claimed.insert(&number.number, claim) {
                let what = format!("number {:?} is claimed by flow {flow:?} of tenant {tenant:?}", number.number);
                self.problem("number", what, "each number once");
            }
            if !self.names.flows.contains(&claim) {
                let known = self.provision.flow.iter().map(|flow| (flow.tenant.as_str(), flow.name.as_str()));
                self.refers_within("flow", "flow", claim, known);
            }
        }
    }
}

#[derive(Default)]
struct Taken {
    names: HashSet<(String, String)>,
    /// User to whose it is.
    users: HashMap<String, String>,
    codes: HashMap<(String, String), String>,
}

/// A prompt's name: parts of the forms of names, joined by `/`.
fn is_prompt(text: &str) -> bool {
    text.len() <= 256 && text.split('/').all(|part| address::is_name(part) && !part.starts_with('.'))
}
