//! Octets of any codec from 8 kHz samples, and back: what the frame path works with whatever a party speaks.

use crate::base::Codec;
use crate::dsp::{g711, g722};

/// One direction of one stream. G.711 needs no memory; of G.722 only the lower sub-band is made and heard.
#[derive(Clone, Debug, Default)]
pub struct Coder {
    g722: g722::Narrow,
}

impl Coder {
    /// Encodes as many samples as both slices hold.
    #[inline]
    pub fn encode(&mut self, codec: Codec, pcm: &[i16], octets: &mut [u8]) {
        match codec.law() {
            Some(law) => g711::encode(law, pcm, octets),
            None => self.g722.encode(pcm, octets),
        }
    }

    /// Decodes as many octets as both slices hold.
    #[inline]
    pub fn decode(&mut self, codec: Codec, octets: &[u8], pcm: &mut [i16]) {
        match codec.law() {
            Some(law) => g711::decode(law, octets, pcm),
            None => self.g722.decode(octets, pcm),
        }
    }
}

/// The octet of a pause.
pub const fn silence(codec: Codec) -> u8 {
    match codec.law() {
        Some(law) => g711::silence(law),
        None => g722::SILENCE,
    }
}
