//! The views of the running appliance as text, for the command line and the serial console alike.

use super::Table;
use crate::base::{Bound, Timestamp};
use crate::core::control::{
    AgentView, Alarm, BanView, CallView, CircuitService, CircuitView, ContractView, LoadView, QueueView,
    RestartedCircuit, RoutesView, ServerView, Service, SiteView, Status, TenantStatus, TrunkView,
};
use crate::core::journal::{AgentStatus, Audit};
use crate::core::tenant::access::{Extent, Principal, RIGHTS};

/// Moves the cursor home and erases what is below it (ECMA-48 CUP, ED).
pub const CLEAR: &str = "\x1b[H\x1b[J";

/// What is up and what was since start, without tables.
pub fn summary(status: &Status, now: Timestamp) -> String {
    let state = if status.stopping { "stopping" } else { "serving" };
    let mut text = format!("cordboard {} {state}, up {}\n\n", status.version, ago(status.started_at, now));
    let gone = status.queue_answered.saturating_add(status.abandoned);
    let percent = |part: u64| if gone == 0 { "-".to_owned() } else { format!("{:.1} %", share(part, gone)) };
    let lines = [
        ("calls", format!("{} now, {} waiting", status.calls, status.waiting)),
        (
            "since start",
            format!("{} offered, {} answered, {} abandoned", status.offered, status.answered, status.abandoned),
        ),
        ("service level", format!("{} within target (abandoned calls count as missed)", percent(status.in_target))),
        (
            "agents",
            format!(
                "{} ready, {} busy, {} wrap-up, {} not ready",
                status.agents_ready, status.agents_busy, status.agents_wrap_up, status.agents_not_ready
            ),
        ),
        ("phones", format!("{} registered", status.registrations)),
        ("encryption", format!("{} legs, {} handshakes failed", status.encrypted_legs, status.handshakes_failed)),
        ("offers", format!("{}, double {}{}", status.offers, status.double_offers, forecasts(status))),
        ("load", load(&status.load)),
    ];
    for (name, value) in lines {
        text.push_str(&format!("{name:<14}{value}\n"));
    }
    text
}

/// Who asks, and what they may do.
pub fn whoami(who: &Principal) -> String {
    let mut text = format!("{} is {}", who.user, who.role.as_str());
    if let Some(tenant) = &who.tenant {
        text.push_str(&format!(" of tenant {tenant}"));
    }
    if let Some(agent) = &who.agent {
        text.push_str(&format!(", agent {agent}"));
    }
    text.push_str("\n\n");
    let mut table = Table::new(["may", "of"]);
    for (deed, words, _) in RIGHTS {
        let of = match who.extent(deed) {
            Extent::None => continue,
            Extent::Own => "oneself",
            Extent::Tenant => "the tenant",
            Extent::All => "all",
        };
        table.row([words.to_owned(), of.to_owned()]);
    }
    text + &table.to_string()
}

/// Counters and quotas of a tenant.
pub fn tenant_status(status: &TenantStatus, now: Timestamp) -> String {
    let state = if status.stopping { "stopping" } else { "serving" };
    let up = ago(status.started_at, now);
    let mut text = format!("tenant {}, cordboard {} {state}, up {up}\n\n", status.tenant, status.version);
    let gone = status.answered.saturating_add(status.abandoned);
    let level = if gone == 0 { "-".to_owned() } else { format!("{:.1} %", share(status.in_target, gone)) };
    let lines = [
        ("calls", format!("{} now, {} waiting", status.calls, status.waiting)),
        ("work items", format!("{} open, {} to be called back", status.works, status.callbacks)),
        (
            "since start",
            format!("{} came, {} answered, {} abandoned", status.offered, status.answered, status.abandoned),
        ),
        ("service level", format!("{level} within target (abandoned calls count as missed)")),
        (
            "agents",
            format!(
                "{} ready, {} busy, {} wrap-up, {} not ready",
                status.agents_ready, status.agents_busy, status.agents_wrap_up, status.agents_not_ready
            ),
        ),
    ];
    for (name, value) in lines {
        text.push_str(&format!("{name:<14}{value}\n"));
    }
    if !status.quotas.is_empty() {
        text.push_str(&format!("\n{}", bounds("quota", &status.quotas)));
    }
    text
}

/// What users have ordered.
pub fn audit(entries: &[Audit]) -> Table {
    let mut table = Table::new(["at", "user", "account", "role", "tenant", "did"]);
    for entry in entries {
        let tenant = entry.tenant.clone().unwrap_or_else(|| "-".into());
        let (user, account, role) = (entry.user.clone(), entry.account.clone(), entry.role.as_str().to_owned());
        table.row([entry.at.to_string(), user, account, role, tenant, entry.did.clone()]);
    }
    table
}

