//! Random provisionings for tests.

use std::collections::BTreeMap;

use crate::base::Medium;
use crate::core::contact::{Kind, Level, Mode, Modifier, Policy, Routing, Step, Value, Weights};
use crate::core::tenant::directory::capacity;
use crate::core::tenant::provision::{
    Agent, AgentModifier, Attribute, CHAT_GRACE_S, CallerId, Card, Contract, Flow, Hunt, Node, Number, PROBE_S, Peer,
    Provision, Queue, Quota, Refusal, Role, Sharing, SharingMode, Shown, Site, Skill, Span, Sticky, Tariff, Tenant,
    Trunk, Unservable, User, WORK_GRACE_S,
};
use crate::core::trunk::admission::Decimal;

/// A small generator (xorshift64*): the same numbers for a seed, everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is over 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    pub(crate) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| make(self))
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn secret(&mut self) -> String {
        (0..=self.below(12)).map(|_| self.pick(&['a', 'Z', '7', '"', '\\', '\'', ' ', 'ß', '#', '\u{1F600}'])).collect()
    }
}

/// A provisioning that passes the check: every kind of entry, references between them, optional fields there or not.
pub(crate) fn provision(seed: u64) -> Provision {
    let mut r = Random::new(seed);
    let mut p = Provision::default();
    p.sip.calls_max = 1 + r.below(1_000) as u32;
    p.site = (0..r.below(3)).map(|i| site(&mut r, i)).collect();
    for t in 0..1 + r.below(4) {
        let country = r.maybe(|r| r.pick(&["us", "de", "jp"]).to_string());
        p.tenant.push(Tenant {
            name: format!("tenant.{t}"),
            country,
            timezone: "UTC".into(),
            language: "pt-br".into(),
            routing: r.maybe(routing).unwrap_or_default(),
            dispositions: (0..r.below(3)).map(|n| format!("done {n}")).collect(),
            not_ready_reasons: (0..r.below(3)).map(|n| format!("reason \"{n}\"")).collect(),
            caller_id: r.pick(&Shown::ALL),
            caller_number: None,
            contract: None,
            quota: Quota {
                agents: r.maybe(|r| 6 + r.below(9) as u32),
                works: r.maybe(|r| r.below(9) as u32),
                ..Quota::default()
            },
        });
        tenant(&mut r, &mut p, t);
    }
    p.node = Node { name: "here".into(), ..Node::default() };
    users(&mut r, &mut p);
    trunks(&mut r, &mut p);
    contracts(&mut r, &mut p);
    p
}

fn users(r: &mut Random, p: &mut Provision) {
    p.access.socket = r.maybe(|_| "/run/cordboard/users.sock".into());
    let mut user = |role, tenant: Option<&str>, agent: Option<&str>| {
        let n = p.user.len();
        let (tenant, agent) = (tenant.map(String::from), agent.map(String::from));
        p.user.push(User { name: format!("user-{n}"), role, tenant, agent, account: format!("Acc_{n}") });
    };
    user(Role::Operator, None, None);
    user(Role::Auditor, r.maybe(|_| "tenant.0"), None);
    user(r.pick(&[Role::Administrator, Role::Supervisor]), Some("tenant.0"), None);
    if let Some(agent) = p.agent.first() {
        user(Role::Agent, Some(&agent.tenant), Some(&agent.name));
    }
}

/// The first site has a switch.
fn site(r: &mut Random, number: usize) -> Site {
    Site {
        name: format!("site-{number}"),
        timezone: "Europe/Berlin".into(),
        trunks: if number == 0 { vec!["circuits".into()] } else { Vec::new() },
        extension_strip: r.below(3) as u8,
        extension_prefix: r.pick(&["", "8", "*9"]).into(),
        probe_s: r.pick(&[0, PROBE_S, 30]),
        chat_grace_s: r.pick(&[0, CHAT_GRACE_S, 60]),
        work_grace_s: r.pick(&[0, WORK_GRACE_S, 60]),
    }
}

