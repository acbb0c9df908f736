//! What would go round.

use super::{after, breaks, good, problems};
use crate::core::tenant::provision::{Flow, Number, Provision};

/// A flow of `acme`, and its number.
fn add(p: &mut Provision, number: &str, text: &str) {
    let name = format!("at-{number}");
    p.flow.push(Flow {
        tenant: "acme".into(),
        name: name.clone(),
        text: format!("[flow]\nstart = 'a'\n{text}"),
        file: None,
    });
    p.number.push(Number { number: number.into(), tenant: "acme".into(), flow: name });
}

fn on(to: &str) -> String {
    format!("[step.a]\ndo = 'transfer'\nto = '{to}'\n")
}

/// A path, what is said of it, and where in the flow's text.
type Said = (String, String, Option<(u32, u32)>);

/// What is said of such flows.
fn said(flows: &[(&str, &str)]) -> Vec<Said> {
    let mut p = good();
    flows.iter().for_each(|(number, text)| add(&mut p, number, text));
    problems(&p).into_iter().map(|p| (p.path, p.what, p.inner)).collect()
}

const SPEAKS: &str = "[step.a]\ndo = 'play'\nprompt = ['acme/hello']\nnext = 'b'\n\
                      [step.b]\ndo = 'hours'\nmo-fr = '09:00-17:00'\nopen = 'c'\nclosed = 'd'\n\
                      [step.c]\ndo = 'transfer'\nto = '701'\n[step.d]\ndo = 'transfer'\n";

#[test]
fn flows_that_transfer_to_one_another() {
    let itself = ("flow[1].text".to_owned(), "calls would go round in a circle: to 701".to_owned(), Some((5, 6)));
    assert_eq!(said(&[("701", &on("701"))]), [itself]);
    let circle = |numbers: &str| format!("calls would go round in a circle: to {numbers}");
    let three = said(&[("701", &on("702")), ("702", &on("703")), ("703", &on("701"))]);
    assert_eq!(three, [("flow[1].text".to_owned(), circle("702 to 703 to 701"), Some((5, 6)))]);
    // Who leads into a circle is not told as well, and a branch both ways of which go round is no way out.
    let into = said(&[("700", &on("701")), ("701", &on("702")), ("702", &format!("{SPEAKS}to = '702'\n"))]);
    assert_eq!(into.len(), 1, "{into:?}");
    assert_eq!((into[0].0.as_str(), into[0].1.as_str()), ("flow[2].text", circle("702 to 701").as_str()));
}

#[test]
fn flows_with_another_way() {
    let choice = "[step.a]\ndo = 'menu'\nkeys = { 1 = 'b' }\nprompt = ['acme/menu']\n\
                  [step.b]\ndo = 'transfer'\nto = '701'\n";
    let through = |text: &str| said(&[("701", &on("702")), ("702", text)]);
    let attribute = "[step.a]\ndo = 'transfer'\nto = '{dnis}'\n";
    for text in [choice, attribute, &on("0555"), &on("200"), &on("sip:x@y.example"), "[step.a]\ndo = 'hangup'\n"] {
        assert_eq!(through(text), [], "{text}");
    }
    assert_eq!(through(&format!("{SPEAKS}to = '200'\n")), []);
    // The number as it was dialled goes out by the trunk that leads there.
    assert_eq!(said(&[("0701", &on("0701"))]), []);
    // Another tenant's number is none of these.
    let other = |p: &mut Provision| {
        add(p, "701", &on("701"));
        p.number.last_mut().expect("added").tenant = "blue".into();
        p.flow.push(Flow { tenant: "blue".into(), ..p.flow.last().expect("added").clone() });
        p.flow.last_mut().expect("added").text = "[flow]\nstart = 'a'\n[step.a]\ndo = 'hangup'\n".into();
    };
    assert_eq!(after(other), []);
}

#[test]
fn a_trunk_to_the_appliance_itself() {
    let itself = |p: &mut Provision| {
        p.sip.listen = vec!["udp:192.0.2.1:5062".into()];
        (p.trunk[1].peer[0].address, p.trunk[1].peer[0].port) = ("192.0.2.1".into(), Some(5062));
        p.trunk[1].prefix = vec!["8".into()];
    };
    breaks("trunk[1].peer[0].address", itself);
    // By a trunk that nothing leads to, it may be called from its own host.
    let found = after(|p| {
        itself(p);
        p.trunk[1].prefix.clear();
    });
    assert_eq!(found, []);
}

#[test]
fn a_trunk_to_the_appliance_itself_by_other_names() {
    let to = |listen: &str, peer: &str, port: Option<u16>| {
        let (listen, peer) = (vec![listen.to_owned()], peer.to_owned());
        move |p: &mut Provision| {
            (p.sip.listen, p.media.address) = (listen, "192.0.2.9".into());
            p.media.address6 = Some("2001:db8::9".into());
            (p.trunk[1].peer[0].address, p.trunk[1].peer[0].port) = (peer, port);
        }
    };
    for (listen, peer, port) in [
        ("udp:0.0.0.0:5060", "127.0.0.1", None),
        ("udp:0.0.0.0:5060", "127.8.9.1", Some(5060)),
        ("udp:0.0.0.0:5060", "192.0.2.9", None),
        ("udp:0.0.0.0:5060", "0.0.0.0", None),
        ("udp:[::]:5060", "::1", None),
        ("udp:[::]:5060", "2001:db8::9", None),
        ("udp:0.0.0.0:5060", "localhost", None),
        ("udp:[::1]:5062", "sip.LOCALHOST", Some(5062)),
        ("tcp:0.0.0.0:5060", "localhost", None),
    ] {
        breaks("trunk[1].peer[0].address", to(listen, peer, port));
    }
    for (listen, peer, port) in [
        ("udp:0.0.0.0:5060", "127.0.0.1", Some(5070)),
        ("udp:0.0.0.0:5060", "192.0.2.77", None),
        ("udp:0.0.0.0:5060", "::1", None),
        ("udp:192.0.2.8:5060", "localhost", None),
        ("udp:192.0.2.8:5060", "127.0.0.1", None),
        ("udp:0.0.0.0:5060", "localhost.example.org", None),
    ] {
        assert_eq!(after(to(listen, peer, port)), [], "{listen} {peer} {port:?}");
    }
}
