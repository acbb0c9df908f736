//! Where refused calls go.

use super::{after, breaks};
use crate::core::tenant::provision::{Contract, Provision, Refusal};
use crate::core::trunk::admission::Decimal;

fn to(target: &str, trunks: &[&str]) -> impl FnOnce(&mut Provision) {
    let (target, trunks) = (target.to_owned(), trunks.iter().map(|name| (*name).to_owned()).collect());
    move |p| {
        p.node.name = "front".into();
        p.trunk[2].node = Some("ivr".into());
        p.trunk[2].calls_max = 10;
        p.tenant[0].contract = Some(Contract {
            trunks,
            ratio: Decimal::whole(1),
            after_hours: 2,
            worth_within: 1.0,
            worth_beyond: 0.5,
            refused: Refusal::Overflow,
            refused_flow: None,
            refused_to: Some(target),
        });
    }
}

#[test]
fn what_is_there() {
    for target in ["200", "trunk:carrier", "trunk:carrier/555", "trunk:other", "node:ivr", "node:ivr/800"] {
        assert_eq!(after(to(target, &["circuits"])), [], "{target}");
    }
    // On the one trunk it is elsewhere, on the other it ends.
    assert_eq!(after(to("trunk:other", &["circuits", "other"])), []);
}

#[test]
fn what_is_not() {
    let says = |target: &str| {
        let found = after(to(target, &["circuits"]));
        assert!(found.len() == 1 && found[0].1 == "tenant[0].contract.refused_to", "{target}: {found:?}");
        found[0].2.clone()
    };
    assert_eq!(says("998"), "number \"998\" is not there in tenant \"acme\"");
    assert_eq!(says("trunk:carier"), "trunk \"carier\" is not there");
    assert_eq!(says("node:iwr/800"), "node \"iwr\" is not there");
    assert_eq!(says("trunk:carrier/"), "`refused_to` is \"trunk:carrier/\"");
    assert!(says("node:front/800").contains("this appliance"));
    for target in ["trunk:carrier/112", "node:ivr/112"] {
        assert!(says(target).starts_with("refused calls would go to an emergency service"), "{target}");
    }
}

#[test]
fn what_is_the_place_itself() {
    breaks("tenant[0].contract.refused_to", to("trunk:circuits", &["circuits"]));
    breaks("tenant[0].contract.refused_to", to("node:ivr/800", &["other"]));
    breaks("tenant[0].contract.refused_to", |p| {
        to("200", &["circuits"])(p);
        p.number.truncate(1);
    });
}
