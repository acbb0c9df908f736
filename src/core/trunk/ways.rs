//! In which order trunks are tried for a call out, and why.

use crate::base::{Now, Timestamp};
use crate::core::control::{RoutesView, WayView};
use crate::core::switch::Switch;
use crate::core::tenant::directory::{Lead, TenantEntry, TrunkKind, foremost};
use crate::core::trunk::sharing::told;

impl Switch {
    /// The trunks by which a call to `dialled` is tried, in this order: of those with the longest prefix that are there at this
    /// hour the cheapest first, but last those of which all circuits are in alarm or all peers down. An emergency call goes out at
    /// any hour, and by what is out of service when nothing else is left.
    pub(crate) fn ways_out(&self, at: Timestamp, dialled: &str) -> Vec<Lead> {
        let mut leads = foremost(self.directory.leads(dialled, at), self.leads_to_emergency(dialled));
        leads.sort_by_key(|lead| {
            let entry = self.directory.trunk(lead.trunk);
            let out_of_service = entry.is_some_and(|entry| entry.group.out_of_service);
            (entry.is_some_and(|entry| self.is_silent(entry)), !lead.open, out_of_service)
        });
        leads
    }

    /// Whether it is an emergency number as it is dialled, or as a trunk sends it out.
    pub(crate) fn leads_to_emergency(&self, dialled: &str) -> bool {
        self.dialled_and_sent(dialled).into_iter().any(|number| self.is_emergency_number(number))
    }

    /// How a number would be reached, for the console: with what is up now, at the hour asked for, for an agent of the tenant.
    ///
    /// # Errors
    /// There is no such tenant.
    pub(crate) fn routes_view(
        &self,
        now: Now,
        dialled: &str,
        at: Timestamp,
        tenant: Option<&str>,
    ) -> Result<RoutesView, String> {
        let find = |name: &str| {
            let found = self.directory.tenant_by_name(name);
            found.ok_or_else(|| format!("there is no tenant {name:?}; `cordboard tenant list` shows them"))
        };
        let tenant = tenant.map(find).transpose()?;
        let tried = self.ways_out(at, dialled);
        let others = self.directory.leads(dialled, at);
        let others = others.into_iter().filter(|lead| tried.iter().all(|way| way.trunk != lead.trunk));
        let all: Vec<Lead> = tried.iter().copied().chain(others).collect();
        let mut order = 0;
        let ways = all.iter().enumerate().filter_map(|(place, lead)| {
            let before = all.get(..place).unwrap_or_default();
            let why = self.why(now, dialled, tenant, (lead, tried.get(place).is_some()), before);
            let entry = self.directory.trunk(lead.trunk)?;
            let order = why.is_ok().then(|| {
                order += 1;
                order
            });
            Some(WayView {
                order,
                trunk: entry.name.clone(),
                prefix: dialled.get(..lead.prefix).unwrap_or_default().to_owned(),
                cost: lead.cost,
                sent: self.sent(lead.trunk, dialled).to_owned(),
                shown: self.shown_of(tenant, lead, dialled),
                why: why.unwrap_or_else(|why| why),
            })
        });
        let ways = ways.collect();
        let within = tenant.and_then(|tenant| self.answers_within(tenant, dialled));
        Ok(RoutesView { number: dialled.to_owned(), at, emergency: self.leads_to_emergency(dialled), within, ways })
    }

    /// Why a trunk is tried where it is, or, as an error, why it is not.
    fn why(
        &self,
        now: Now,
        dialled: &str,
        tenant: Option<&TenantEntry>,
        (lead, counts): (&Lead, bool),
        before: &[Lead],
    ) -> Result<String, String> {
        let Some(entry) = self.directory.trunk(lead.trunk) else { return Err(String::new()) };
        if !counts {
            let why = if lead.open { "others have a longer prefix" } else { "not at this hour" };
            return Err(why.into());
        }
        if !self.takes_out(lead.trunk, dialled) {
            let why = if entry.group.out_of_service { "out of service" } else { "as many calls as it takes" };
            return Err(why.into());
        }
        let emergency = self.leads_to_emergency(dialled);
        if entry.kind == TrunkKind::Tdm && !self.is_silent(entry) && self.idle_circuits(lead.trunk).is_empty() {
            let preempts = emergency && self.last_resort(lead.trunk, dialled, 0).is_some();
            let why = "no circuit is free";
            return if preempts { Ok(format!("{why}: a call is ended for it")) } else { Err(why.into()) };
        }
        let verdict = tenant.filter(|_| !emergency).and_then(|of| self.admission.decide(now, of.id, lead.trunk));
        if let Some(verdict) = verdict.filter(|verdict| !verdict.accepts()) {
            return Err(format!("not admitted: {}", told(&verdict)));
        }
        Ok(match before.last() {
            _ if !lead.open => "at any hour, as it is an emergency call".into(),
            _ if entry.group.out_of_service => "out of service, but it is an emergency call".into(),
            _ if self.is_silent(entry) => "none of its circuits or peers is up".into(),
            None => "longest prefix, least cost".into(),
            Some(earlier) if earlier.cost < lead.cost => "dearer".into(),
            Some(earlier) if earlier.cost == lead.cost => "same cost, provisioned later".into(),
            Some(_) => "cheaper, but up".into(),
        })
    }

    /// Whose number the other side is shown when a phone of the tenant calls.
    fn shown_of(&self, tenant: Option<&TenantEntry>, lead: &Lead, dialled: &str) -> String {
        let tdm = self.directory.trunk(lead.trunk).is_some_and(|entry| entry.kind == TrunkKind::Tdm);
        let Some(tenant) = tenant.filter(|_| !tdm) else { return String::new() };
        let emergency = self.is_emergency_number(self.sent(lead.trunk, dialled));
        let presented = self.presented(lead.trunk, Some(tenant.id), [None; 2], emergency);
        match presented.number {
            _ if presented.withheld => "withheld".into(),
            Some(number) if number.is_empty() => "nobody".into(),
            Some(number) => number,
            None => "the caller's".into(),
        }
    }

    /// Who answers a number without any trunk.
    fn answers_within(&self, tenant: &TenantEntry, dialled: &str) -> Option<String> {
        if let Some((_, flow)) = self.directory.number(dialled).filter(|(of, _)| *of == tenant.id) {
            return Some(format!("flow {}", self.directory.flow(flow)?.name));
        }
        let by_user = self.directory.agent_by_user(dialled).filter(|agent| agent.tenant == tenant.id);
        let agent = by_user.or_else(|| self.directory.agent_by_name(tenant.id, dialled))?;
        Some(format!("agent {}", agent.name))
    }
}
