//! A contact's attributes and modifiers, by names, into what is matched with agents.

use std::fmt;
use std::time::Duration;

use super::{AttributeEntry, Directory, QueueEntry, seconds};
use crate::base::{QueueId, TenantId, TraitId};
use crate::core::contact::attribute::{AGENT_ATTRIBUTE, ATTRIBUTES_MAX, SYMBOLS_MAX};
use crate::core::contact::modifier::{CREDIT_S_MAX, MODIFIERS_MAX};
use crate::core::contact::{Attributes, Kind, Mode, Modifier, Schedule, ScheduleError, Value, Want};

/// Most wants of one contact beside its queue's own.
pub const WANTS_MAX: usize = 64;

/// What a contact comes to.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Resolved {
    /// What it wants of an agent beside what its queue does.
    pub wants: Vec<Want>,
    /// What it has, in order of ids: symbols of its attributes, its levels above 0, and the levels that it requires.
    pub traits: Vec<TraitId>,
    /// By how much it counts as having waited longer.
    pub credit: Duration,
}

/// Why a contact cannot be taken as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolveError {
    /// The attribute that it is about; empty where it is about the whole.
    pub attribute: String,
    /// What is wrong.
    pub why: ResolveFault,
}

/// What is wrong with a contact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResolveFault {
    /// There is no such queue.
    Queue,
    /// The tenant has no such attribute.
    Unknown,
    /// The attribute has no such symbol.
    Symbol(String),
    /// The value is of another kind than the attribute.
    Kind(Kind),
    /// A symbol is named of a level.
    Level,
    /// The steps are no schedule.
    Schedule(ScheduleError),
    /// The credit is too long.
    Credit,
    /// Too many attributes, modifiers, symbols or wants.
    Many(usize),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attribute, why } = self;
        match why {
            ResolveFault::Queue => f.write_str("the queue is not there"),
            ResolveFault::Unknown => write!(f, "attribute {attribute:?} is not there in the tenant"),
            ResolveFault::Symbol(symbol) if attribute == AGENT_ATTRIBUTE => {
                write!(f, "agent {symbol:?} is not there in the tenant")
            }
            ResolveFault::Symbol(symbol) => write!(f, "attribute {attribute:?} has no value {symbol:?}"),
            ResolveFault::Kind(kind) => write!(f, "attribute {attribute:?} is a {}", kind.as_str()),
            ResolveFault::Level => write!(f, "attribute {attribute:?} is a level, of which no value is named"),
            ResolveFault::Schedule(error) => write!(f, "modifier of attribute {attribute:?}: {error}"),
            ResolveFault::Credit => write!(f, "a credit is at most {CREDIT_S_MAX} seconds"),
            ResolveFault::Many(most) if attribute.is_empty() => {
                write!(f, "a contact has at most {most} attributes, modifiers and wants of its own each")
            }
            ResolveFault::Many(most) => write!(f, "attribute {attribute:?} has at most {most} values"),
        }
    }
}

impl std::error::Error for ResolveError {}

fn refused<T>(attribute: &str, why: ResolveFault) -> Result<T, ResolveError> {
    Err(ResolveError { attribute: attribute.into(), why })
}

impl Directory {
    /// What a contact in a queue comes to. A symbol that nothing provisioned names is nobody's: required, it is
    /// [`TraitId::NOBODYS`]; preferred or forbidden, it makes no difference and is left out.
    ///
    /// # Errors
    /// [`ResolveError`] for an attribute that is not there, a symbol that the attribute does not list, a value of another kind,
    /// steps that are no schedule, and for more than the bounds allow.
    pub fn resolve(
        &self,
        queue: QueueId,
        attributes: &Attributes,
        modifiers: &[Modifier],
    ) -> Result<Resolved, ResolveError> {
        let Some(queue) = self.queue(queue) else { return refused("", ResolveFault::Queue) };
        let tenant = queue.tenant;
        if attributes.len() > ATTRIBUTES_MAX {
            return refused("", ResolveFault::Many(ATTRIBUTES_MAX));
        }
        if modifiers.len() > MODIFIERS_MAX {
            return refused("", ResolveFault::Many(MODIFIERS_MAX));
        }
        let mut resolved = Resolved { wants: Vec::new(), traits: Vec::new(), credit: queue.credit };
        for (name, value) in attributes {
            let attribute = self.known(tenant, name)?;
            self.fits(attribute, value)?;
            match value {
                Value::Level(level) if level.get() > 0.0 => {
                    resolved.traits.extend(self.trait_id(tenant, name, None));
                }
                _ => {
                    let symbols = value.symbols().filter_map(|symbol| self.trait_id(tenant, name, Some(symbol)));
                    resolved.traits.extend(symbols);
                }
            }
        }
        for own in &queue.own {
            if let Some(value) = attributes.get(&own.attribute) {
                self.want_own((&mut resolved, queue), (&own.attribute, value), own.mode, &own.schedule);
                resolved.credit += own.credit;
            }
        }
        for modifier in modifiers {
            self.want((&mut resolved, queue), attributes, modifier)?;
        }
        if resolved.wants.len() > WANTS_MAX {
            return refused("", ResolveFault::Many(WANTS_MAX));
        }
        let needs = queue.wants.iter().chain(&resolved.wants);
        let needs = needs.filter(|want| want.mode == Mode::Required && want.what != TraitId::NOBODYS);
        let needs = needs.filter(|want| matches!(self.trait_name(want.what), Some((_, None))));
        let needs: Vec<TraitId> = needs.map(|want| want.what).collect();
        resolved.traits.extend(needs);
        resolved.traits.sort_unstable();
        resolved.traits.dedup();
        Ok(resolved)
    }

