//! Fuzzing: what peers send, changed at random, goes through all that reads it, and must come out as it should.
//!
//! No input may panic, and each target says what else must hold. A failure shows the seed of its input:
//! `FUZZ_SEED=... cargo test fuzz` tries that one and some more.

mod certificates;
mod compression;
mod frames;
mod framing;
mod headers;
mod mutator;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::dice::Dice;

/// One thing that reads what a peer sends.
struct Target {
    /// How a failure names it.
    name: &'static str,
    /// Inputs that are right; at least one.
    samples: fn() -> Vec<Vec<u8>>,
    /// Panics if something does not hold for an input. The dice are for what is not in it, as where it is cut.
    check: fn(&[u8], &mut Dice),
}

const TARGETS: &[Target] = &[
    certificates::TARGET,
    compression::DEFLATE,
    compression::GZIP,
    frames::TARGET,
    framing::TARGET,
    headers::ENCODINGS,
    headers::MESSAGE,
    headers::METADATA,
    headers::TIMEOUT,
];

const A_FEW: u64 = 1000;
const AT_ONCE: u64 = 100;

/// Try the inputs that come from these seeds.
fn attack(target: &Target, seeds: std::ops::Range<u64>) {
    let samples = (target.samples)();
    for seed in seeds {
        let mut dice = Dice(seed);
        let input = mutator::mutate(&samples, &mut dice);
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.check)(&input, &mut dice)));
        assert!(outcome.is_ok(), "{} failed with FUZZ_SEED={seed}: {}", target.name, input.escape_ascii());
    }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

#[test]
fn every_target_passes_a_few_inputs() {
    let first = number("FUZZ_SEED").unwrap_or(0);
    for target in TARGETS {
        attack(target, first..first + A_FEW);
    }
}

#[test]
#[ignore = "takes FUZZ_SECONDS"]
fn every_target_passes_for_a_while() {
    let seconds = number("FUZZ_SECONDS").expect("FUZZ_SECONDS says for how long");
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut seed = number("FUZZ_SEED").unwrap_or(nanoseconds);
    let (first, until) = (seed, Instant::now() + Duration::from_secs(seconds));
    while Instant::now() < until {
        for target in TARGETS {
            attack(target, seed..seed + AT_ONCE);
        }
        seed += AT_ONCE;
    }
    println!("{} inputs for each of {} targets", seed - first, TARGETS.len());
}

#[test]
fn a_target_that_panics_is_caught_with_its_input() {
    let faulty =
        Target { name: "faulty", samples: || vec![b"abc".to_vec()], check: |input, _| assert!(input.len() < 4) };
    let caught = catch_unwind(|| attack(&faulty, 0..A_FEW)).unwrap_err();
    let message = caught.downcast_ref::<String>().unwrap();
    assert!(message.starts_with("faulty failed with FUZZ_SEED="), "{message}");
}
