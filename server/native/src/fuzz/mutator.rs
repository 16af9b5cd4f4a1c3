//! Makes wrong inputs of right ones: a few changes to one of the seeds, each of a kind that parsers stumble over.

use crate::dice::Dice;

const MOST_CHANGES: usize = 6;
const LONGEST: usize = 64 << 10;
const TELLING: [u8; 12] = [0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, b' ', b'%', b',', b'=', b'\n'];

/// An input made of `seeds`, which are not empty as a whole.
pub fn mutate(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut input = dice.one(seeds).clone();
    for _ in 0..dice.below(MOST_CHANGES + 1) {
        change(&mut input, seeds, dice);
    }
    input.truncate(LONGEST);
    input
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let (from, to) = span(input.len(), dice);
    match dice.below(8) {
        0 if !input.is_empty() => input[from.min(to - 1)] ^= 1 << dice.below(8),
        1 if !input.is_empty() => input[from.min(to - 1)] = *dice.one(&TELLING),
        2 => input.truncate(from),
        3 => drop(input.drain(from..to)),
        4 => drop(input.splice(from..from, input[from..to].to_vec().repeat(1 + dice.below(3)))),
        5 => input[from..to].fill(*dice.one(&TELLING)),
        6 => input[from..to].iter_mut().for_each(|byte| *byte = dice.byte()),
        _ => {
            let other = dice.one(seeds);
            let (start, end) = span(other.len(), dice);
            input.splice(from..to, other[start..end].iter().copied());
        }
    }
}

/// Where something is to change: mostly few bytes, and at least one where there is one.
fn span(length: usize, dice: &mut Dice) -> (usize, usize) {
    if length == 0 {
        return (0, 0);
    }
    let from = dice.below(length);
    (from, length.min(from + 1 + dice.size()))
}