    fn known(&self, tenant: TenantId, name: &str) -> Result<&AttributeEntry, ResolveError> {
        self.attribute_by_name(tenant, name).map_or_else(|| refused(name, ResolveFault::Unknown), Ok)
    }

    /// Whether the attribute can have this value.
    fn fits(&self, attribute: &AttributeEntry, value: &Value) -> Result<(), ResolveError> {
        let name = &attribute.name;
        let is_fit = match value.kind() {
            Kind::Level => attribute.kind == Kind::Level,
            Kind::Symbol => attribute.kind != Kind::Level,
            Kind::Set => attribute.kind == Kind::Set,
        };
        if !is_fit {
            return refused(name, ResolveFault::Kind(attribute.kind));
        }
        if value.symbols().count() > SYMBOLS_MAX {
            return refused(name, ResolveFault::Many(SYMBOLS_MAX));
        }
        value.symbols().try_for_each(|symbol| self.has_symbol(attribute, symbol))
    }

    fn has_symbol(&self, attribute: &AttributeEntry, symbol: &str) -> Result<(), ResolveError> {
        let is_listed = if attribute.name == AGENT_ATTRIBUTE {
            self.agent_by_name(attribute.tenant, symbol).is_some()
        } else {
            attribute.values.is_empty() || attribute.values.iter().any(|known| known == symbol)
        };
        if is_listed { Ok(()) } else { refused(&attribute.name, ResolveFault::Symbol(symbol.into())) }
    }

    /// Adds what a contact's own modifier asks for.
    fn want(
        &self,
        (resolved, queue): (&mut Resolved, &QueueEntry),
        attributes: &Attributes,
        modifier: &Modifier,
    ) -> Result<(), ResolveError> {
        let tenant = queue.tenant;
        let name = &modifier.attribute;
        let attribute = self.known(tenant, name)?;
        let schedule = modifier.schedule().or_else(|error| refused(name, ResolveFault::Schedule(error)))?;
        if modifier.credit_s > CREDIT_S_MAX {
            return refused(name, ResolveFault::Credit);
        }
        let value = match (attribute.kind, &modifier.value) {
            (Kind::Level, Some(_)) => return refused(name, ResolveFault::Level),
            (Kind::Level, None) => {
                add((resolved, queue), self.trait_id(tenant, name, None), modifier.mode, &schedule);
                None
            }
            (_, Some(symbol)) => {
                self.has_symbol(attribute, symbol)?;
                add((resolved, queue), self.trait_id(tenant, name, Some(symbol)), modifier.mode, &schedule);
                None
            }
            // The contact has no such attribute: there is nothing to count.
            (_, None) => match attributes.get(name) {
                Some(value) => Some(value),
                None => return Ok(()),
            },
        };
        if let Some(value) = value {
            self.want_own((resolved, queue), (name, value), modifier.mode, &schedule);
        }
        resolved.credit += seconds(modifier.credit_s);
        Ok(())
    }

    /// Adds a want for each symbol that the contact has itself.
    fn want_own(
        &self,
        (resolved, queue): (&mut Resolved, &QueueEntry),
        (name, value): (&str, &Value),
        mode: Mode,
        schedule: &Schedule,
    ) {
        for symbol in value.symbols() {
            add((resolved, queue), self.trait_id(queue.tenant, name, Some(symbol)), mode, schedule);
        }
    }
}

/// Adds a want, unless the queue or the contact has it already.
fn add((resolved, queue): (&mut Resolved, &QueueEntry), what: Option<TraitId>, mode: Mode, schedule: &Schedule) {
    let what = match (what, mode) {
        (Some(what), _) => what,
        (None, Mode::Required) => TraitId::NOBODYS,
        (None, _) => return,
    };
    let want = Want { what, mode, schedule: schedule.clone() };
    if !queue.wants.contains(&want) && !resolved.wants.contains(&want) {
        resolved.wants.push(want);
    }
}