fn contracts(r: &mut Random, p: &mut Provision) {
    p.admission = r.maybe(|r| Sharing { mode: r.pick(&SharingMode::ALL), ..Sharing::default() }).unwrap_or_default();
    let shared: Vec<String> = p.trunk.iter().filter(|t| capacity(p, t) > 0).map(|trunk| trunk.name.clone()).collect();
    for tenant in p.tenant.iter_mut().filter(|_| !shared.is_empty()) {
        let flow = p.flow.iter().find(|flow| flow.tenant == tenant.name).map(|flow| flow.name.clone());
        let other = p.trunk.iter().find(|trunk| shared != [trunk.name.as_str()]).filter(|_| flow.is_none());
        let to = other.and_then(|trunk| r.maybe(|_| format!("trunk:{}/0555", trunk.name)));
        tenant.contract = r.maybe(|r| Contract {
            trunks: shared.clone(),
            ratio: r.pick(&["0", "1.25", "1.150"]).parse().expect("decimal"),
            after_hours: r.below(3) as u32,
            worth_within: 2.5,
            worth_beyond: r.below(3) as f64,
            refused: match (&flow, &to) {
                (Some(_), _) => Refusal::Flow,
                (None, Some(_)) => Refusal::Overflow,
                (None, None) => r.pick(&Refusal::ALL[..3]),
            },
            refused_flow: flow,
            refused_to: to,
        });
    }
}

fn tenant(r: &mut Random, p: &mut Provision, t: usize) {
    let tenant = format!("tenant.{t}");
    let skills: Vec<String> = (0..r.below(4)).map(|i| format!("skill{i}")).collect();
    p.skill.extend(skills.iter().map(|name| Skill { tenant: tenant.clone(), name: name.clone() }));
    attributes(p, &tenant);
    for a in 0..r.below(6) {
        let user = r.maybe(|_| format!("u{t}+{a}"));
        let code = r.maybe(|_| format!("{a}00"));
        let site = if p.site.is_empty() { None } else { r.maybe(|_| p.site[0].name.clone()) };
        p.agent.push(Agent {
            tenant: tenant.clone(),
            name: format!("agent_{a}"),
            range: None,
            serves: Vec::new(),
            extension: r.maybe(|r| format!("4{:03}", r.below(1_000))).filter(|_| site.is_some()),
            phone: r.maybe(|r| format!("+4930{}", r.below(1_000))),
            site,
            contact: if user.is_none() { Some(format!("sip:a{a}@127.0.0.{}:5080", t + 1)) } else { None },
            password: user.as_ref().map(|_| r.secret().into()),
            user,
            pin: code.as_ref().map(|_| "0815".to_string().into()),
            code,
            skills: skills
                .iter()
                .filter_map(|name| Some((name.clone(), r.maybe(|r| (1 + r.below(1_000)) as f64 / 1_000.0)?)))
                .collect(),
            backup: skills.iter().filter_map(|name| Some((name.clone(), r.maybe(|r| r.below(101) as u8)?))).collect(),
            attributes: agent_attributes(r),
            modifier: r.maybe(agent_modifiers).unwrap_or_default(),
            slots: Medium::ALL.into_iter().filter_map(|medium| r.maybe(|r| (medium, r.below(2) as u8))).collect(),
            signed_in: r.below(2) == 0,
            ring_s: 1 + r.below(100) as u32,
            wrap_up_s: r.below(100) as u32,
            srtp: ["off", "optional", "required"][r.below(3)].into(),
            srtp_keys: ["dtls", "sdes", "sdes-in-clear"][r.below(3)].into(),
        });
    }
    for q in 0..r.below(3) {
        p.queue.push(Queue {
            tenant: tenant.clone(),
            name: format!("queue-{q}"),
            skills: skills
                .iter()
                .filter_map(|name| Some((name.clone(), r.maybe(|r| r.below(10) as f64 / 9.0)?)))
                .collect(),
            modifier: r.maybe(modifiers).unwrap_or_default(),
            importance: r.pick(&[1.0, 0.25, 100.0]),
            sticky: r.maybe(|r| Sticky { importance: 1 + r.below(100) as u8, fade_days: 1 + r.below(90) as u32 }),
            treatment: r.pick(&["music", "ringback"]).into(),
            music: r.maybe(|_| "acme/waiting".into()),
            announce_every_s: r.pick(&[0, 30]),
            target_s: 1 + r.below(60) as u32,
            targets_s: Medium::ALL.into_iter().filter_map(|m| r.maybe(|r| (m, 1 + r.below(9_000) as u32))).collect(),
            escalate_after_s: if q > 0 { r.below(60) as u32 } else { 0 },
            // Only to the queue before: no circles.
            escalate_to: (q > 0).then(|| format!("queue-{}", q - 1)),
            unservable: r.maybe(|r| r.pick(&[Unservable::Overflow, Unservable::Hold])),
            callback: r.below(2) == 0,
            callback_tries: 1 + r.below(10) as u32,
            callback_every_s: 10 + r.below(600) as u32,
            overflow_after_s: r.below(60) as u32,
            waiting_max: r.below(60) as u32,
            record: r.below(2) == 0,
        });
    }
    for f in 0..r.below(3) {
        let comment = r.secret().replace('\u{1F600}', "'''");
        let text = format!("# {comment}\n[flow]\nstart = \"end\"\n\n[step.end]\ndo = \"hangup\"\n");
        p.flow.push(Flow { tenant: tenant.clone(), name: format!("flow-{f}"), text, file: None });
        p.number.push(Number { number: format!("+49{t}{f}"), tenant: tenant.clone(), flow: format!("flow-{f}") });
    }
}

