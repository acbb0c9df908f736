//! Where agents sit: at the place that is provisioned for them, or wherever they have signed in, until they sign out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::{AgentId, CallId, Now, Redacted, SiteId, TenantId};
use crate::core::contact::callback::Unwanted;
use crate::core::journal::Change;
use crate::core::switch::Switch;
use crate::core::tenant::directory::SiteEntry;

/// Where an agent has signed in. With a number, the agent is reached there and nowhere else; without one, by what is provisioned
/// for the agent, but for an extension at another site.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Seat {
    /// The site's name; the agent's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// What is dialled on the trunks to the site's switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// A number outside, dialled as any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Redacted<String>>,
}

impl Seat {
    /// Whether it names a number.
    fn has_number(&self) -> bool {
        self.extension.is_some() || self.phone.is_some()
    }
}

impl fmt::Display for Seat {
    /// In a word, without a number outside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.extension, &self.phone) {
            (Some(extension), _) => write!(f, "extension {extension}"),
            (None, Some(_)) => f.write_str("telephone"),
            (None, None) => f.write_str("here"),
        }
    }
}

/// Where somebody asks to be signed in.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Place {
    pub site: Option<String>,
    /// As the site's agents say it.
    pub extension: Option<String>,
    pub phone: Option<String>,
}

/// How an agent is reached by trunks.
pub(super) struct Numbers {
    /// The site, and what is dialled there.
    pub extension: Option<(SiteId, String)>,
    pub phone: Option<String>,
}

impl Switch {
    /// The site where the agent sits.
    pub(crate) fn site_of(&self, agent: AgentId) -> Option<SiteId> {
        let seated = self.seats.get(&agent).and_then(|seat| self.directory.site_by_name(seat.site.as_deref()?));
        seated.map(|site| site.id).or_else(|| self.directory.agent(agent)?.site)
    }

    /// Whether the agent's own SIP phone is where the agent sits.
    pub(super) fn is_at_own_phone(&self, agent: AgentId) -> bool {
        !self.seats.get(&agent).is_some_and(Seat::has_number)
    }

    /// The numbers by which the agent is reached where it sits.
    pub(super) fn numbers_at(&self, agent: AgentId) -> Numbers {
        let none = Numbers { extension: None, phone: None };
        let Some(entry) = self.directory.agent(agent) else { return none };
        let site = self.site_of(agent).and_then(|site| self.directory.site(site));
        if let Some(seat) = self.seats.get(&agent).filter(|seat| seat.has_number()) {
            let extension = site.zip(seat.extension.clone()).map(|(site, dialled)| (site.id, dialled));
            return Numbers { extension, phone: seat.phone.as_ref().map(|phone| phone.expose().clone()) };
        }
        let own = site.filter(|site| Some(site.id) == entry.site).zip(entry.extension.as_deref());
        Numbers { extension: own.map(|(site, own)| (site.id, site.dialled(own))), phone: entry.phone.clone() }
    }

    /// The agent sits there from now on, or where it is provisioned to.
    pub(crate) fn seat(&mut self, now: Now, agent: AgentId, seat: Option<Seat>) {
        if self.seats.get(&agent) == seat.as_ref() {
            return;
        }
        let before = self.site_of(agent);
        self.set_seat(agent, seat.clone());
        if let Some(entry) = self.directory.agent(agent) {
            let tenant = self.directory.tenant(entry.tenant).map_or(String::new(), |tenant| tenant.name.clone());
            let agent = entry.name.clone();
            self.journal(Change::AgentSeated { tenant, agent, seat: seat.map(Box::new) });
        }
        self.look_at_ways(agent);
        self.reachability(now, agent);
        for site in [before, self.site_of(agent)].into_iter().flatten() {
            self.look_at_site(now, site);
        }
    }

    /// The same, without its consequences.
    pub(crate) fn set_seat(&mut self, agent: AgentId, seat: Option<Seat>) {
        match seat {
            Some(seat) => self.seats.insert(agent, seat),
            None => self.seats.remove(&agent),
        };
    }