/// Counters, bounds and alarms.
pub fn status(status: &Status, now: Timestamp) -> String {
    let mut text = summary(status, now);
    if status.recordings_refused > 0 {
        text.push_str(&format!(
            "{:<14}{} conversations not recorded, or not to their end\n",
            "recordings", status.recordings_refused
        ));
    }
    if !status.node.is_empty() {
        let (roles, back, round) = (status.roles.join(", "), status.handed_back, status.gone_round);
        let counts = format!("{back} calls handed back, {round} refused that went round");
        text.push_str(&format!("{:<14}{}: {roles}; {counts}\n", "node", status.node));
    }
    if status.agents_unreachable > 0 {
        text.push_str(&format!(
            "{:<14}{} agents signed in to whom no way leads\n",
            "unreachable", status.agents_unreachable
        ));
    }
    if status.preempted > 0 {
        text.push_str(&format!("{:<14}{} calls ended for emergency calls\n", "preempted", status.preempted));
    }
    if status.cut_offs > 0 {
        text.push_str(&format!(
            "{:<14}{} calls and work items that agents were cut off from\n",
            "cut off", status.cut_offs
        ));
    }
    if status.callbacks + status.callbacks_reached + status.callbacks_unreached > 0 {
        let (open, reached, not) = (status.callbacks, status.callbacks_reached, status.callbacks_unreached);
        text.push_str(&format!("{:<14}{open} open, {reached} reached, {not} never reached\n", "call-backs"));
    }
    if !status.sip_refused.is_empty() {
        let mut table = Table::new(["sip messages refused", "count"]);
        for (reason, count) in &status.sip_refused {
            table.row([reason.clone(), count.to_string()]);
        }
        text.push_str(&format!("\n{table}"));
    }
    if !status.media_dropped.is_empty() {
        let mut table = Table::new(["media dropped", "count"]);
        for (reason, count) in &status.media_dropped {
            table.row([reason.clone(), count.to_string()]);
        }
        text.push_str(&format!("\n{table}"));
    }
    let (shed, seen) = (status.load.shed.iter(), status.load.seen.iter());
    let gate: Vec<_> = shed.map(|(k, n)| ("held back", k, n)).chain(seen.map(|(k, n)| ("seen", k, n))).collect();
    if !gate.is_empty() {
        let mut table = Table::new(["at the gate", "for", "count"]);
        for (what, reason, count) in gate {
            table.row([what.to_owned(), reason.clone(), count.to_string()]);
        }
        text.push_str(&format!("\n{table}"));
    }
    if !status.bounds.is_empty() {
        text.push_str(&format!("\n{}", bounds("bound", &status.bounds)));
    }
    if !status.quotas.is_empty() {
        text.push_str(&format!("\n{}", bounds("quota", &status.quotas)));
    }
    if !status.alarms.is_empty() {
        text.push_str(&format!("\n{}", alarms(&status.alarms, now)));
    }
    text
}

fn bounds(title: &str, bounds: &[Bound]) -> Table {
    let mut table = Table::new([title, "used", "of", "refused"]);
    for bound in bounds {
        table.row([bound.name.clone(), bound.used.to_string(), bound.max.to_string(), bound.refused.to_string()]);
    }
    table
}

/// How busy it is, in a line.
fn load(load: &LoadView) -> String {
    let limit = load.limit_per_s.map_or("no limit".to_owned(), |limit| format!("at most {limit:.0} calls/s"));
    let cost = load.call_cpu_ms.map_or(String::new(), |ms| format!(", {ms:.2} ms a call"));
    let work = match (load.call_messages, load.capacity_per_s) {
        (Some(messages), Some(most)) => format!("; {messages:.1} messages a call, {most:.0}/s seen"),
        _ => String::new(),
    };
    format!(
        "{limit}; {:.0} offered/s, {:.0} taken/s; cpu {:.0} % of {} core(s) (switch {:.0}, store {:.0}){cost}{work}; \
         wait {:.1} ms, disk {:.1} ms",
        load.offered_per_s,
        load.taken_per_s,
        load.cpu_percent,
        load.cores,
        load.switch_percent,
        load.writer_percent,
        load.queue_ms,
        load.store_ms
    )
}

/// Sources that are kept out.
pub fn bans(bans: Vec<BanView>, now: Timestamp) -> Table {
    let mut table = Table::new(["source", "for", "since", "left", "time"]);
    for ban in bans {
        let left = ago(now, ban.until);
        table.row([ban.source, ban.reason, ago(ban.since, now), left, ban.times.to_string()]);
    }
    table
}

/// Alarms that stand.
pub fn alarms(alarms: &[Alarm], now: Timestamp) -> Table {
    let mut table = Table::new(["alarm", "about", "since"]);
    for alarm in alarms {
        table.row([alarm.name.clone(), alarm.subject.clone(), ago(alarm.since, now)]);
    }
    table
}

