//! The suite that any driver must pass, on simulated cards.

use std::time::Duration;

use cordboard_hal::conformance::{self, End, Outcome, Rig};
use cordboard_hal::{Card, SpanKind};
use cordboard_hal_sim::{SimCard, SimControl};

struct SimRig {
    card: SimCard,
    control: SimControl,
    timeslot: u8,
}

impl Rig for SimRig {
    fn card(&mut self) -> &mut dyn Card {
        &mut self.card
    }

    fn ends(&self) -> [End; 2] {
        [1, 2].map(|span| End { span, timeslot: self.timeslot })
    }

    fn advance(&mut self, time: Duration) {
        self.control.advance(u32::try_from(time.as_millis()).unwrap());
    }

    fn unplug(&mut self) -> bool {
        self.control.vanish();
        true
    }

    fn watchdog_bites(&self) -> Option<u64> {
        Some(self.control.watchdog_bites())
    }

    fn clear_channel(&self) -> bool {
        true
    }
}

fn conforms(kind: SpanKind, timeslot: u8) {
    let report = conformance::run(&mut || {
        let (card, control) = SimCard::new(kind, 2);
        control.cross_connect(1, 2).unwrap();
        Box::new(SimRig { card, control, timeslot })
    });
    assert!(report.passed(), "{kind:?}\n{report}");
    // The simulation can do everything, so nothing may hide behind a skip.
    assert!(report.outcomes().iter().all(|(_, o)| matches!(o, Outcome::Passed)), "{report}");
}

#[test]
fn a_simulated_t1_card_conforms() {
    conforms(SpanKind::T1, 1);
    conforms(SpanKind::T1, 23);
}

#[test]
fn a_simulated_e1_card_conforms() {
    conforms(SpanKind::E1, 14);
    conforms(SpanKind::E1, 30);
}
