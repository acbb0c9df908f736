//! What plays to a port's party: prompts in order, a tone, or music.

use std::sync::Arc;

use crate::base::{Law, PlayId};
use crate::dsp::{g711, tone};
use crate::media::prompt::{Loop, Prompt};
use crate::media::{FRAME, Octets};

/// Items of one playback at most; a longer list is cut.
pub const ITEMS_MAX: usize = 256;

/// A part of a playback.
#[derive(Clone, Debug)]
pub enum Piece {
    /// A prompt from its beginning to its end.
    Prompt(Arc<Prompt>),
    /// So many samples of silence.
    Silence(usize),
}

impl Piece {
    fn samples(&self) -> usize {
        match self {
            Piece::Prompt(prompt) => prompt.samples(),
            Piece::Silence(samples) => *samples,
        }
    }
}

/// One playback.
#[derive(Debug)]
pub struct Player {
    play: PlayId,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Pieces { pieces: Vec<Piece>, piece: usize, position: usize },
    Tone(Box<tone::Generator>),
    Music(Loop),
}

impl Player {
    /// Plays pieces in order, once.
    pub fn pieces(play: PlayId, pieces: Vec<Piece>) -> Player {
        Player { play, source: Source::Pieces { pieces, piece: 0, position: 0 } }
    }

    /// Plays a tone until stopped.
    pub fn tone(play: PlayId, tone: &tone::Tone) -> Player {
        Player { play, source: Source::Tone(Box::new(tone::Generator::new(tone))) }
    }

    /// Plays music until stopped.
    pub fn music(play: PlayId, music: Loop) -> Player {
        Player { play, source: Source::Music(music) }
    }

    /// Which playback this is.
    pub fn play(&self) -> PlayId {
        self.play
    }

    /// Writes the next 20 ms in a law; `number` counts frames since the origin of time. Returns whether more follows.
    pub fn next(&mut self, law: Law, number: u64, frame: &mut Octets) -> bool {
        match &mut self.source {
            Source::Pieces { pieces, piece, position } => fill(pieces, piece, position, law, frame),
            Source::Tone(generator) => {
                let mut pcm = [0; FRAME];
                generator.fill(&mut pcm);
                g711::encode(law, &pcm, frame);
                true
            }
            Source::Music(music) => {
                music.frame(law, number, frame);
                true
            }
        }
    }
}

/// Pieces follow each other without a gap, also inside a frame. The rest of the last frame is silence.
fn fill(pieces: &[Piece], piece: &mut usize, position: &mut usize, law: Law, frame: &mut Octets) -> bool {
    frame.fill(g711::silence(law));
    let mut filled = 0;
    while let Some(current) = pieces.get(*piece) {
        let rest = frame.get_mut(filled..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let taken = match current {
            Piece::Prompt(prompt) => prompt.read(law, *position, rest),
            Piece::Silence(samples) => samples.saturating_sub(*position).min(rest.len()),
        };
        filled += taken;
        *position += taken;
        if *position >= current.samples() {
            *piece += 1;
            *position = 0;
        }
    }
    *piece < pieces.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(samples: usize, value: i16) -> Piece {
        Piece::Prompt(Arc::new(Prompt::new(&vec![value; samples])))
    }

    #[test]
    fn pieces_join_without_a_gap() {
        let mut player =
            Player::pieces(PlayId(1), vec![prompt(100, 8_000), Piece::Silence(40), prompt(0, 1), prompt(60, -8_000)]);
        let mut frame = [0; FRAME];
        assert!(player.next(Law::Mu, 0, &mut frame));
        let mut pcm = [0; FRAME];
        g711::decode(Law::Mu, &frame, &mut pcm);
        assert!(pcm[..100].iter().all(|&s| s > 7_000));
        assert!(pcm[100..140].iter().all(|&s| s == 0));
        assert!(pcm[140..].iter().all(|&s| s < -7_000));
        assert!(!player.next(Law::Mu, 1, &mut frame));
        g711::decode(Law::Mu, &frame, &mut pcm);
        assert!(pcm[..40].iter().all(|&s| s < -7_000));
        assert!(pcm[40..].iter().all(|&s| s == 0), "the last frame ends in silence");
    }

    #[test]
    fn nothing_to_play_ends_at_once() {
        let mut frame = [0; FRAME];
        assert!(!Player::pieces(PlayId(1), Vec::new()).next(Law::A, 0, &mut frame));
        assert!(!Player::pieces(PlayId(1), vec![Piece::Silence(0)]).next(Law::A, 0, &mut frame));
        assert_eq!(frame, [0xd5; FRAME]);
    }

    #[test]
    fn a_playback_of_whole_frames_ends_with_its_last_frame() {
        let mut player = Player::pieces(PlayId(1), vec![prompt(320, 8_000)]);
        let mut frame = [0; FRAME];
        assert!(player.next(Law::Mu, 0, &mut frame));
        assert!(!player.next(Law::Mu, 1, &mut frame));
    }
}
