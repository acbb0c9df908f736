//! Names of work items looked up in the provisioning: what the queue needs of one.

use std::borrow::Cow;

use super::attribute::Kind;
use super::work::Work;
use crate::base::{AgentId, Medium, Now, QueueId, TenantId, TraitId, WorkItemId};
use crate::core::fault::did_you_mean;
use crate::core::queue::Entry;
use crate::core::switch::Switch;
use crate::core::tenant::access;
use crate::core::tenant::directory::Resolved;
use crate::core::tenant::provision::Unservable;

impl Switch {
    pub(super) fn tenant_named(&self, name: &str) -> Result<TenantId, String> {
        let found = self.directory.tenant_by_name(name).map(|tenant| tenant.id);
        found.ok_or_else(|| access::no_tenant(name))
    }

    pub(super) fn queue_named(&self, tenant: TenantId, tenant_name: &str, name: &str) -> Result<QueueId, String> {
        let found = self.directory.queue_by_name(tenant, name).map(|queue| queue.id);
        found.ok_or_else(|| format!("no queue {tenant_name}/{name} is provisioned; see `cordboard queue list`"))
    }

    pub(super) fn agent_named(&self, tenant: TenantId, tenant_name: &str, name: &str) -> Result<AgentId, String> {
        let found = self.directory.agent_by_name(tenant, name).map(|agent| agent.id);
        found.ok_or_else(|| access::no_agent(tenant_name, name))
    }

    /// The kind of value that an attribute of the tenant has.
    pub(super) fn attribute_kind(&self, tenant: TenantId, name: &str) -> Result<Kind, String> {
        if let Some(entry) = self.directory.attribute_by_name(tenant, name) {
            return Ok(entry.kind);
        }
        let known = self.directory.attributes().filter(|entry| entry.tenant == tenant).map(|entry| entry.name.as_str());
        let guess = did_you_mean(name, known);
        let hint = guess.map_or("see `cordboard attribute list`".into(), |near| format!("did you mean {near:?}?"));
        Err(format!("no attribute {name:?} is provisioned; {hint}"))
    }

    /// What the queue needs of an item.
    pub(super) fn entry(&self, now: Now, work: &Work) -> Result<Entry, String> {
        let tenant = self.tenant_named(&work.tenant)?;
        let queue = self.queue_named(tenant, &work.tenant, &work.queue)?;
        let resolved = self.directory.resolve(queue, &work.attributes, &work.modifiers);
        Ok(self.entry_by(now, work, queue, resolved.map_err(|error| error.to_string())?))
    }

    fn entry_by(&self, now: Now, work: &Work, queue: QueueId, resolved: Resolved) -> Entry {
        let last = work.client.as_ref().and_then(|client| self.last_agent_wanted(now, queue, client.expose()));
        Entry {
            queue,
            medium: work.medium,
            wants: resolved.wants.into_iter().chain(last).collect(),
            traits: resolved.traits,
            waited: work.waited(now.wall),
            credit: resolved.credit,
            excused: work.excused(),
            overflows: work.callback.is_none() && work.medium.is_live(),
        }
    }

    /// The same of an open item, which is never refused for what the provisioning does not know any more: that is left out,
    /// and noted. None when its queue is gone.
    pub(crate) fn entry_of(&mut self, now: Now, id: WorkItemId) -> Option<Entry> {
        let work = &self.works.get(id)?.work;
        let tenant = self.directory.tenant_by_name(&work.tenant)?.id;
        let queue = self.directory.queue_by_name(tenant, &work.queue)?.id;
        let (mut attributes, mut modifiers) = (Cow::Borrowed(&work.attributes), Cow::Borrowed(&work.modifiers));
        let mut gone = Vec::new();
        let resolved = loop {
            let error = match self.directory.resolve(queue, &attributes, &modifiers) {
                Ok(resolved) => break resolved,
                Err(error) => error,
            };
            let before = (attributes.len(), modifiers.len());
            // What an item is made one agent's by is told of as the agent.
            modifiers.to_mut().retain(|modifier| modifier.attribute != error.attribute);
            if before.1 == modifiers.len() {
                attributes.to_mut().remove(&error.attribute);
            }
            if before == (attributes.len(), modifiers.len()) {
                // Of bounds: nothing of its own counts.
                attributes.to_mut().clear();
                modifiers.to_mut().clear();
            }
            gone.push(error.to_string());
        };
        let entry = self.entry_by(now, work, queue, resolved);
        if !gone.is_empty() {
            let (attributes, modifiers) = (attributes.into_owned(), modifiers.into_owned());
            self.change_work(id, |work| {
                (work.attributes, work.modifiers) = (attributes, modifiers);
                work.record(now.wall, "left-out", gone.join("; "));
            });
        }
        Some(entry)
    }

    /// What agents of a tenant may say came of an item; any word when empty.
    pub(super) fn dispositions(&self, tenant: &str) -> &[String] {
        self.directory.tenant_by_name(tenant).map_or(&[], |entry| entry.dispositions.as_slice())
    }

    /// Where items of a queue go that wait too long, or that nobody could take.
    pub(super) fn escalates_to(&self, tenant: &str, queue: &str) -> Option<QueueId> {
        let tenant = self.directory.tenant_by_name(tenant)?.id;
        Some(self.directory.queue_by_name(tenant, queue)?.escalation?.to)
    }

    /// What becomes of an item that nobody could take.
    pub(crate) fn unservable_rule(&self, queue: QueueId, medium: Medium) -> Unservable {
        let rule = self.directory.queue(queue).and_then(|entry| entry.unservable.get(medium.index()));
        rule.copied().unwrap_or(Unservable::Hold)
    }

    /// A trait as people read it: `spanish`, `language=es`.
    pub(super) fn trait_text(&self, id: TraitId) -> String {
        match self.directory.trait_name(id) {
            Some((attribute, Some(symbol))) => format!("{attribute}={symbol}"),
            Some((attribute, None)) => attribute.to_owned(),
            None => "what nobody has".to_owned(),
        }
    }
}
