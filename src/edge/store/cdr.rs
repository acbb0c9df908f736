//! Call detail records for the outside: JSON objects and CSV lines, times as RFC 3339 texts.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::base::Timestamp;
use crate::core::journal::{Cdr, LegRecord};
use crate::edge::store::record::word;

/// The first line of a CSV export (RFC 4180, without its line end).
pub const CDR_CSV_HEADER: &str =
    "call_id,tenant,medium,direction,from,to,started_at,answered_at,ended_at,agent,cause,queued_ms,legs,mos";

/// A record as a JSON object. What is not known (yet) is `null`.
pub fn cdr_json(cdr: &Cdr) -> Value {
    let events: Vec<Value> = cdr
        .events
        .iter()
        .map(|event| json!({ "at": event.at.to_string(), "what": event.what, "detail": event.detail }))
        .collect();
    json!({
        "call_id": cdr.call_id,
        "tenant": cdr.tenant,
        "medium": cdr.medium,
        "direction": cdr.direction,
        "from": cdr.from,
        "to": cdr.to,
        "started_at": cdr.started_at.to_string(),
        "answered_at": time(cdr.answered_at),
        "ended_at": time(cdr.ended_at),
        "agent": cdr.agent,
        "cause": cdr.cause,
        "queued_ms": cdr.queued_ms,
        "trace": cdr.trace,
        "legs": cdr.legs.iter().map(leg_json).collect::<Vec<Value>>(),
        "events": events,
    })
}

/// A record as a CSV line (RFC 4180, without its line end), in the columns of [`CDR_CSV_HEADER`]; `legs` is their number,
/// `mos` the worst opinion score of any of them in either direction.
/// Texts that a spreadsheet would take for a formula get a leading apostrophe: they come from callers.
pub fn cdr_csv(cdr: &Cdr) -> String {
    let time = |time: Option<Timestamp>| time.map(|t| t.to_string()).unwrap_or_default();
    let fields = [
        cdr.call_id.to_string(),
        cdr.tenant.clone(),
        cdr.medium.clone(),
        word(&cdr.direction).unwrap_or_default(),
        cdr.from.as_str().to_string(),
        cdr.to.as_str().to_string(),
        cdr.started_at.to_string(),
        time(cdr.answered_at),
        time(cdr.ended_at),
        cdr.agent.clone().unwrap_or_default(),
        cdr.cause.map(|cause| cause.to_string()).unwrap_or_default(),
        cdr.queued_ms.to_string(),
        cdr.legs.len().to_string(),
        worst_mos(cdr).map(|mos| format!("{mos:.2}")).unwrap_or_default(),
    ];
    let mut line = String::new();
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        write_csv_field(&mut line, field);
    }
    line
}

fn worst_mos(cdr: &Cdr) -> Option<f32> {
    let media = cdr.legs.iter().filter_map(|leg| leg.media.as_ref());
    media.flat_map(|media| [media.mos, media.far.and_then(|far| far.mos)]).flatten().min_by(f32::total_cmp)
}

fn write_csv_field(line: &mut String, field: &str) {
    let formula = field.starts_with(['=', '-', '@', '\t', '\r']) || is_plus_formula(field);
    let guard = if formula { "'" } else { "" };
    if field.contains([',', '"', '\n', '\r']) {
        // Writing to a String cannot fail.
        let _ = write!(line, "\"{guard}{}\"", field.replace('"', "\"\""));
    } else {
        let _ = write!(line, "{guard}{field}");
    }
}

/// An E.164 number keeps its plus sign.
fn is_plus_formula(field: &str) -> bool {
    field.strip_prefix('+').is_some_and(|rest| rest.bytes().any(|octet| !octet.is_ascii_digit()))
}

fn leg_json(leg: &LegRecord) -> Value {
    let mut object = match serde_json::to_value(leg) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    object.insert("started_at".into(), Value::String(leg.started_at.to_string()));
    object.insert("answered_at".into(), time(leg.answered_at));
    object.insert("ended_at".into(), time(leg.ended_at));
    Value::Object(object)
}

fn time(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::String(time.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{CallId, Cause, DialString};
    use crate::core::journal::{CallEvent, Direction};

    fn record() -> Cdr {
        let leg = LegRecord {
            leg: 0,
            direction: Direction::Inbound,
            kind: "tdm".into(),
            trunk: "circuits".into(),
            party: "5551234".into(),
            agent: None,
            started_at: Timestamp(1_000),
            answered_at: Some(Timestamp(2_000)),
            ended_at: None,
            cause: None,
            media: None,
            encryption: String::new(),
        };
        Cdr {
            call_id: CallId(0xab),
            tenant: "acme".into(),
            medium: "voice".into(),
            direction: Direction::Inbound,
            from: DialString::new("=1+1,\"x").unwrap_or_default(),
            to: DialString::new("+4930123").unwrap_or_default(),
            started_at: Timestamp(1_000),
            answered_at: Some(Timestamp(2_000)),
            ended_at: Some(Timestamp(61_500)),
            agent: Some("ana".into()),
            cause: Some(Cause::Normal),
            trace: None,
            queued_ms: 12,
            legs: vec![leg],
            events: vec![CallEvent { at: Timestamp(1_000), what: "flow".into(), detail: "main".into() }],
        }
    }

    #[test]
    fn json_has_the_fixed_fields_and_readable_times() {
        let value = cdr_json(&record());
        assert_eq!(value["call_id"], "00000000000000ab");
        assert_eq!(value["direction"], "inbound");
        assert_eq!(value["started_at"], "1970-01-01T00:00:01.000Z");
        assert_eq!(value["ended_at"], "1970-01-01T00:01:01.500Z");
        assert_eq!(value["cause"], "normal");
        assert_eq!(value["legs"][0]["answered_at"], "1970-01-01T00:00:02.000Z");
        assert_eq!(value["legs"][0]["ended_at"], Value::Null);
        assert_eq!(value["events"][0]["at"], "1970-01-01T00:00:01.000Z");
        for field in ["tenant", "medium", "from", "to", "answered_at", "agent", "queued_ms"] {
            assert!(!value[field].is_null(), "{field}");
        }
    }

    #[test]
    fn csv_quotes_and_disarms_what_callers_sent() {
        let cause = word(&Cause::Normal).unwrap_or_default();
        assert_eq!(cause, Cause::Normal.as_str());
        let line = cdr_csv(&record());
        assert!(line.contains(",voice,inbound,"), "{line}");
        assert_eq!(CDR_CSV_HEADER.split(',').count(), 14);
        let mut plain = record();
        plain.from = DialString::new("=1+1").unwrap_or_default();
        assert!(cdr_csv(&plain).contains(",'=1+1,+4930123,1970-01-01T00:00:01.000Z,"));
        assert_eq!(cdr_csv(&plain).split(',').count(), 14);
        plain.from = DialString::new("a,b").unwrap_or_default();
        assert!(cdr_csv(&plain).contains(",\"a,b\","));
    }
}
