//! Two tenants share a trunk, and one floods it: SIPp as the callers of both, end to end.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Appliance, Capture, Place, have};

const LONG: Duration = Duration::from_secs(120);
/// How long a call lasts, in milliseconds, and how many the tenant that floods makes, a second; the other makes one.
const TALK_MS: u32 = 4_000;
const FLOOD: u32 = 10;

/// Both tenants' calls come in by one trunk of 14 circuits, from two addresses. `calm` is permitted ten of them and needs four,
/// `flood` four and wants forty.
fn provision(contracts: bool) -> String {
    let mut text = String::from(
        "\n[[trunk]]\nname = 'shared'\nkind = 'sip'\ncalls_max = 14\n[[trunk.peer]]\naddress = 'NET.2'\n[[trunk.peer]]\n\
         address = 'NET.3'\n",
    );
    for (tenant, number, circuits) in [("calm", "200", 10), ("flood", "300", 4)] {
        text += &format!("\n[[tenant]]\nname = '{tenant}'\n");
        if contracts {
            text += &format!("contract = {{ trunks = ['shared'], ratio = 1.5, after_hours = {circuits} }}\n");
        }
        text += &format!(
            "[[flow]]\ntenant = '{tenant}'\nname = 'main'\ntext = '''\n[flow]\nstart = 'a'\n[step.a]\ndo = 'answer'\n\
             next = 'b'\n[step.b]\ndo = 'play'\nprompt = [{{ silence_ms = 10000 }}]\nnext = 'c'\n[step.c]\ndo = 'hangup'\n'''\n\
             [[number]]\nnumber = '{number}'\ntenant = '{tenant}'\nflow = 'main'\n"
        );
    }
    text
}

/// Share of the calm tenant's calls that found no circuit, and the records of both.
fn blocked(place: &str, contracts: bool, calls: u32) -> (f64, Vec<Value>, Value) {
    let place = Place::new(place);
    let appliance = Appliance::start(&place, &provision(contracts));
    let run = |host: u8, number: &str, rate: u32, calls: u32| {
        let (rate, calls, talk_ms) = (rate.to_string(), calls.to_string(), TALK_MS.to_string());
        place.sipp(host, "may-be-refused", &["-s", number, "-r", &rate, "-m", &calls, "-d", &talk_ms])
    };
    // The flood is there before, and outlasts the other.
    let mut flood = run(3, "300", FLOOD, FLOOD * (calls + 5));
    std::thread::sleep(Duration::from_secs(2));
    run(2, "200", 1, calls).succeeds(LONG);
    flood.succeeds(LONG);
    let records = appliance.cdrs();
    let views = appliance.contracts();
    if let Some(first) = records.first().filter(|_| contracts) {
        let said = appliance.ask(&["trunk", "explain", first["call_id"].as_str().expect("an id")]);
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("admitted") && said.contains("permitted to 0 agents, trunk 0 of 14 in use"), "{said}");
    }
    appliance.stop();
    let calm: Vec<&Value> = records.iter().filter(|cdr| cdr["tenant"] == "calm").collect();
    assert_eq!(calm.len(), calls as usize);
    let refused = calm.iter().filter(|cdr| cdr["cause"] == "no-circuit").count();
    (refused as f64 / f64::from(calls), records, views)
}

#[test]
fn a_flood_of_one_tenant_leaves_the_other_unharmed() {
    if !have(&["sipp"]) {
        return;
    }
    let (shared_by_all, ..) = blocked("free-for-all", false, 20);
    assert!(shared_by_all > 0.3, "without contracts the flood takes the trunk: {shared_by_all}");
    let (with_contracts, records, views) = blocked("contracts", true, 50);
    println!("calls of the calm tenant blocked: {shared_by_all} without contracts, {with_contracts} with them");
    // Rates are learned while it goes on, so the first ones may be harmed.
    assert!(with_contracts <= 0.1, "{with_contracts} of the calls within the contract were blocked");
    let why = |cdr: &Value| cdr["events"].as_array().is_some_and(|e| e.iter().any(|e| e["what"] == "not-admitted"));
    let refused: Vec<&Value> = records.iter().filter(|cdr| cdr["cause"] == "no-circuit").collect();
    assert!(refused.len() > 100 && refused.iter().all(|cdr| why(cdr)), "each record says why");
    let flood = views.as_array().and_then(|all| all.iter().find(|of| of["tenant"] == "flood")).expect("its contract");
    assert_eq!((&flood["permitted"], &flood["trunk_circuits"]), (&4.into(), &14.into()));
    assert!(flood["refused"].as_u64() > Some(100), "{flood}");
}

#[test]
fn who_is_refused_is_sent_to_another_trunk_once() {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new("moved");
    let text = "\n[admission]\nmode = 'literal'\n[[trunk]]\nname = 'shared'\nkind = 'sip'\ncalls_max = 4\n[[trunk.peer]]\n\
                address = 'NET.2'\n[[trunk]]\nname = 'backup'\nkind = 'sip'\n[[trunk.peer]]\naddress = 'NET.3'\nport = 5070\n\
                [[tenant]]\nname = 'calm'\ncontract = { trunks = ['shared'], ratio = 1, refused = 'overflow', \
                refused_to = 'trunk:backup' }\n[[flow]]\ntenant = 'calm'\nname = 'main'\ntext = \"\"\"\n[flow]\nstart = 'a'\n\
                [step.a]\ndo = 'hangup'\n\"\"\"\n[[number]]\nnumber = '200'\ntenant = 'calm'\nflow = 'main'\n";
    let mut capture = Capture::start(&place);
    let appliance = Appliance::start(&place, text);
    place.sipp(2, "moved", &["-s", "200", "-m", "1"]).succeeds(LONG);
    let records = appliance.cdrs();
    appliance.stop();
    if let Some(capture) = &mut capture {
        capture.finish(&["sip.Status-Code == 302", "sip.Status-Code == 503"]);
    }
    let says = |what: &str| {
        let events = records.iter().flat_map(|cdr| cdr["events"].as_array().into_iter().flatten());
        events.filter(|event| event["what"] == what).map(|event| event["detail"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (says("overflowed"), says("not-overflowed")),
        (vec![Value::from("sent to trunk:backup/200")], vec![Value::from("it overflowed before")],)
    );
}
