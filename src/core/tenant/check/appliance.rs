//! Listeners, media, cards, spans and trunks.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Checker;
use super::contracts::CALLS_MAX;
use crate::base::Codec;
use crate::core::load;
use crate::core::tenant::address;
use crate::core::tenant::directory::{Host, PREFIX_LENGTH_MAX, SrtpPolicy};
use crate::core::tenant::provision::{Dns, Peer, Trunk};
use crate::core::tls::ClientTls;
use crate::core::trunk::dns_server;
use crate::proto::sip::Transport;

/// Most DNS servers (resolv.conf(5): three).
const DNS_SERVERS_MAX: usize = 3;

/// Highest rate that may be configured, a second.
const RATE_MAX: u32 = 1_000_000;

/// Most entries of a list in `[sip]`.
const LIST_MAX: usize = 64;

/// Longest user name and password, in octets.
pub(super) const CREDENTIAL_LENGTH_MAX: usize = 128;

impl Checker<'_> {
    pub(super) fn appliance(&mut self) {
        self.sip();
        self.media();
        self.admission();
        self.node();
        self.access();
        self.cards_and_spans();
        self.trunks();
        self.roles();
    }

    fn sip(&mut self) {
        let sip = &self.provision.sip;
        self.enter_single("sip");
        let mut seen = HashSet::new();
        for (index, listen) in sip.listen.iter().enumerate() {
            let field = format!("listen[{index}]");
            match address::listener(listen) {
                None => self.problem(
                    &field,
                    format!("`listen` is {listen:?}"),
                    "udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT",
                ),
                Some(listener) if !seen.insert(listener) => {
                    self.problem(&field, format!("{listen:?} is there twice"), "each listener once");
                }
                Some(_) => {}
            }
        }
        let tls = sip.listen.iter().filter_map(|l| address::listener(l)).any(|(t, _)| t == Transport::Tls);
        match &sip.tls {
            None if tls => self.problem("listen", "a listener by TLS without a certificate", "[sip.tls]"),
            Some(settings) => {
                self.file_name("tls.certificate", Some(&settings.certificate));
                self.file_name("tls.key", Some(&settings.key));
                self.file_name("tls.client_ca", settings.client_ca.as_deref());
                if settings.require_client_certificate && settings.client_ca.is_none() {
                    let what = "`require_client_certificate` without `client_ca`";
                    self.problem("tls.require_client_certificate", what, "whose certificates are good: `client_ca`");
                }
            }
            None => {}
        }
        self.dns(&sip.dns);
        if !address::is_host_name(&sip.realm) {
            self.problem("realm", format!("`realm` is {:?}", sip.realm), "a domain name");
        }
        self.in_range("calls_max", sip.calls_max, 1..=CALLS_MAX);
        self.in_range("stop_grace_s", sip.stop_grace_s, 0..=3_600);
        // RFC 4028 section 5: no interval below 90 s.
        self.in_range("min_se_s", sip.min_se_s, 90..=86_400);
        if sip.session_expires_s != 0 {
            self.in_range("session_expires_s", sip.session_expires_s, sip.min_se_s.max(90)..=604_800);
        }
        self.gate();
    }

    /// What is let in.
    fn gate(&mut self) {
        let sip = &self.provision.sip;
        for (field, rate) in
            [("peer_per_s", sip.peer_per_s), ("phone_per_s", sip.phone_per_s), ("stranger_per_s", sip.stranger_per_s)]
        {
            self.in_range(field, rate, 0..=RATE_MAX);
        }
        for (list, name) in [(&sip.emergency, "emergency"), (&sip.exempt, "exempt")] {
            if list.len() > LIST_MAX {
                self.problem(name, format!("`{name}` has {} entries", list.len()), "at most 64");
            }
        }
        for (index, number) in sip.emergency.iter().enumerate() {
            if !address::is_digits(number, 8) {
                self.problem(&format!("emergency[{index}]"), format!("{number:?} is no number"), "1 to 8 digits");
            }
        }
        for (index, network) in sip.exempt.iter().enumerate() {
            if load::prefix(network).is_none() {
                let what = format!("{network:?} is no network");
                self.problem(&format!("exempt[{index}]"), what, "ADDRESS or ADDRESS/LENGTH, e.g. 192.0.2.0/24");
            }
        }
    }

    fn dns(&mut self, dns: &Dns) {
        if dns.servers.len() > DNS_SERVERS_MAX {
            let what = format!("{} servers", dns.servers.len());
            self.problem("dns.servers", what, format!("at most {DNS_SERVERS_MAX}"));
        }
        for (index, server) in dns.servers.iter().enumerate() {
            if dns_server(server).is_none_or(|server| server.port() == 0) {
                let field = format!("dns.servers[{index}]");
                self.problem(&field, format!("{server:?}"), "ADDRESS or ADDRESS:PORT (IPv6 as [::1]:53)");
            }
        }
    }

    /// A path, which only the running appliance can look at.
    fn file_name(&mut self, field: &str, name: Option<&str>) {
        let good = |name: &str| !name.is_empty() && name.len() <= 1024 && !name.contains(char::is_control);
        if name.is_some_and(|name| !good(name)) {
            self.problem(field, "no file's name", "the path of a PEM file, absolute or relative to the data folder");
        }
    }

    fn media(&mut self) {
        let media = &self.provision.media;
        self.enter_single("media");
        // RFC 3264 section 8.4: the address of all addresses means hold.
        if media.address.parse::<IpAddr>().map_or(true, |address| address.is_unspecified() || address.is_multicast()) {
            let what = format!("`address` is {:?}", media.address);
            self.problem("address", what, "an IP address of this machine that peers can reach");
        }
        if let Some(second) = &media.address6
            && (second.parse::<Ipv6Addr>().is_err() || media.address.parse::<Ipv4Addr>().is_err())
        {
            let what = format!("`address6` is {second:?}");
            self.problem("address6", what, "an IPv6 address beside an IPv4 `address`");
        }
        // RFC 3550 section 11: RTP on an even port, RTCP on the next.
        if !media.port_min.is_multiple_of(2) || media.port_min < 1_024 {
            self.problem("port_min", format!("`port_min` is {}", media.port_min), "an even port from 1024 on");
        }
        if media.port_max.is_multiple_of(2) {
            self.problem("port_max", format!("`port_max` is {}", media.port_max), "an odd port");
        }
        if media.port_max < media.port_min {
            let what = format!("`port_max` is {}, `port_min` is {}", media.port_max, media.port_min);
            self.problem("port_max", what, "a port after port_min");
        }
        self.country(&media.country);
        self.codecs(&media.codecs);
        if media.silence_suppression && !media.comfort_noise {
            let what = "`silence_suppression` without `comfort_noise`".to_owned();
            self.problem("silence_suppression", what, "comfort_noise = true with it");
        }
    }

    fn codecs(&mut self, codecs: &[String]) {
        let known = Codec::ALL.map(|codec| codec.name().to_lowercase());
        let mut seen = HashSet::new();
        for (index, name) in codecs.iter().enumerate() {
            let field = format!("codecs[{index}]");
            self.one_of(&field, name, &known.each_ref().map(String::as_str));
            if !seen.insert(name) {
                self.problem(&field, format!("{name:?} is there twice"), "each codec once");
            }
        }
        if codecs.is_empty() {
            self.problem("codecs", "`codecs` is empty".to_owned(), "a codec at least, e.g. pcmu");
        }
    }

    fn cards_and_spans(&mut self) {
        let provision = self.provision;
        let mut names = HashSet::new();
        for (index, card) in provision.card.iter().enumerate() {
            self.enter(index, card);
            self.name("name", &card.name);
            self.unique(&mut names, "name", card.name.as_str(), &card.name);
            self.one_of("driver", &card.driver, &["sim-t1", "sim-e1"]);
            self.in_range("spans", card.spans, 1..=32);
        }
        let mut names = HashSet::new();
        let mut taken: HashMap<(&str, u8), &str> = HashMap::new();
        for (index, span) in provision.span.iter().enumerate() {
            self.enter(index, span);
            self.name("name", &span.name);
            self.unique(&mut names, "name", span.name.as_str(), &span.name);
            self.one_of("signalling", &span.signalling, &["em-wink"]);
            match self.names.cards.get(span.card.as_str()).copied() {
                None => {
                    let known = provision.card.iter().map(|card| card.name.as_str());
                    self.refers("card", "card", &span.card, known);
                }
                Some(spans) => self.in_range("span", span.span, 1..=spans.max(1)),
            }
            if let Some(other) = taken.insert((&span.card, span.span), &span.name) {
                let what = format!("span {} of card {:?} is taken by {other:?}", span.span, span.card);
                self.problem("span", what, "a span of its own");
            }
            match self.names.trunks.get(span.trunk.as_str()).copied() {
                Some("tdm") => {}
                Some(_) => {
                    self.problem("trunk", format!("trunk {:?} is not of circuits", span.trunk), "a trunk of kind tdm")
                }
                None => {
                    let known = provision.trunk.iter().map(|trunk| trunk.name.as_str());
                    self.refers("trunk", "trunk", &span.trunk, known);
                }
            }
        }
    }

    fn trunks(&mut self) {
        let mut names = HashSet::new();
        let mut owners: HashMap<Host, &str> = HashMap::new();
        for (index, trunk) in self.provision.trunk.iter().enumerate() {
            self.enter(index, trunk);
            self.name("name", &trunk.name);
            self.unique(&mut names, "name", trunk.name.as_str(), &trunk.name);
            self.one_of("kind", &trunk.kind, &["sip", "tdm"]);
            self.in_range("strip", usize::from(trunk.strip), 0..=PREFIX_LENGTH_MAX);
            self.prefixes(trunk);
            self.srtp(&trunk.srtp, &trunk.srtp_keys);
            self.group(trunk);
            self.rates(trunk);
            self.caller_id(trunk);
            match trunk.kind.as_str() {
                "tdm" => self.circuits(trunk),
                "sip" => self.peering(trunk),
                _ => {}
            }
            for (position, peer) in trunk.peer.iter().enumerate() {
                self.peer(position, peer);
                if !trunk.prefix.is_empty() || trunk.node.is_some() {
                    self.comes_back(position, peer);
                }
                // A call is known by the address that it comes from.
                let host = match Host::new(&peer.address) {
                    Host::Address(address) => Host::Address(address.to_canonical()),
                    name => name,
                };
                let owner = owners.entry(host).or_insert(&trunk.name);
                if *owner != trunk.name {
                    let what = format!("peer {} belongs to trunk {owner:?}", peer.address);
                    self.problem(&format!("peer[{position}].address"), what, "an address of its own");
                }
            }
        }
    }

    fn prefixes(&mut self, trunk: &Trunk) {
        let mut seen = HashSet::new();
        for (position, prefix) in trunk.prefix.iter().enumerate() {
            let field = format!("prefix[{position}]");
            if !address::is_dialled(prefix) || prefix.len() > PREFIX_LENGTH_MAX {
                let expected = format!("at most {PREFIX_LENGTH_MAX} of + 0-9 * #; \"\" for every number");
                self.problem(&field, format!("`prefix` is {prefix:?}"), expected);
            } else if !seen.insert(prefix) {
                self.problem(&field, format!("prefix {prefix:?} is there twice"), "each prefix once");
            }
        }
    }

    fn circuits(&mut self, trunk: &Trunk) {
        let fields = [
            ("peer", !trunk.peer.is_empty()),
            ("user", trunk.user.is_some()),
            ("password", trunk.password.is_some()),
            ("register", trunk.register),
            ("authenticate", trunk.authenticate),
            ("trusted", trunk.trusted),
            ("node", trunk.node.is_some()),
            ("tls", trunk.tls.is_some()),
            ("outbound_proxy", trunk.outbound_proxy.is_some()),
            ("srtp", trunk.srtp != "off"),
        ];
        for (field, _) in fields.into_iter().filter(|(_, there)| *there) {
            self.problem(field, format!("a trunk of circuits has `{field}`"), "it with kind = \"sip\" only");
        }
    }

    fn peering(&mut self, trunk: &Trunk) {
        if trunk.peer.is_empty() {
            self.problem("peer", "a SIP trunk has no peer", "[[trunk.peer]]");
        }
        for (field, wanted) in [("register", trunk.register), ("authenticate", trunk.authenticate)] {
            if wanted && (trunk.user.is_none() || trunk.password.is_none()) {
                self.problem(field, format!("`{field}` without user and password"), "`user` and `password`");
            }
        }
        self.in_range("failover_s", trunk.failover_s, 1..=32);
        if let Some(node) = &trunk.node {
            self.joined(node);
        }
        if let Some(tls) = &trunk.tls {
            self.client_tls(tls);
        }
        if let Some(proxy) = &trunk.outbound_proxy
            && !address::is_proxy_uri(proxy)
        {
            let expected = "sip:HOST or sip:HOST:PORT, perhaps with ;transport=tcp or ;transport=tls, and ;lr";
            self.problem("outbound_proxy", format!("`outbound_proxy` is {proxy:?}"), expected);
        }
        self.credentials(trunk.user.as_deref(), trunk.password.as_ref().map(|password| password.expose().as_str()));
    }

    fn client_tls(&mut self, tls: &ClientTls) {
        self.file_name("tls.ca", tls.ca.as_deref());
        self.file_name("tls.certificate", tls.certificate.as_deref());
        self.file_name("tls.key", tls.key.as_deref());
        if tls.certificate.is_some() != tls.key.is_some() {
            self.problem("tls", "`certificate` without `key`, or the other way round", "both or none");
        }
        if tls.verification().is_none() {
            self.problem("tls.verify", format!("`verify` is {:?}", tls.verify), "name, chain or nothing");
        }
        if let Some(name) = &tls.server_name
            && !address::is_host_name(name)
        {
            self.problem("tls.server_name", format!("`server_name` is {name:?}"), "a domain name");
        }
        if tls.identify && tls.server_name.is_none() {
            let what = "`identify` without a name that a certificate could have";
            self.problem("tls.identify", what, "`server_name`");
        }
    }

    /// Words of protection.
    pub(super) fn srtp(&mut self, need: &str, keys: &str) {
        self.one_of("srtp", need, &SrtpPolicy::NEEDS.map(|(word, _)| word));
        self.one_of("srtp_keys", keys, &SrtpPolicy::KEYS.map(|(word, ..)| word));
    }

    /// A user name and a password, both or none.
    pub(super) fn credentials(&mut self, user: Option<&str>, password: Option<&str>) {
        match (user, password) {
            (Some(_), None) => self.problem("user", "`user` without password", "`password` (exports leave it out)"),
            (None, Some(_)) => self.problem("password", "`password` without user", "`user`"),
            _ => {}
        }
        if user.is_some_and(|user| !address::is_user(user)) {
            self.problem(
                "user",
                format!("`user` is {:?}", user.unwrap_or_default()),
                "a SIP user name without escapes",
            );
        }
        if password.is_some_and(|p| p.is_empty() || p.len() > CREDENTIAL_LENGTH_MAX || p.contains(char::is_control)) {
            let expected = format!("1 to {CREDENTIAL_LENGTH_MAX} octets without control characters");
            self.problem("password", "`password` is not usable", expected);
        }
    }

    fn peer(&mut self, position: usize, peer: &Peer) {
        let field = |name: &str| format!("peer[{position}].{name}");
        if !address::is_host(&peer.address) {
            let what = format!("`address` is {:?}", peer.address);
            self.problem(&field("address"), what, "an IP address, or a domain name");
        }
        if peer.port == Some(0) {
            self.problem(&field("port"), "`port` is 0", "1 to 65535");
        }
        if let Some(transport) = &peer.transport
            && !Transport::ALL.iter().any(|known| known.name() == transport)
        {
            self.problem(&field("transport"), format!("`transport` is {transport:?}"), "udp, tcp or tls");
        }
        if peer.options_s != 0 && !(5..=3_600).contains(&peer.options_s) {
            self.problem(
                &field("options_s"),
                format!("`options_s` is {}", peer.options_s),
                "0 for never, or 5 to 3600",
            );
        }
    }
}