/// Calls in progress.
pub fn calls(calls: Vec<CallView>, now: Timestamp) -> Table {
    let mut table = Table::new(["call", "tenant", "from", "to", "since", "encryption", "state"]);
    for call in calls {
        let since = ago(call.started_at, now);
        table.row([call.call_id.to_string(), call.tenant, call.from, call.to, since, call.encryption, call.state]);
    }
    table
}

/// Agents and their states.
pub fn agents(agents: Vec<AgentView>, now: Timestamp) -> Table {
    let mut table = Table::new(["agent", "state", "since", "answered", "site", "phone"]);
    for agent in agents {
        let state = match (agent.status, agent.reason.as_str()) {
            (status, "") => status_word(status).to_owned(),
            (status, reason) => format!("{} ({reason})", status_word(status)),
        };
        let name = format!("{}/{}", agent.tenant, agent.name);
        let phone = match (agent.reachable, agent.cut) {
            (true, _) => "reachable",
            (false, true) => "unreachable",
            (false, false) => "not registered",
        };
        let place = [agent.site, agent.seat].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        let site = if place.is_empty() { "-".into() } else { place };
        table.row([name, state, ago(agent.since, now), agent.answered.to_string(), site, phone.into()]);
    }
    table
}

/// Queues and who waits.
pub fn queues(queues: Vec<QueueView>) -> Table {
    let mut table = Table::new(["queue", "waiting", "longest", "offered", "answered", "abandoned", "in target"]);
    for queue in queues {
        table.row([
            format!("{}/{}", queue.tenant, queue.name),
            queue.waiting.to_string(),
            span(queue.longest_wait_s),
            queue.offered.to_string(),
            queue.answered.to_string(),
            queue.abandoned.to_string(),
            queue.in_target.to_string(),
        ]);
    }
    table
}

/// Trunks and their health.
pub fn trunks(trunks: Vec<TrunkView>) -> Table {
    let mut table = Table::new(["trunk", "kind", "leads to", "calls", "service", "health"]);
    for trunk in trunks {
        let mut health = trunk.health.into_iter();
        table.row([
            trunk.name,
            trunk.kind,
            trunk.node.unwrap_or_else(|| "-".into()),
            trunk.calls.to_string(),
            service_word(trunk.service).into(),
            health.next().unwrap_or_default(),
        ]);
        for more in health {
            table.row([String::new(), String::new(), String::new(), String::new(), String::new(), more]);
        }
    }
    table
}

/// Sites, the ways to them and their health.
pub fn sites(sites: Vec<SiteView>) -> Table {
    let mut table = Table::new(["site", "link", "agents", "unreachable", "ways"]);
    for site in sites {
        let mut ways = site.ways.into_iter();
        let link = match site.up {
            Some(true) => "up",
            Some(false) => "down",
            None => "-",
        };
        table.row([
            site.name,
            link.into(),
            site.agents.to_string(),
            site.unreachable.to_string(),
            ways.next().unwrap_or_default(),
        ]);
        for more in ways {
            table.row([String::new(), String::new(), String::new(), String::new(), more]);
        }
    }
    table
}

/// What tenants are permitted on the trunks that they share.
pub fn contracts(contracts: Vec<ContractView>) -> Table {
    let head = [
        "tenant",
        "trunk",
        "agents",
        "calls",
        "permitted",
        "trunk busy",
        "of",
        "worth",
        "price",
        "next",
        "came",
        "refused",
    ];
    let mut table = Table::new(head);
    let count = |calls: Option<u64>| calls.map_or("-".into(), |calls| calls.to_string());
    let money = |worth: Option<f64>| worth.map_or("-".into(), |worth| format!("{worth:.3}"));
    for of in contracts {
        let full = of.worth.is_some() && of.price.is_none();
        table.row([
            of.tenant,
            of.trunk,
            of.agents.to_string(),
            of.calls.to_string(),
            of.permitted.to_string(),
            count(of.trunk_calls),
            count(of.trunk_circuits),
            money(of.worth),
            if full { "full".into() } else { money(of.price) },
            of.accepts.map_or("-", |accepts| if accepts { "admitted" } else { "refused" }).into(),
            of.offered.to_string(),
            of.refused.to_string(),
        ]);
    }
    table
}