    /// Agents who are gone sit nowhere, and those whose place is no more where they are provisioned to.
    pub(super) fn check_seats(&mut self) {
        for (agent, seat) in std::mem::take(&mut self.seats) {
            let Some(entry) = self.directory.agent(agent) else { continue };
            let site = seat.site.as_deref().map(|site| self.directory.site_by_name(site));
            let site = site.unwrap_or_else(|| entry.site.and_then(|site| self.directory.site(site)));
            let extension = seat.extension.is_none() || site.is_some_and(|site| !site.trunks.is_empty());
            let phone =
                seat.phone.as_ref().is_none_or(|phone| self.check_phone(Some(entry.tenant), phone.expose()).is_ok());
            if extension && phone && (seat.site.is_none() || site.is_some()) {
                self.seats.insert(agent, seat);
                continue;
            }
            let tenant = self.directory.tenant(entry.tenant).map_or(String::new(), |tenant| tenant.name.clone());
            let agent = entry.name.clone();
            self.journal(Change::AgentSeated { tenant, agent, seat: None });
        }
    }

    /// The seat at a place.
    ///
    /// # Errors
    /// Why nobody can sit there, and what to do.
    pub(crate) fn seat_at(&self, agent: AgentId, place: Place) -> Result<Seat, String> {
        let Place { site, extension, phone } = place;
        let named = match &site {
            Some(name) => Some(
                self.directory
                    .site_by_name(name)
                    .ok_or_else(|| format!("no site {name:?} is provisioned; `cordboard site list` shows them"))?,
            ),
            None => None,
        };
        let own = || self.directory.agent(agent).and_then(|entry| self.directory.site(entry.site?));
        let extension = extension.map(|digits| dialled_at(named.or_else(own), &digits)).transpose()?;
        if let Some(phone) = &phone {
            let tenant = self.directory.agent(agent).map(|entry| entry.tenant);
            self.check_phone(tenant, phone).map_err(|why| format!("{phone:?} {why}"))?;
        }
        if site.is_none() && extension.is_none() && phone.is_none() {
            return Err("no place is named; give a site, an extension or a phone".into());
        }
        Ok(Seat { site, extension, phone: phone.map(Redacted::new) })
    }

    /// The seat where a call comes from: of an agent's own SIP phone none; at the switch of a site the number that it shows, dialled
    /// there as it is; from elsewhere that number outside.
    ///
    /// # Errors
    /// The caller shows no number, or one that cannot be called back.
    pub(crate) fn seat_of_caller(&self, call: CallId) -> Result<Option<Seat>, String> {
        let call = self.calls.get(&call).ok_or("the call is over")?;
        let leg = self.legs.get(&call.client).ok_or("the call is over")?;
        let Some((trunk, _)) = leg.trunk else { return Ok(None) };
        let number = call.cdr.from.as_str().to_owned();
        if call.origin.private || number.is_empty() {
            return Err("the caller shows no number".into());
        }
        let mut sites = self.directory.sites();
        if let Some(site) = sites.find(|site| site.trunks.contains(&trunk)) {
            let extension = Some(dialled_as_shown(&number)?);
            return Ok(Some(Seat { site: Some(site.name.clone()), extension, phone: None }));
        }
        self.check_phone(call.tenant, &number).map_err(str::to_owned)?;
        Ok(Some(Seat { phone: Some(Redacted::new(number)), ..Seat::default() }))
    }

    /// Whether an agent of the tenant can be reached at a number outside.
    ///
    /// # Errors
    /// Why not.
    fn check_phone(&self, tenant: Option<TenantId>, number: &str) -> Result<(), &'static str> {
        if !SiteEntry::is_dialled(number.strip_prefix('+').unwrap_or(number)) {
            return Err("is no number that can be dialled");
        }
        self.check_callable(tenant, number).map_err(|unwanted| match unwanted {
            Unwanted::Emergency => "is an emergency number",
            Unwanted::Ours => "is one of our own numbers: a call would come back",
            _ => "is a number that no trunk leads to",
        })
    }

    /// The agent signs in by a call, and talks there until it is over.
    pub(crate) fn sits_at(&mut self, now: Now, call: CallId, agent: AgentId) {
        let Some(client) = self.calls.get(&call).map(|call| call.client) else { return };
        let Some(leg) = self.legs.get_mut(&client).filter(|leg| leg.phone.is_none()) else { return };
        leg.phone = Some(agent);
        self.engage(now, agent);
    }
}

fn dialled_at(site: Option<&SiteEntry>, extension: &str) -> Result<String, String> {
    let site = site.ok_or("an extension needs a site; give one")?;
    if site.trunks.is_empty() {
        return Err(format!("site {:?} is without a path: no trunk leads to its switch; give a phone", site.name));
    }
    dialled_as_shown(&site.dialled(extension))
}

fn dialled_as_shown(number: &str) -> Result<String, String> {
    match SiteEntry::is_dialled(number) {
        true => Ok(number.to_owned()),
        false => Err(format!("{number:?} cannot be dialled at a switch: 1 to 32 of 0-9 * # can")),
    }
}
