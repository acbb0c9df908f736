//! The end of a port on a card's timeslot.

use cordboard_hal::{Bearer, ErrorKind};

use crate::base::{Circuit, Codec, Law};
use crate::media::{FRAME, Octets};

/// Octets held at most: 80 ms. The card's clock and ours differ, so the store breathes.
const STORE: usize = 4 * FRAME;
/// When more than this is held, the delay is brought back to about [`KEEP`].
const HIGH: usize = 3 * FRAME;
const KEEP: usize = FRAME;

/// The hardware is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gone;

/// A timeslot and what was read of it but not yet played.
pub struct TdmEnd {
    circuit: Circuit,
    bearer: Box<dyn Bearer>,
    store: [u8; STORE],
    held: usize,
    begun: bool,
}

impl TdmEnd {
    /// Takes a timeslot.
    pub fn new(circuit: Circuit, bearer: Box<dyn Bearer>) -> TdmEnd {
        TdmEnd { circuit, bearer, store: [0; STORE], held: 0, begun: false }
    }

    /// Gives the timeslot back.
    pub fn into_parts(self) -> (Circuit, Box<dyn Bearer>) {
        (self.circuit, self.bearer)
    }

    /// The law of the timeslot.
    pub fn law(&self) -> Law {
        match self.bearer.law() {
            cordboard_hal::Law::Ulaw => Law::Mu,
            cordboard_hal::Law::Alaw => Law::A,
        }
    }

    /// The law as a codec.
    pub fn codec(&self) -> Codec {
        match self.law() {
            Law::Mu => Codec::Pcmu,
            Law::A => Codec::Pcma,
        }
    }

    /// Fetches what the card has received. True: we are too far behind, and frames down to [`is_full`](Self::is_full) are
    /// to be taken without being played, to bring the delay back.
    pub fn fetch(&mut self) -> Result<bool, Gone> {
        let space = self.store.get_mut(self.held..).unwrap_or_default();
        match self.bearer.read(space) {
            Ok(read) => self.held = (self.held + read).min(STORE),
            Err(error) if error.kind() == ErrorKind::Gone => return Err(Gone),
            // Any other failure sounds like an underrun; the span's alarms tell the rest.
            Err(_) => {}
        }
        Ok(self.held > HIGH)
    }

    /// Whether more is held than what is to be played next and what is kept.
    pub fn is_full(&self) -> bool {
        self.held >= KEEP + 2 * FRAME
    }

    /// Takes 20 ms that were received. False leaves `frame` alone: there is less than a frame (an underrun, which comes
    /// once per slip of the clocks).
    pub fn take(&mut self, frame: &mut Octets) -> bool {
        let Some(oldest) = self.store.first_chunk::<FRAME>().filter(|_| self.held >= FRAME) else { return false };
        *frame = *oldest;
        self.store.copy_within(FRAME..self.held, 0);
        self.held -= FRAME;
        true
    }

    /// Sends 20 ms. What the driver has no room for is lost: our clock is faster than the card's.
    pub fn write(&mut self, frame: &Octets) -> Result<(), Gone> {
        if !self.begun {
            // One frame ahead, so that a tick that comes late is not heard.
            self.begun = true;
            let silence = [self.bearer.law().silence(); FRAME];
            self.put(&silence)?;
        }
        self.put(frame)
    }

    fn put(&mut self, octets: &Octets) -> Result<(), Gone> {
        match self.bearer.write(octets) {
            Err(error) if error.kind() == ErrorKind::Gone => Err(Gone),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