fn routing(r: &mut Random) -> Routing {
    let weights = Weights { fit: 80.5, flex: r.below(1_000) as f64 / 8.0, ..Weights::default() };
    Routing { policy: r.pick(&Policy::ALL), weights }
}

fn attributes(p: &mut Provision, tenant: &str) {
    let lists = [
        ("language", Kind::Symbol, &["en", "es", "pt \"br\""][..]),
        ("topics", Kind::Set, &[]),
        ("calm", Kind::Level, &[]),
    ];
    p.attribute.extend(lists.map(|(name, kind, values)| Attribute {
        tenant: tenant.into(),
        name: name.into(),
        kind,
        values: values.iter().map(|value| (*value).to_string()).collect(),
    }));
}

fn agent_attributes(r: &mut Random) -> BTreeMap<String, Value> {
    let one = Value::Symbol(r.pick(&["en", "es"]).into());
    let set = Value::Set(["en", "pt \"br\""].map(String::from).into());
    let language = r.maybe(|_| one).unwrap_or(set);
    let calm = Value::Level(Level::new(r.below(1_001) as f64 / 1_000.0));
    let all =
        [("language", language), ("topics", Value::Set([r.secret().trim().to_string() + "x"].into())), ("calm", calm)];
    all.into_iter().filter_map(|(name, value)| r.maybe(|_| (name.to_string(), value))).collect()
}

fn agent_modifiers(r: &mut Random) -> Vec<AgentModifier> {
    let (importance, cost) = (r.below(101) as u8, r.below(101) as u8);
    let mode = r.pick(&[Mode::Required, Mode::Preferred, Mode::Forbidden]);
    let modifier = |attribute: &str, value: Option<&str>| AgentModifier {
        attribute: attribute.into(),
        value: value.map(str::to_string),
        mode,
        importance,
        cost,
    };
    vec![modifier("language", Some("es")), modifier("calm", None)]
}

fn modifiers(r: &mut Random) -> Vec<Modifier> {
    let mode = r.pick(&[Mode::Required, Mode::Preferred, Mode::Forbidden]);
    let step = |after_s, level: f64| Step { after_s, level: Level::new(level), importance: 7 };
    let plain = Modifier {
        attribute: "calm".into(),
        value: None,
        mode,
        level: r.maybe(|r| Level::new(r.below(1_001) as f64 / 1_000.0)),
        importance: r.maybe(|r| r.below(101) as u8),
        schedule: vec![step(10, 0.5), step(20, 0.25)],
        credit_s: r.below(50) as u32,
    };
    let named =
        Modifier { attribute: "language".into(), value: Some("es".into()), schedule: Vec::new(), ..plain.clone() };
    let own = Modifier { attribute: "topics".into(), credit_s: 0, ..plain.clone() };
    vec![plain, named, own]
}

