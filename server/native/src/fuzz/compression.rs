//! Messages out of gzip and deflate: within their bounds, and the same as flate2's own readers make of them.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use super::Target;
use crate::compression::{Encoding, Inflater, Progress, STEP, compress};
use crate::dice::Dice;

pub const GZIP: Target = Target {
    name: "gzip",
    samples: || samples(Encoding::Gzip),
    check: |input, dice| check(Encoding::Gzip, input, dice),
};
pub const DEFLATE: Target = Target {
    name: "deflate",
    samples: || samples(Encoding::Deflate),
    check: |input, dice| check(Encoding::Deflate, input, dice),
};

/// Of gzip's flags: a checksum over its header, which flate2 checks and an `Inflater` skips.
const HEADER_CRC: u8 = 1 << 1;
/// Of gzip's flags: those that mean nothing yet, which flate2 lets pass and an `Inflater` does not.
const RESERVED: u8 = 0b1110_0000;

fn samples(encoding: Encoding) -> Vec<Vec<u8>> {
    let mut dice = Dice(0);
    let noise: Vec<u8> = (0..3000).map(|_| dice.byte()).collect();
    let text = b"name: 'tiny', shape: [1, 16], ".repeat(50);
    let few = [&b""[..], b"a", &text, &noise, &[0; 3 * STEP]].map(|message| compress(encoding, 2, &[message]));
    let mut samples = few.to_vec();
    if encoding == Encoding::Gzip {
        let fields = b"\x1f\x8b\x08\x1f\0\0\0\0\0\xff\x03\0abcname\0comment\0";
        samples.push([&fields[..], b"v\x88", &samples[2][10..]].concat());
        samples.push(fields.to_vec());
    }
    samples
}

fn check(encoding: Encoding, input: &[u8], dice: &mut Dice) {
    let limit = *dice.one(&[0, 1, 1000, STEP, 10 * STEP]);
    let mut inflater = Inflater::new(encoding, Bytes::copy_from_slice(input), limit);
    let most_steps = 3 + input.len() / STEP + 2 * limit.div_ceil(STEP);
    for _ in 0..most_steps {
        match inflater.step() {
            Progress::More => assert!(inflater.produced() <= limit as u64),
            Progress::TooLarge { at_least } => {
                return assert!((limit + 1..=2 * limit + STEP).contains(&(at_least as usize)), "{at_least}");
            }
            Progress::Done(message) => {
                return assert!(
                    has_flags(encoding, input, HEADER_CRC) || whole(encoding, input, limit) == Some(message)
                );
            }
            Progress::Malformed(_) => {
                return assert!(has_flags(encoding, input, RESERVED) || whole(encoding, input, limit).is_none());
            }
        }
    }
    panic!("no end after {most_steps} steps");
}

fn has_flags(encoding: Encoding, input: &[u8], flags: u8) -> bool {
    encoding == Encoding::Gzip && input.get(3).is_some_and(|present| present & flags != 0)
}

/// What flate2 makes of a message that is whole, within the limit, and all there is.
fn whole(encoding: Encoding, input: &[u8], limit: usize) -> Option<Bytes> {
    let mut message = Vec::with_capacity(limit + 1);
    if encoding == Encoding::Gzip {
        let mut reader = GzDecoder::new(input);
        reader.by_ref().take(limit as u64 + 1).read_to_end(&mut message).ok()?;
        // What follows the message is still to be read, be it a checksum.
        let ends = reader.read(&mut [0]).ok()? == 0 && reader.into_inner().is_empty();
        return ends.then(|| Bytes::from(message));
    }
    let mut stream = Decompress::new(true);
    // With Finish a distance to before the beginning is an error; else it finds zeros, as in an `Inflater`.
    let status = stream.decompress_vec(input, &mut message, FlushDecompress::None).ok()?;
    (status == Status::StreamEnd && stream.total_in() == input.len() as u64).then(|| Bytes::from(message))
}
