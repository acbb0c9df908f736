//! Checks of the card as a whole: spans, opening, alarms, watchdog, vanishing.

use std::time::Duration;

use super::{
    ALARM_CLEAR_MAX, ALARM_DELAY_MAX, CAS_DELAY_MAX, Failure, Rig, Verdict, events, open, require, require_kind, start,
    wait,
};
use crate::{CardEvent, CasBits, ClockSource, ErrorKind, Loopback, SpanKind};

pub(super) fn spans_are_described(rig: &mut dyn Rig) -> Verdict {
    let card = rig.card();
    require(!card.description().is_empty(), "a card has a description", ())?;
    require(!card.spans().is_empty(), "a card has a span", ())?;
    for (at, span) in card.spans().iter().enumerate() {
        require(usize::from(span.number) == at + 1, "spans are numbered from 1", span)?;
        require(!span.description.is_empty(), "a span has a description", span)?;
    }
    Ok(None)
}

pub(super) fn starting_and_stopping_is_idempotent(rig: &mut dyn Rig) -> Verdict {
    let [a, _] = rig.ends();
    for _ in 0..2 {
        rig.card().start_span(a.span, ClockSource::Internal)?;
    }
    for _ in 0..2 {
        rig.card().stop_span(a.span)?;
    }
    rig.card().start_span(a.span, ClockSource::Line { preference: 1 })?;
    Ok(None)
}

pub(super) fn a_timeslot_opens_once(rig: &mut dyn Rig) -> Verdict {
    let [a, b] = rig.ends();
    let _halves = open(rig, a)?;
    require_kind(rig.card().open(a.span, a.timeslot), ErrorKind::Busy, "open of an open timeslot")?;
    require_kind(rig.card().open_hdlc(a.span, a.timeslot), ErrorKind::Busy, "open_hdlc of an open timeslot")?;
    let _hdlc = rig.card().open_hdlc(b.span, b.timeslot)?;
    require_kind(rig.card().open(b.span, b.timeslot), ErrorKind::Busy, "open of a D channel")?;
    require_kind(rig.card().open_hdlc(b.span, b.timeslot), ErrorKind::Busy, "open_hdlc of a D channel")?;
    Ok(None)
}

pub(super) fn a_dropped_timeslot_opens_again(rig: &mut dyn Rig) -> Verdict {
    let [a, _] = rig.ends();
    for channel_first in [true, false] {
        let (channel, bearer) = open(rig, a)?;
        // Whichever half lives on keeps the timeslot.
        if channel_first {
            drop(channel);
            require_kind(rig.card().open(a.span, a.timeslot), ErrorKind::Busy, "open while the bearer lives")?;
            drop(bearer);
        } else {
            drop(bearer);
            require_kind(rig.card().open(a.span, a.timeslot), ErrorKind::Busy, "open while the channel lives")?;
            drop(channel);
        }
    }
    drop(rig.card().open_hdlc(a.span, a.timeslot)?);
    open(rig, a)?;
    Ok(None)
}

pub(super) fn what_is_not_there_is_not_found(rig: &mut dyn Rig) -> Verdict {
    let [a, _] = rig.ends();
    let card = rig.card();
    let spans = u8::try_from(card.spans().len()).unwrap_or(u8::MAX);
    for span in [0, spans.saturating_add(1), u8::MAX] {
        require_kind(card.open(span, 1), ErrorKind::NotFound, "open on no span")?;
        require_kind(card.open_hdlc(span, 1), ErrorKind::NotFound, "open_hdlc on no span")?;
        require_kind(card.start_span(span, ClockSource::Internal), ErrorKind::NotFound, "start_span of no span")?;
        require_kind(card.stop_span(span), ErrorKind::NotFound, "stop_span of no span")?;
        require_kind(card.alarms(span), ErrorKind::NotFound, "alarms of no span")?;
        require_kind(card.line_errors(span), ErrorKind::NotFound, "line_errors of no span")?;
        require_kind(card.set_loopback(span, Loopback::Off), ErrorKind::NotFound, "set_loopback of no span")?;
    }
    let kind = card.spans().iter().find(|s| s.number == a.span).map(|s| s.kind);
    let absent: &[u8] = match kind {
        Some(SpanKind::T1) => &[0, 25, u8::MAX],
        // Timeslot 0 is framing, 16 is signalling (ITU-T G.704).
        _ => &[0, 16, 32, u8::MAX],
    };
    for &timeslot in absent {
        require_kind(card.open(a.span, timeslot), ErrorKind::NotFound, "open of no timeslot")?;
    }
    require_kind(card.open_hdlc(a.span, 0), ErrorKind::NotFound, "open_hdlc of no timeslot")?;
    require_kind(card.open_hdlc(a.span, 32), ErrorKind::NotFound, "open_hdlc of no timeslot")?;
    Ok(None)
}

