//! The simulated card: it conforms, its faults do what they say, and calls signal through it both ways.

mod hal_sim {
    mod conformance;
    mod faults;
    mod near;
    mod signalling;
    mod spoiled;
}
