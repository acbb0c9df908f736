//! Checks of signalling: CAS bits and HDLC frames.

use std::time::Duration;

use super::{CAS_DELAY_MAX, End, Failure, Rig, Verdict, events, open, require, require_kind, start, wait};
use crate::{CardEvent, CasBits, ErrorKind};

/// Lets the line run and returns the bits that events told for `end`, oldest first.
fn told(rig: &mut dyn Rig, end: End) -> Vec<CasBits> {
    rig.advance(CAS_DELAY_MAX);
    events(rig)
        .into_iter()
        .filter_map(|event| match event {
            CardEvent::Cas { span, timeslot, bits } if span == end.span && timeslot == end.timeslot => Some(bits),
            _ => None,
        })
        .collect()
}

pub(super) fn cas_bits_arrive_with_an_event(rig: &mut dyn Rig) -> Verdict {
    start(rig)?;
    let [a, b] = rig.ends();
    let (mut near, _bearer) = open(rig, a)?;
    let (far, _far_bearer) = open(rig, b)?;
    told(rig, b);
    for bits in (1..=15).chain([0]).map(CasBits::new) {
        near.set_cas(bits)?;
        let told = told(rig, b);
        require(told == [bits], "one event tells the new bits", (bits, told))?;
        require(far.cas()? == bits, "the bits can be read", (bits, far.cas()?))?;
        // Setting the same bits again changes nothing.
        near.set_cas(bits)?;
    }
    require(near.cas()? == CasBits::ON_HOOK, "the two directions are apart", near.cas()?)?;
    Ok(None)
}

pub(super) fn cas_bits_stay_in_their_timeslot(rig: &mut dyn Rig) -> Verdict {
    start(rig)?;
    let [a, b] = rig.ends();
    let next = |end: End| End { timeslot: end.timeslot + 1, ..end };
    let (mut near, _bearer) = open(rig, a)?;
    let (far, _far_bearer) = open(rig, b)?;
    let (mut neighbour, _neighbour_bearer) = open(rig, next(a))?;
    let (far_neighbour, _far_neighbour_bearer) = open(rig, next(b))?;
    near.set_cas(CasBits::new(0b0101))?;
    told(rig, b);
    for bits in [15, 0, 10, 5].map(CasBits::new) {
        neighbour.set_cas(bits)?;
        let told = told(rig, b);
        require(told.is_empty(), "a neighbour's bits make no event here", told)?;
        require(far.cas()?.get() == 0b0101, "a neighbour's bits do not leak in", far.cas()?)?;
        require(far_neighbour.cas()? == bits, "the neighbour's bits arrive", far_neighbour.cas()?)?;
    }
    Ok(None)
}

pub(super) fn a_dropped_timeslot_goes_on_hook(rig: &mut dyn Rig) -> Verdict {
    start(rig)?;
    let [a, b] = rig.ends();
    let (far, _far_bearer) = open(rig, b)?;
    let (mut near, bearer) = open(rig, a)?;
    near.set_cas(CasBits::OFF_HOOK)?;
    rig.advance(CAS_DELAY_MAX);
    require(far.cas()? == CasBits::OFF_HOOK, "the bits arrive", far.cas()?)?;
    drop((near, bearer));
    rig.advance(CAS_DELAY_MAX);
    require(far.cas()? == CasBits::ON_HOOK, "a timeslot that nobody has is on-hook", far.cas()?)?;
    Ok(None)
}

pub(super) fn hdlc_frames_arrive_whole(rig: &mut dyn Rig) -> Verdict {
    start(rig)?;
    let [a, b] = rig.ends();
    let mut near = rig.card().open_hdlc(a.span, a.timeslot)?;
    let mut far = rig.card().open_hdlc(b.span, b.timeslot)?;
    rig.advance(Duration::from_millis(50));
    events(rig);
    // Q.921 5.9.3: N201 is 260 octets of information, with 4 more of address and control.
    for len in [1, 3, 4, 64, 264] {
        let frame: Vec<u8> = (0..len).map(|at| (at * 7 + len) as u8).collect();
        near.send(&frame)?;
        require_frame(rig, b, &frame)?;
        far.send(&frame)?;
        require_frame(rig, a, &frame)?;
    }
    // Octets that look like flags and aborts must pass.
    for octet in [0x7e, 0x7d, 0x00, 0xff] {
        let frame = [octet; 32];
        near.send(&frame)?;
        require_frame(rig, b, &frame)?;
    }
    Ok(None)
}

fn require_frame(rig: &mut dyn Rig, at: End, expected: &[u8]) -> Result<(), Failure> {
    let mut got = None;
    let arrived = wait(rig, Duration::from_millis(300), |card| {
        while let Some(event) = card.next_event() {
            if let CardEvent::Hdlc { span, timeslot, frame } = event
                && (span, timeslot) == (at.span, at.timeslot)
            {
                got = Some(frame);
            }
        }
        Ok(got.is_some())
    })?;
    require(arrived, "a frame arrives", expected.len())?;
    require(got.as_deref() == Some(expected), "a frame arrives whole, without FCS", got)
}

pub(super) fn hdlc_refuses_what_is_no_frame(rig: &mut dyn Rig) -> Verdict {
    start(rig)?;
    let [a, _] = rig.ends();
    let mut hdlc = rig.card().open_hdlc(a.span, a.timeslot)?;
    require_kind(hdlc.send(&[]), ErrorKind::Invalid, "send of an empty frame")?;
    require_kind(hdlc.send(&[0; 513]), ErrorKind::Invalid, "send of a frame of 513 octets")?;
    let refused = (0..10_000).find_map(|_| hdlc.send(&[0; 512]).err().map(|e| e.kind()));
    require(refused == Some(ErrorKind::Busy), "a full transmit queue is busy", refused)?;
    Ok(None)
}