pub(super) fn alarms_come_and_go_with_events(rig: &mut dyn Rig) -> Verdict {
    start(rig)?;
    let [a, b] = rig.ends();
    rig.card().stop_span(b.span)?;
    for (healthy, limit) in [(false, ALARM_DELAY_MAX), (true, ALARM_CLEAR_MAX)] {
        let mut told = None;
        let seen = wait(rig, limit, |card| {
            while let Some(event) = card.next_event() {
                if let CardEvent::Alarms { span, alarms } = event
                    && span == a.span
                {
                    told = Some(alarms);
                }
            }
            Ok(card.alarms(a.span)?.in_service() == healthy && told.is_some_and(|t| t.in_service() == healthy))
        })?;
        require(seen, "an alarm is shown and told, and so is its end", (healthy, told))?;
        if !healthy {
            rig.card().start_span(b.span, ClockSource::Internal)?;
        }
    }
    rig.card().line_errors(a.span)?;
    Ok(None)
}

pub(super) fn the_watchdog_bites_only_when_starved(rig: &mut dyn Rig) -> Verdict {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let Some(watchdog) = rig.card().watchdog() else { return Ok(Some("the card has no watchdog")) };
    require_kind(watchdog.feed(), ErrorKind::Busy, "feed of a watchdog that is not armed")?;
    require_kind(watchdog.arm(Duration::ZERO), ErrorKind::Invalid, "arm with no time")?;
    watchdog.arm(TIMEOUT)?;
    for _ in 0..6 {
        rig.advance(TIMEOUT / 2);
        feed(rig)?;
    }
    require(rig.watchdog_bites().unwrap_or(0) == 0, "a fed watchdog does not bite", rig.watchdog_bites())?;
    for _ in 0..2 {
        if let Some(watchdog) = rig.card().watchdog() {
            watchdog.disarm()?;
        }
    }
    rig.advance(TIMEOUT * 2);
    require(rig.watchdog_bites().unwrap_or(0) == 0, "a disarmed watchdog does not bite", rig.watchdog_bites())?;
    let Some(before) = rig.watchdog_bites() else { return Ok(None) };
    if let Some(watchdog) = rig.card().watchdog() {
        watchdog.arm(TIMEOUT)?;
    }
    rig.advance(TIMEOUT + TIMEOUT / 4);
    require(rig.watchdog_bites() == Some(before + 1), "a starved watchdog bites once", rig.watchdog_bites())?;
    Ok(None)
}

fn feed(rig: &mut dyn Rig) -> Result<(), Failure> {
    match rig.card().watchdog() {
        Some(watchdog) => Ok(watchdog.feed()?),
        None => require(false, "a watchdog does not go away", ()),
    }
}

pub(super) fn a_card_that_is_gone_stays_gone(rig: &mut dyn Rig) -> Verdict {
    start(rig)?;
    let [a, b] = rig.ends();
    let (mut channel, mut bearer) = open(rig, a)?;
    let mut hdlc = rig.card().open_hdlc(b.span, b.timeslot)?;
    if !rig.unplug() {
        return Ok(Some("the rig cannot unplug the card"));
    }
    rig.advance(CAS_DELAY_MAX);
    const GONE: ErrorKind = ErrorKind::Gone;
    require_kind(channel.cas(), GONE, "cas of a card that is gone")?;
    require_kind(channel.set_cas(CasBits::OFF_HOOK), GONE, "set_cas of a card that is gone")?;
    require_kind(channel.set_echo_canceller(None), GONE, "set_echo_canceller of a card that is gone")?;
    require_kind(bearer.read(&mut [0; 8]), GONE, "read of a card that is gone")?;
    require_kind(bearer.write(&[0; 8]), GONE, "write of a card that is gone")?;
    require_kind(hdlc.send(&[0; 8]), GONE, "send of a card that is gone")?;
    let card = rig.card();
    require_kind(card.open(a.span, a.timeslot), GONE, "open of a card that is gone")?;
    require_kind(card.open_hdlc(a.span, a.timeslot), GONE, "open_hdlc of a card that is gone")?;
    require_kind(card.alarms(a.span), GONE, "alarms of a card that is gone")?;
    require_kind(card.line_errors(a.span), GONE, "line_errors of a card that is gone")?;
    require_kind(card.start_span(a.span, ClockSource::Internal), GONE, "start_span of a card that is gone")?;
    require_kind(card.stop_span(a.span), GONE, "stop_span of a card that is gone")?;
    require_kind(card.set_loopback(a.span, Loopback::Off), GONE, "set_loopback of a card that is gone")?;
    if let Some(watchdog) = card.watchdog() {
        require_kind(watchdog.arm(Duration::from_secs(1)), GONE, "arm of a card that is gone")?;
        require_kind(watchdog.feed(), GONE, "feed of a card that is gone")?;
        require_kind(watchdog.disarm(), GONE, "disarm of a card that is gone")?;
    }
    let told = events(rig);
    require(told.iter().filter(|e| **e == CardEvent::Gone).count() == 1, "one Gone event comes", &told)?;
    require(told.last() == Some(&CardEvent::Gone), "no event follows Gone", &told)?;
    rig.advance(CAS_DELAY_MAX);
    let told = events(rig);
    require(told.is_empty(), "no event follows Gone", &told)?;
    // Dropping what is left must not hurt.
    drop((channel, bearer, hdlc));
    Ok(None)
}
