//! Attended transfer with SIPp as the phone that hands over, and at both other ends.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Appliance, Place, flow, have, trunk};

const LONG: Duration = Duration::from_secs(30);

/// Straight into the queue.
const QUEUE: &str = "[step.a]\ndo = 'answer'\nnext = 'b'\n[step.b]\ndo = 'enqueue'\nqueue = 'desk'\n";

/// ana's phone is at `NET.3`; ben's, who takes nothing of the queue, at `NET.4`, as is a carrier.
const DESK: &str = "\n[[agent]]\ntenant = 'acme'\nname = 'ana'\nuser = 'ana'\npassword = 'ana-secret'\n\
                    contact = 'sip:ana@NET.3:5060'\nskills = { talk = 1.0 }\nsigned_in = true\n\
                    [[agent]]\ntenant = 'acme'\nname = 'ben'\ncontact = 'sip:ben@NET.4:5060'\n\
                    [[trunk]]\nname = 'carriers'\nkind = 'sip'\nprefix = ['9']\nstrip = 1\n\
                    [[trunk.peer]]\naddress = 'NET.4'\n";

fn is_noted(cdr: &Value, what: &str) -> bool {
    cdr["events"].as_array().is_some_and(|events| events.iter().any(|event| event["what"] == what))
}

/// RFC 5589 section 7: the client talks with the consulted party, and the phone is told so and let go on both lines.
fn is_handed_over_to(whom: &str) {
    if !have(&["sipp"]) {
        return;
    }
    let place = Place::new(&format!("attended-{whom}"));
    let appliance = Appliance::start(&place, &[trunk("carrier", 2).as_str(), DESK, &flow("100", QUEUE)].concat());
    let mut phone = place.sipp(3, "attended", &["-m", "1", "-key", "whom", whom]);
    let mut target = place.sipp(4, "agent", &["-m", "1", "-rtp_echo"]);
    // The client speaks, most of the time after the transfer, and hangs up.
    place.sipp(2, "speak", &["-s", "100", "-m", "1"]).succeeds(LONG);
    phone.succeeds(LONG);
    // It is hung up when the client hangs up, and not before.
    target.succeeds(LONG);
    let cdrs = appliance.cdrs();
    assert_eq!(cdrs.len(), 2, "{cdrs:?}");
    assert!(cdrs.iter().all(|cdr| is_noted(cdr, "transferred") && cdr["cause"] == "normal"), "{cdrs:?}");
    let client = cdrs.iter().find(|cdr| cdr["to"] == "100").unwrap();
    let legs = client["legs"].as_array().unwrap();
    assert_eq!(legs.len(), 3, "the client, ana, and whom she called: {client}");
    for (leg, least) in [(0, 100), (2, 50)] {
        let packets = legs[leg]["media"]["rx_packets"].as_u64();
        assert!(packets.is_some_and(|packets| packets > least), "leg {leg}: {client}");
    }
    assert_eq!(legs[1]["agent"], "acme/ana", "{client}");
    assert!(legs[1]["ended_at"].as_str() < legs[2]["ended_at"].as_str(), "ana is gone first: {client}");
    appliance.stop();
}

#[test]
fn a_phone_joins_its_client_with_a_colleague_and_is_let_go() {
    is_handed_over_to("ben");
}

#[test]
fn a_phone_joins_its_client_with_an_outside_party_and_is_let_go() {
    is_handed_over_to("95550100");
}