/// Circuits, and peers.
pub fn circuits(circuits: Vec<CircuitView>) -> Table {
    let mut table = Table::new(["trunk", "circuit", "service", "use", "carried"]);
    for of in circuits {
        let usage = match (of.calls.as_slice(), of.held_s) {
            ([call], _) => format!("call {call}"),
            ([], Some(s)) => format!("held by the far end for {}", span(s)),
            ([], None) if of.idle => "idle".into(),
            ([], None) => "busy".into(),
            (calls, _) => format!("{} calls", calls.len()),
        };
        let service = match of.service {
            CircuitService::InService => "in service",
            CircuitService::BusyingOut => "busying out",
            CircuitService::BusiedOut => "busied out",
            CircuitService::OutOfService => "out of service",
            CircuitService::BlockedByFarEnd => "blocked by far end",
        };
        table.row([of.trunk, of.circuit, service.into(), usage, of.carried.map_or("-".into(), |n| n.to_string())]);
    }
    table
}

/// What a restart did.
pub fn restarted(circuits: Vec<RestartedCircuit>) -> Table {
    let mut table = Table::new(["circuit", "call ended", "now"]);
    for of in circuits {
        let now = match (of.in_alarm, of.held) {
            (true, _) => "in alarm",
            (false, true) => "idle when the far end goes on-hook",
            (false, false) => "idle in a moment",
        };
        table.row([of.circuit, of.call.map_or("-".into(), |call| call.to_string()), now.into()]);
    }
    table
}

/// How a number would be reached.
pub fn routes(view: RoutesView) -> String {
    let mut text = format!("{} at {}", view.number, view.at);
    if view.emergency {
        text.push_str(", an emergency number");
    }
    if let Some(who) = &view.within {
        text.push_str(&format!("\n{who} answers it, without a trunk"));
    }
    if view.ways.is_empty() {
        text.push_str("\nno trunk has a prefix of it");
        return text;
    }
    let mut table = Table::new(["", "trunk", "prefix", "cost", "sent", "shown", "why"]);
    for way in view.ways {
        let prefix = if way.prefix.is_empty() { "any".into() } else { way.prefix };
        let order = way.order.map_or("-".into(), |order| order.to_string());
        let shown = if way.shown.is_empty() { "-".into() } else { way.shown };
        table.row([order, way.trunk, prefix, way.cost.to_string(), way.sent, shown, way.why]);
    }
    format!("{text}\n{}", table.to_string().trim_end())
}

fn service_word(service: Service) -> &'static str {
    match service {
        Service::InService => "in service",
        Service::BusyingOut => "busying out",
        Service::BusiedOut => "busied out",
        Service::Blocked => "blocked",
        Service::BlockedByFarEnd => "blocked by far end",
    }
}

/// Servers in the order in which they would be tried.
pub fn servers(servers: Vec<ServerView>) -> Table {
    let mut table = Table::new(["transport", "address", "health"]);
    servers.into_iter().for_each(|server| table.row([server.transport, server.address, server.health]));
    table
}

fn status_word(status: AgentStatus) -> &'static str {
    match status {
        AgentStatus::Null => "signed out",
        AgentStatus::NotReady => "not ready",
        AgentStatus::Ready => "ready",
        AgentStatus::Busy => "busy",
        AgentStatus::WrapUp => "wrap-up",
    }
}

/// How long ago, for people.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    span(u64::try_from((now.0.saturating_sub(then.0)) / 1000).unwrap_or(0))
}

/// Seconds as `42s`, `3m05s`, `2h07m`, `4d03h`.
pub(super) fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// A share in percent.
fn share(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole as f64
}

/// What else is told of the match, where there is something to tell.
fn forecasts(status: &Status) -> String {
    let count = |n: u64, what: &str| if n > 0 { format!("; {n} {what}") } else { String::new() };
    let error =
        status.wait_error.map_or(String::new(), |error| format!("; waits foretold with squared error {error:.2}"));
    count(status.held, "held for better agents") + &count(status.unservable, "that nobody could take") + &error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::control::Bound;

    #[test]
    fn spans_are_short() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (185, "3m05s"), (7620, "2h07m"), (356_400, "4d03h")] {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(ago(Timestamp(10_000), Timestamp(5_000)), "0s");
    }

    #[test]
    fn a_status_shows_level_bounds_and_alarms() {
        let view = Status {
            version: "0.1.0".into(),
            queue_answered: 3,
            abandoned: 1,
            in_target: 3,
            bounds: vec![Bound { name: "calls".into(), used: 2, max: 10_000, refused: 0 }],
            alarms: vec![Alarm { name: "span-red".into(), subject: "t1-1".into(), since: Timestamp(0) }],
            ..Status::default()
        };
        let text = status(&view, Timestamp(90_000));
        assert!(text.starts_with("cordboard 0.1.0 serving, up 1m30s\n"), "{text}");
        assert!(text.contains("75.0 % within target"), "{text}");
        assert!(text.contains("calls     2  10000        0"), "{text}");
        assert!(text.contains("span-red  t1-1   1m30s"), "{text}");
        assert!(status(&Status::default(), Timestamp(0)).contains("service level - within"));
    }
}
