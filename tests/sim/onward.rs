//! Calls that go on elsewhere: flows that transfer to other numbers of their tenant.

use cordboard::base::Cause;
use cordboard::core::tenant::provision::{Flow, Number};
use cordboard::core::tenant::{Provision, check};
use cordboard::proto::sip::Event;

use crate::desk::{Desk, PROVISION, Party};
use crate::provision;

/// A number of `acme` with a flow of its own.
fn add(p: &mut Provision, number: &str, text: String) {
    let name = format!("at-{number}");
    p.flow.push(Flow { tenant: "acme".into(), name: name.clone(), text, file: None });
    p.number.push(Number { number: number.into(), tenant: "acme".into(), flow: name });
}

fn passes_on(to: &str) -> String {
    format!("[flow]\nstart = 'on'\n[step.on]\ndo = 'transfer'\nto = '{to}'\n")
}

fn desk(change: impl FnOnce(&mut Provision)) -> Desk {
    let mut p = provision(PROVISION);
    change(&mut p);
    assert_eq!(check(&p), []);
    Desk::new(1, p)
}

fn notes<'d>(desk: &'d Desk, what: &str) -> Vec<&'d str> {
    let events = desk.record().events.iter().filter(|event| event.what == what);
    events.map(|event| event.detail.as_str()).collect()
}

#[test]
fn a_transfer_to_a_number_of_the_tenant_enters_its_flow_with_what_was_found_out() {
    let mut desk = desk(|p| {
        let set = "[flow]\nstart = 'set'\n[step.set]\ndo = 'set'\nattributes = { plan = 'gold' }\nnext = 'on'\n\
                   [step.on]\ndo = 'transfer'\nto = '702'\n";
        add(p, "701", set.into());
        let asks = "[flow]\nstart = 'ask'\nexpects = ['plan']\n[step.ask]\ndo = 'branch'\n\
                    when = [{ attribute = 'plan', eq = 'gold', then = 'queue' }]\nelse = 'no'\n\
                    [step.queue]\ndo = 'transfer'\nto = '100'\n[step.no]\ndo = 'hangup'\ncause = 'rejected'\n";
        add(p, "702", asks.into());
    });
    let client = desk.client("701");
    desk.seconds(1);
    desk.agent_answers("ana");
    assert_eq!(desk.state(), "talking acme/ana");
    desk.hangup(Party::Carrier, client);
    desk.seconds(3);
    assert_eq!(notes(&desk, "flow"), ["at-701", "at-702", "sales"]);
    assert_eq!(notes(&desk, "transfer").len(), 2);
}

#[test]
fn numbers_that_transfer_to_one_another_end_the_call() {
    let walk = || {
        let mut desk = desk(|p| {
            // What the caller keys could lead elsewhere, so nothing shows before.
            let text = "[flow]\nstart = 'set'\n[step.set]\ndo = 'set'\nattributes = { on = '701' }\nnext = 'on'\n\
                        [step.on]\ndo = 'transfer'\nto = '{on}'\n";
            add(p, "701", text.into());
        });
        let session = desk.client("701");
        desk.seconds(1);
        assert!(desk.heard(Party::Carrier, |e| matches!(
            e,
            Event::Failed { session: s, status: 483, cause: Cause::ExchangeRouting, .. } if *s == session
        )));
        assert_eq!(desk.record().cause, Some(Cause::ExchangeRouting));
        assert_eq!(notes(&desk, "flow").len(), 11, "its own, and ten more");
        assert_eq!(notes(&desk, "goes-round"), ["transferred to 10 numbers of the tenant already"]);
    };
    // A small stack: flows must not nest.
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(walk).expect("a thread");
    thread.join().expect("the circle ends");
}

#[test]
fn the_number_as_it_was_dialled_goes_out_by_the_trunk_that_leads_there() {
    let mut desk = desk(|p| add(p, "8777", passes_on("{dnis}")));
    desk.client("8777");
    desk.seconds(1);
    assert!(desk.rings(Party::Carrier, "8777").is_some());
}

#[test]
fn a_number_of_another_tenant_is_no_way() {
    let mut desk = desk(|p| {
        let other = cordboard::core::tenant::provision::Tenant { name: "calm".into(), ..p.tenant[0].clone() };
        p.tenant.push(other);
        p.flow.push(Flow { tenant: "calm".into(), name: "in".into(), text: passes_on("85550000"), file: None });
        p.number.push(Number { number: "700".into(), tenant: "calm".into(), flow: "in".into() });
        add(
            p,
            "703",
            "[flow]\nstart = 'set'\n[step.set]\ndo = 'set'\nattributes = { on = '700' }\nnext = 'on'\n\
                       [step.on]\ndo = 'transfer'\nto = '{on}'\n"
                .into(),
        );
    });
    desk.client("703");
    desk.seconds(1);
    assert_eq!(desk.record().cause, Some(Cause::NoRoute));
}
