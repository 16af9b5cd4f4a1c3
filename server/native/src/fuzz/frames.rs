//! Frames that pass by: the same however the bytes are cut, and judged without a panic at any time.

use std::time::{Duration, Instant};

use super::Target;
use crate::abuse::{Limits, Policy};
use crate::dice::Dice;
use crate::frames::{Follower, Frame, HEAD, PREFACE, kind};

pub const TARGET: Target = Target { name: "frames", samples, check };

fn samples() -> Vec<Vec<u8>> {
    let frame = |kind, flags, stream, payload: &[u8]| {
        let head = Frame { kind, flags, length: payload.len() as u32, stream }.to_bytes();
        [&head[..], payload].concat()
    };
    let call = [frame(kind::HEADERS, 4, 1, &[0x82; 30]), frame(kind::DATA, 1, 1, &[0; 100])].concat();
    let pings = frame(kind::PING, 0, 0, &[7; 8]).repeat(20);
    let resets = frame(kind::RST_STREAM, 0, 3, &[0, 0, 0, 8]).repeat(20);
    let settings = [frame(kind::SETTINGS, 0, 0, &[0; 12]), frame(kind::SETTINGS, 1, 0, b"")].concat();
    let windows = frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]).repeat(30);
    let farewell = frame(kind::GOAWAY, 0, 0, &[0; 8]);
    [call, pings, resets, settings, windows, farewell].map(|frames| [&PREFACE[..], &frames].concat()).to_vec()
}

fn check(input: &[u8], dice: &mut Dice) {
    let (mut whole, mut cut, frames) = match dice.below(2) {
        0 => (Follower::of_server(), Follower::of_server(), frames_of(input)),
        _ => (Follower::of_client(), Follower::of_client(), frames_of(input.get(PREFACE.len()..).unwrap_or_default())),
    };
    let mut seen = Vec::new();
    whole.feed(input, |frame| seen.push(*frame));
    assert_eq!(seen, frames);
    seen.clear();
    for chunk in dice.cut(input) {
        cut.feed(chunk, |frame| seen.push(*frame));
    }
    assert_eq!(seen, frames);
    assert_eq!(cut.at_boundary(), whole.at_boundary());
    judge(&frames, dice);
}

/// All frames whose last byte is there.
fn frames_of(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((&[a, b, c, kind, flags, d, e, f, g], rest)) = bytes.split_first_chunk::<HEAD>() {
        let length = u32::from_be_bytes([0, a, b, c]);
        let Some(after) = rest.get(length as usize..) else { break };
        frames.push(Frame { kind, flags, length, stream: u32::from_be_bytes([d & 0x7F, e, f, g]) });
        bytes = after;
    }
    frames
}

/// Time may pass by any amount, and not at all.
fn judge(frames: &[Frame], dice: &mut Dice) {
    let mut now = Instant::now();
    let limits = Limits {
        max_ping_strikes: dice.below(3) as u32,
        least_ping_interval: Duration::from_secs(dice.below(600) as u64),
        pings_without_calls: dice.below(2) == 0,
    };
    let jumps = *dice.one(&[&[0][..], &[0, 0, 0, 0, 0, 0, 1, 1_000_000]]);
    let mut policy = Policy::new(limits, now);
    for frame in std::iter::repeat_n(frames, *dice.one(&[1, 1, 1, 200])).flatten() {
        now += Duration::from_secs(*dice.one(jumps));
        if dice.below(4) == 0 {
            policy.sent(frame);
        } else if policy.received(frame, dice.below(3), now).is_err() {
            return;
        }
    }
}
