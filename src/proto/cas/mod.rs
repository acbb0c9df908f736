//! stub
use crate::base::{Cause, Instant};
#[derive(Default)]
pub struct EmWinkConfig {}
pub struct EmWink {}
pub enum Input {
    Bits(u8),
    Digit(char),
    Seize { digits: String },
    Answer,
    Release(Cause),
    AddressComplete,
    DigitsSent,
}
pub enum Output {
    SetBits(u8),
    SendDigits(String),
    StartDigits,
    StopDigits,
    Winked,
    Seized,
    AddressDigit(String),
    Digits(String),
    Answered,
    Glare,
    Released(Cause),
}
impl EmWink {
    pub fn new(_: EmWinkConfig) -> Self {
        Self {}
    }
    pub fn handle(&mut self, _: Instant, _: Input) {}
    pub fn handle_timeout(&mut self, _: Instant) {}
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }
    pub fn is_idle(&self) -> bool {
        true
    }
}
