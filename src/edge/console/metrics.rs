//! The state of the appliance as metrics, in the text format that Prometheus reads (exposition format 0.0.4): what only ever
//! grows ends in `_total`, times are in seconds. Callers' numbers are in none of it.

use std::fmt::Write;

use crate::core::control::{ContractView, QueueView, Service, SiteView, Status, TrunkView};

/// What metrics are made of.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The whole.
    pub status: Status,
    /// Queues.
    pub queues: Vec<QueueView>,
    /// Trunks.
    pub trunks: Vec<TrunkView>,
    /// Sites.
    pub sites: Vec<SiteView>,
    /// Tenants on the trunks that they share.
    pub contracts: Vec<ContractView>,
}

/// All metrics, each with what it is.
pub fn metrics(sources: &Sources) -> String {
    let mut page = Page(String::new());
    page.whole(&sources.status);
    page.load(&sources.status);
    page.bounds(&sources.status);
    page.queues(&sources.queues);
    page.trunks(&sources.trunks);
    page.sites(&sources.sites);
    page.contracts(&sources.contracts);
    page.0
}

struct Page(String);

impl Page {
    /// One metric: what it is, and a value for each set of labels.
    fn metric<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        rows: impl IntoIterator<Item = ([String; N], f64)>,
    ) {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        // Writing to a String cannot fail.
        let _ = write!(self.0, "# HELP cordboard_{name} {help}\n# TYPE cordboard_{name} {kind}\n");
        for (values, value) in rows {
            let pairs = labels.iter().zip(&values).map(|(label, value)| format!("{label}=\"{}\"", escape(value)));
            let pairs: Vec<String> = pairs.collect();
            let pairs = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            let _ = writeln!(self.0, "cordboard_{name}{pairs} {value}");
        }
    }

    fn one(&mut self, name: &str, help: &str, value: impl Into<f64>) {
        self.metric(name, help, [], [([], value.into())]);
    }

    fn count(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, help, value as f64);
    }

    fn whole(&mut self, status: &Status) {
        let version = [([status.version.clone(), status.node.clone()], 1.0)];
        self.metric(
            "info",
            "The product's version, and the appliance's name among others.",
            ["version", "node"],
            version,
        );
        self.one("start_time_seconds", "Start of the process, since 1970.", status.started_at.as_millis() as f64 / 1e3);
        self.count("calls", "Calls in progress.", status.calls);
        self.count("calls_offered_total", "Calls that came in.", status.offered);
        self.count("calls_answered_total", "Calls that reached an agent or a transfer target.", status.answered);
        self.count(
            "calls_abandoned_total",
            "Calls whose caller left the queue before an agent answered.",
            status.abandoned,
        );
        self.count(
            "calls_handed_back_total",
            "Calls handed back to the appliance that they came from.",
            status.handed_back,
        );
        self.count("calls_gone_round_total", "Calls refused since they went round in a circle.", status.gone_round);
        self.count("calls_preempted_total", "Calls ended for emergency calls.", status.preempted);
        self.count("items_waiting", "Items of all media that wait.", status.waiting);
        self.count("items_answered_total", "Items of all media that an agent took.", status.queue_answered);
        self.count("items_in_target_total", "Of these, those taken within their target.", status.in_target);
        self.count("items_held", "Items that wait for a better agent, though another could have them.", status.held);
        self.count("items_unservable", "Items that no agent there is could take.", status.unservable);
        self.count("offers_total", "Offers made to agents.", status.offers);
        self.count(
            "double_offers_total",
            "Offers made to an agent who had one already; zero by construction.",
            status.double_offers,
        );
        self.count("cut_offs_total", "Calls and work items that agents were cut off from.", status.cut_offs);
        self.count("callbacks_open", "Clients who are to be called back.", status.callbacks);
        self.count("callbacks_reached_total", "Clients who were called back and answered.", status.callbacks_reached);
        self.count("callbacks_unreached_total", "Clients who never answered.", status.callbacks_unreached);
        self.count(
            "waits_foretold_total",
            "Waits that were foretold and have ended with an answer.",
            status.waits_foretold,
        );
        let error = status.wait_error.map(|error| ([], error));
        self.metric(
            "wait_error_ratio",
            "Mean squared error of waits that were foretold, over the mean squared wait.",
            [],
            error,
        );
        let agents = [
            ("ready", status.agents_ready),
            ("busy", status.agents_busy),
            ("wrap-up", status.agents_wrap_up),
            ("not-ready", status.agents_not_ready),
            ("unreachable", status.agents_unreachable),
        ];
        let agents = agents.map(|(state, count)| ([state.to_owned()], count as f64));
        self.metric(
            "agents",
            "Agents signed in, by state; those out of reach are in another state, too.",
            ["state"],
            agents,
        );
        self.count("registrations", "Phones registered.", status.registrations);
        self.count(
            "recordings_refused_total",
            "Conversations not recorded, or not to their end.",
            status.recordings_refused,
        );
        self.count("encrypted_legs", "Legs whose media is encrypted.", status.encrypted_legs);
        let alarms = status.alarms.iter().map(|alarm| ([alarm.name.clone(), alarm.subject.clone()], 1.0));
        self.metric("alarm", "Alarms that stand.", ["name", "subject"], alarms);
    }

    fn load(&mut self, status: &Status) {
        let load = &status.load;
        self.one("cpu_ratio", "CPU time of the process, in cores.", load.cpu_percent / 100.0);
        self.one("store_wait_seconds", "How long an answer waited for the disk at least.", load.store_ms / 1e3);
        let by_reason = |all: &std::collections::BTreeMap<String, u64>| -> Vec<([String; 1], f64)> {
            all.iter().map(|(reason, count)| ([reason.clone()], *count as f64)).collect()
        };
        self.metric(
            "shed_total",
            "Requests answered 503 and datagrams dropped at the gate.",
            ["reason"],
            by_reason(&load.shed),
        );
        self.metric(
            "sip_refused_total",
            "SIP messages dropped or refused.",
            ["reason"],
            by_reason(&status.sip_refused),
        );
        self.metric("media_dropped_total", "Media packets dropped.", ["reason"], by_reason(&status.media_dropped));
    }

    fn bounds(&mut self, status: &Status) {
        let all = |of: fn(&crate::base::Bound) -> u64| -> Vec<([String; 1], f64)> {
            status.bounds.iter().map(|bound| ([bound.name.clone()], of(bound) as f64)).collect()
        };
        self.metric("bound_used", "How much of a bound is in use.", ["bound"], all(|bound| bound.used));
        self.metric("bound_max", "The bound.", ["bound"], all(|bound| bound.max));
        self.metric(
            "bound_refused_total",
            "What was refused or held back for it.",
            ["bound"],
            all(|bound| bound.refused),
        );
    }

    fn queues(&mut self, queues: &[QueueView]) {
        let all = |of: fn(&QueueView) -> u64| -> Vec<([String; 2], f64)> {
            queues.iter().map(|queue| ([queue.tenant.clone(), queue.name.clone()], of(queue) as f64)).collect()
        };
        let labels = ["tenant", "queue"];
        self.metric("queue_waiting", "Items that wait.", labels, all(|queue| queue.waiting));
        self.metric("queue_longest_wait_seconds", "The longest wait.", labels, all(|queue| queue.longest_wait_s));
        self.metric("queue_offered_total", "Items that came.", labels, all(|queue| queue.offered));
        self.metric("queue_answered_total", "Items that an agent took.", labels, all(|queue| queue.answered));
        self.metric("queue_abandoned_total", "Items that left before.", labels, all(|queue| queue.abandoned));
        self.metric("queue_in_target_total", "Items taken within their target.", labels, all(|queue| queue.in_target));
    }

    fn trunks(&mut self, trunks: &[TrunkView]) {
        let calls = trunks.iter().map(|trunk| ([trunk.name.clone()], trunk.calls as f64));
        self.metric("trunk_calls", "Calls in progress.", ["trunk"], calls);
        let up = trunks.iter().map(|trunk| {
            let takes = matches!(trunk.service, Service::InService);
            ([trunk.name.clone()], f64::from(u8::from(takes)))
        });
        self.metric("trunk_in_service", "Whether it takes calls.", ["trunk"], up);
    }

    fn sites(&mut self, sites: &[SiteView]) {
        let up = sites.iter().filter_map(|site| Some(([site.name.clone()], f64::from(u8::from(site.up?)))));
        self.metric("site_up", "Whether a way leads there.", ["site"], up);
        let all = |of: fn(&SiteView) -> u64| -> Vec<([String; 1], f64)> {
            sites.iter().map(|site| ([site.name.clone()], of(site) as f64)).collect()
        };
        self.metric("site_agents", "Agents there who are signed in.", ["site"], all(|site| site.agents));
        let unreachable = all(|site| site.unreachable);
        self.metric("site_agents_unreachable", "Of these, those to whom no way leads.", ["site"], unreachable);
    }

    fn contracts(&mut self, contracts: &[ContractView]) {
        let all = |of: fn(&ContractView) -> f64| -> Vec<([String; 2], f64)> {
            contracts.iter().map(|one| ([one.tenant.clone(), one.trunk.clone()], of(one))).collect()
        };
        let labels = ["tenant", "trunk"];
        self.metric(
            "contract_permitted",
            "Calls that a tenant's agents permit.",
            labels,
            all(|one| one.permitted as f64),
        );
        self.metric(
            "contract_calls",
            "The tenant's calls on all its shared trunks.",
            labels,
            all(|one| one.calls as f64),
        );
        self.metric("contract_offered_total", "Calls that came for the trunk.", labels, all(|one| one.offered as f64));
        self.metric("contract_refused_total", "Of these, not admitted.", labels, all(|one| one.refused as f64));
        let money = |of: fn(&ContractView) -> Option<f64>| -> Vec<([String; 2], f64)> {
            let priced = contracts.iter().filter_map(|one| Some(([one.tenant.clone(), one.trunk.clone()], of(one)?)));
            priced.collect()
        };
        self.metric("contract_worth", "What a call would be worth.", labels, money(|one| one.worth));
        self.metric("contract_price", "What a circuit costs the tenant.", labels, money(|one| one.price));
    }
}

/// A label's value: backslash, quotation mark and line feed are escaped.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_a_metric_without_values_is_told_all_the_same() {
        let mut page = Page(String::new());
        page.metric("x_total", "Things.", ["a"], [(["q\"\\\n".to_owned()], 3.0)]);
        page.metric("y", "Others.", [], [([], 0.25)]);
        page.metric("z", "None.", ["a"], []);
        let expected = "# HELP cordboard_x_total Things.\n# TYPE cordboard_x_total counter\ncordboard_x_total{a=\"q\\\"\\\\\\n\"} 3\n\
                        # HELP cordboard_y Others.\n# TYPE cordboard_y gauge\ncordboard_y 0.25\n\
                        # HELP cordboard_z None.\n# TYPE cordboard_z gauge\n";
        assert_eq!(page.0, expected);
    }
}
