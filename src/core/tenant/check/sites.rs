//! Sites, and how their agents are reached.

use std::collections::HashSet;

use super::Checker;
use crate::core::tenant::directory::{PREFIX_LENGTH_MAX, SiteEntry};
use crate::core::tenant::provision::{Agent, Site, Trunk};

/// Most trunks to one site's switch.
const TRUNKS_MAX: usize = 16;
/// Most digits of an extension or a telephone's number.
const DIGITS_MAX: usize = 32;

impl Checker<'_> {
    pub(super) fn site(&mut self, site: &Site) {
        if site.trunks.len() > TRUNKS_MAX {
            self.problem("trunks", format!("{} trunks", site.trunks.len()), format!("at most {TRUNKS_MAX}"));
            return;
        }
        let mut seen = HashSet::new();
        for (position, name) in site.trunks.iter().enumerate() {
            let field = format!("trunks[{position}]");
            self.unique(&mut seen, &field, name.as_str(), name);
            if !self.names.trunks.contains_key(name.as_str()) {
                let known: Vec<&str> = self.provision.trunk.iter().map(|trunk| trunk.name.as_str()).collect();
                self.refers(&field, "trunk", name, known);
            }
        }
        self.in_range("extension_strip", usize::from(site.extension_strip), 0..=DIGITS_MAX);
        let prefix = &site.extension_prefix;
        if !SiteEntry::is_dialled(prefix) && !prefix.is_empty() {
            let expected = format!("at most {DIGITS_MAX} of 0-9 * #");
            self.problem("extension_prefix", format!("`extension_prefix` is {prefix:?}"), expected);
        }
        self.never_or_in_range("probe_s", site.probe_s, 5..=3_600);
        self.never_or_in_range("chat_grace_s", site.chat_grace_s, 1..=3_600);
        self.never_or_in_range("work_grace_s", site.work_grace_s, 1..=604_800);
    }

    /// An extension needs a site with a switch.
    pub(super) fn site_of_extension(&mut self, agent: &Agent) {
        if agent.extension.is_none() {
            return;
        }
        let Some(name) = &agent.site else {
            return self.problem("extension", "`extension` without a site", "`site`, whose switch knows it");
        };
        let Some(site) = self.names.sites.get(name.as_str()).copied() else { return };
        if site.trunks.is_empty() {
            let what = format!("site {name:?} is without a path: no trunk leads to its switch");
            self.problem("extension", what, "`trunks` of the site, or another way to the agent");
        }
    }

    /// The numbers by which a single agent is reached.
    pub(super) fn ways(&mut self, agent: &Agent) {
        if let Some(extension) = &agent.extension {
            let site = agent.site.as_deref().and_then(|name| self.names.sites.get(name).copied());
            if !SiteEntry::is_dialled(extension) {
                let expected = format!("1 to {DIGITS_MAX} of 0-9 * #");
                self.problem("extension", format!("`extension` is {extension:?}"), expected);
            } else if site.is_some_and(|site| is_stripped(site, extension)) {
                let what = format!("`extension_strip` of the site leaves nothing of {extension:?}");
                self.problem("extension", what, "a longer one");
            }
        }
        let Some(phone) = &agent.phone else { return };
        let digits = phone.strip_prefix('+').unwrap_or(phone);
        if !SiteEntry::is_dialled(digits) {
            let expected = format!("a plus sign perhaps, then 1 to {DIGITS_MAX} of 0-9 * #");
            self.problem("phone", format!("`phone` is {phone:?}"), expected);
        } else if self.goes_to_emergency(phone) {
            self.problem("phone", format!("{phone:?} is an emergency number"), "the number of a telephone");
        } else if self.names.numbers.contains(phone.as_str()) {
            let what = format!("{phone:?} is one of our own numbers: a call would come back");
            self.problem("phone", what, "the number of a telephone outside");
        } else if !self.leads_out(phone) {
            self.problem("phone", format!("no trunk leads to {phone:?}"), "a number with the `prefix` of a trunk");
        }
    }

    /// Whether an emergency service is dialled by the number, with or without what a trunk strips.
    pub(super) fn goes_to_emergency(&self, number: &str) -> bool {
        let is_emergency = |number: &str| self.provision.sip.emergency.iter().any(|emergency| emergency == number);
        let sends = |trunk: &&Trunk| trunk.prefix.iter().any(|prefix| number.starts_with(prefix.as_str()));
        let sent = |trunk: &Trunk| number.char_indices().nth(trunk.strip.into()).and_then(|(at, _)| number.get(at..));
        is_emergency(number) || self.provision.trunk.iter().filter(sends).filter_map(sent).any(is_emergency)
    }

    /// Whether a trunk leads to the number.
    pub(super) fn leads_out(&self, number: &str) -> bool {
        let longest = number.len().min(PREFIX_LENGTH_MAX);
        (0..=longest).filter_map(|length| number.get(..length)).any(|start| self.names.prefixes.contains(start))
    }
}

/// Nothing is left to dial.
fn is_stripped(site: &Site, extension: &str) -> bool {
    site.extension_prefix.is_empty() && extension.len() <= usize::from(site.extension_strip)
}