fn trunks(r: &mut Random, p: &mut Provision) {
    p.trunk.push(Trunk {
        name: "circuits".into(),
        kind: "tdm".into(),
        peer: Vec::new(),
        user: None,
        password: None,
        register: false,
        authenticate: false,
        trusted: false,
        node: None,
        prefix: vec!["".into(), "9".into()],
        strip: 1,
        cost: cost(r),
        tariff: Vec::new(),
        hours: hours(r),
        timezone: "UTC".into(),
        caller_id: None,
        caller_number: None,
        hunt: r.pick(&Hunt::ALL),
        permitted: 0,
        calls_max: 0,
        reserved_out: 0,
        out_of_service: r.below(2) == 0,
        emergency_preempts: r.below(2) == 0,
        tls: None,
        outbound_proxy: None,
        failover_s: 4,
        srtp: "off".into(),
        srtp_keys: "dtls".into(),
    });
    for i in 0..r.below(3) {
        let user = r.maybe(|_| format!("user{i}"));
        let caller_number = r.maybe(|_| "+15550100".to_string());
        let caller_id = r.maybe(|r| r.pick(&[CallerId::Own, CallerId::Pass, CallerId::Withheld]));
        p.trunk.push(Trunk {
            name: format!("carrier-{i}"),
            kind: "sip".into(),
            peer: (0..1 + r.below(3)).map(|n| peer(r, i, n)).collect(),
            password: user.as_ref().map(|_| r.secret().into()),
            register: user.is_some() && r.below(2) == 0,
            authenticate: user.is_some() && r.below(2) == 0,
            trusted: r.below(2) == 0,
            node: r.maybe(|r| format!("node-{}", r.below(2))),
            user,
            prefix: (0..r.below(3)).map(|n| format!("+{n}")).collect(),
            strip: r.below(5) as u8,
            cost: cost(r),
            tariff: (0..r.below(3))
                .map(|_| Tariff { hours: hours(r), cost: cost(r) })
                .filter(|t| !t.hours.is_empty())
                .collect(),
            hours: hours(r),
            timezone: r.pick(&["UTC", "Europe/Berlin"]).into(),
            caller_id: caller_number.as_ref().map(|_| CallerId::Fixed).or(caller_id),
            caller_number,
            hunt: Hunt::default(),
            permitted: 0,
            calls_max: r.pick(&[0, 30]),
            reserved_out: 0,
            out_of_service: r.below(2) == 0,
            emergency_preempts: r.below(2) == 0,
            tls: None,
            outbound_proxy: None,
            failover_s: 4,
            srtp: ["off", "optional", "required"][r.below(3)].into(),
            srtp_keys: ["dtls", "sdes", "sdes-in-clear"][r.below(3)].into(),
        });
    }
    for c in 0..r.below(3) {
        // Each card has a span at least, with more circuits than that.
        (p.trunk[0].reserved_out, p.trunk[0].permitted) = (r.below(3) as u32, r.below(9) as u32);
        p.card.push(Card { name: format!("card{c}"), driver: r.pick(&["sim-t1", "sim-e1"]).into(), spans: 4 });
        for s in 1..2 + r.below(3) as u8 {
            let (name, card) = (format!("span{c}.{s}"), format!("card{c}"));
            p.span.push(Span { name, card, span: s, signalling: "em-wink".into(), trunk: "circuits".into() });
        }
    }
}

fn cost(r: &mut Random) -> Decimal {
    r.pick(&["0", "0.015", "2", "12.50"]).parse().unwrap_or_default()
}

fn hours(r: &mut Random) -> BTreeMap<String, String> {
    let all = [("mo-fr", "08:00-12:00 13:00-18:30"), ("sa,su", "22:00-06:00"), ("holidays", "2026-12-24 --12-25")];
    all.iter().take([0, 1, 3][r.below(3)]).map(|(days, times)| (days.to_string(), times.to_string())).collect()
}

fn peer(r: &mut Random, trunk: usize, n: usize) -> Peer {
    Peer {
        address: if n == 2 { format!("2001:db8::{trunk}") } else { format!("192.0.{trunk}.{n}") },
        port: (r.below(3) > 0).then(|| 1 + r.below(65_000) as u16),
        transport: (r.below(3) > 0).then(|| r.pick(&["udp", "tcp", "tls"]).into()),
        priority: r.below(10) as u16,
        weight: r.below(10) as u16,
        options_s: r.pick(&[0, 30]),
    }
}
