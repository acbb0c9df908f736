//! Forms of the texts in a provisioning: listeners, SIP addresses, names, digits, countries, languages.

use std::net::{IpAddr, SocketAddr};

use crate::proto::sip::Transport;

/// Longest name of an entry, in octets.
pub(super) const NAME_LENGTH_MAX: usize = 64;

/// ISO 3166-1 alpha-2 codes, lower case.
const COUNTRIES: &str = "\
ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt bv bw by bz ca cc cd \
cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg eh er es et fi fj fk fm fo fr ga gb gd ge gf \
gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn \
kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na \
nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si \
sj sk sl sm sn so sr ss st sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug um us uy uz va vc ve vg vi \
vn vu wf ws ye yt za zm zw";

/// `udp:ADDRESS:PORT`, `tcp:ADDRESS:PORT` or `tls:ADDRESS:PORT`; an IPv6 address stands in brackets.
pub(super) fn listener(text: &str) -> Option<(Transport, SocketAddr)> {
    let (transport, address) = text.split_once(':')?;
    let transport = Transport::ALL.into_iter().find(|known| known.name() == transport)?;
    address.parse().ok().map(|address| (transport, address))
}

/// An address, or a domain name that no octet-by-octet reader could take for one.
pub(super) fn is_host(text: &str) -> bool {
    let numeric = text.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    text.parse::<IpAddr>().is_ok() || (!numeric && is_host_name(text))
}

/// A URI of a proxy: `sip:HOST`, `sip:HOST:PORT`, with `;transport=` and `;lr` perhaps.
pub(super) fn is_proxy_uri(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("sip:") else { return false };
    let mut parts = rest.split(';');
    parts.next().is_some_and(is_host_port) && parts.all(|part| part == "lr" || is_transport(part))
}

fn is_transport(parameter: &str) -> bool {
    matches!(parameter, "transport=udp" | "transport=tcp" | "transport=tls")
}

/// `sip:USER@HOST`, `sip:USER@HOST:PORT`, each perhaps with `;transport=udp`, `;transport=tcp` or `;transport=tls`.
pub(super) fn is_sip_uri(text: &str) -> bool {
    let Some((user, rest)) = text.strip_prefix("sip:").and_then(|rest| rest.split_once('@')) else { return false };
    let (host_port, parameters) = rest.split_once(';').unwrap_or((rest, "transport=udp"));
    is_user(user) && is_host_port(host_port) && is_transport(parameters)
}

/// A user part that needs no escapes (RFC 3261 25.1: unreserved, and `+` of user-unreserved), at most 64 octets.
pub(super) fn is_user(text: &str) -> bool {
    (1..=NAME_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.!~*'()+".contains(&octet))
}

fn is_host_port(text: &str) -> bool {
    if text.parse::<SocketAddr>().is_ok_and(|address| address.port() != 0) || text.parse::<IpAddr>().is_ok() {
        // An IPv6 address without brackets is no host of a URI (RFC 3261 25.1: IPv6reference).
        return text.parse::<std::net::Ipv6Addr>().is_err();
    }
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let (host, port) = text.split_once(':').unwrap_or((text, "5060"));
    let numeric = host.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    !numeric && is_host_name(host) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// A domain name (RFC 1123 2.1).
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// A name of an entry.
pub(super) fn is_name(text: &str) -> bool {
    (1..=NAME_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"-_.".contains(&octet))
}

/// `0`-`9`, at least one and at most `length_max`.
pub(super) fn is_digits(text: &str, length_max: usize) -> bool {
    (1..=length_max).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit())
}

/// What a prefix or a number is made of: a leading plus sign perhaps, then `0`-`9`, `*` and `#`.
pub(super) fn is_dialled(text: &str) -> bool {
    let rest = text.strip_prefix('+').unwrap_or(text);
    rest.bytes().all(|octet| octet.is_ascii_digit() || b"*#".contains(&octet))
}

/// An ISO 3166-1 alpha-2 code in lower case.
pub(super) fn is_country(text: &str) -> bool {
    text.len() == 2 && COUNTRIES.split(' ').any(|country| country == text)
}

/// A language as prompts are sorted by: `en`, `pt-br`.
pub(super) fn is_language(text: &str) -> bool {
    let lower = |part: &str, range: std::ops::RangeInclusive<usize>| {
        range.contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_lowercase())
    };
    match text.split_once('-') {
        None => lower(text, 2..=3),
        Some((language, region)) => lower(language, 2..=3) && lower(region, 2..=4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners() {
        assert_eq!(listener("udp:127.0.0.1:5060"), Some((Transport::Udp, "127.0.0.1:5060".parse().expect("address"))));
        assert_eq!(listener("tcp:[::1]:5070"), Some((Transport::Tcp, "[::1]:5070".parse().expect("address"))));
        for bad in [
            "",
            "udp",
            "udp:",
            "127.0.0.1:5060",
            "ws:127.0.0.1:5061",
            "udp:localhost:5060",
            "udp:127.0.0.1",
            "udp:::1:5060",
        ] {
            assert_eq!(listener(bad), None, "{bad}");
        }
    }

    #[test]
    fn sip_addresses() {
        let good = [
            "sip:ana@127.0.0.3:5080",
            "sip:ana@phones.example.org",
            "sip:+4930@[2001:db8::1]:5060",
            "sip:a@[::1]",
            "sip:a@10.0.0.1;transport=tcp",
        ];
        for good in good {
            assert!(is_sip_uri(good), "{good}");
        }
        let bad = [
            "",
            "ana@127.0.0.1",
            "sip:127.0.0.1",
            "sip:@127.0.0.1",
            "sip:a@",
            "sip:a@300.0.0.1",
            "sip:a@host:0",
            "sip:a@host:x",
            "sip:a@127.0.0.1:0",
            "sip:a@::1",
            "sip:a b@host",
            "sip:a@ho st",
            "sip:a@host;lr",
            "sips:a@host",
            "sip:a@host>",
        ];
        for bad in bad {
            assert!(!is_sip_uri(bad), "{bad}");
        }
    }

    #[test]
    fn names_countries_languages() {
        assert!(
            is_name("agent-1_a.b") && !is_name("Agent") && !is_name("") && !is_name("a/b") && !is_name(&"a".repeat(65))
        );
        assert!(is_country("us") && is_country("zw") && !is_country("uk") && !is_country("US") && !is_country("u "));
        assert!(
            is_language("en") && is_language("pt-br") && !is_language("e") && !is_language("EN") && !is_language("en-")
        );
        assert!(is_dialled("+49*#") && is_dialled("") && !is_dialled("1-2") && !is_dialled("1+"));
        assert!(is_digits("0123", 4) && !is_digits("01234", 4) && !is_digits("", 4) && !is_digits("1a", 4));
        assert_eq!(COUNTRIES.split(' ').count(), 249, "ISO 3166-1 assigns 249 codes");
        assert!(COUNTRIES.split(' ').is_sorted());
    }
}
