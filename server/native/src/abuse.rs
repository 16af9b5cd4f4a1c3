//! What a client may do on a connection before it is sent away. Pure: time is handed in.
//!
//! Pings are judged as gRPC's core judges them: one that comes too soon after the last is a strike, more strikes than
//! allowed end the connection, and they are forgotten whenever the server sends something of a call.
//!
//! The other limits are against floods of frames that cost the server work and move no call on. They are allowances
//! that fill up again, wide enough that no sane client comes near. h2 itself bounds what costs memory, and what belongs
//! to streams: headers and their CONTINUATION frames, DATA frames (empty ones: 100 in a connection's life), streams
//! above the limit, streams reset before they were accepted, resets that it has to send itself.

use std::fmt;
use std::time::{Duration, Instant};

use crate::frames::{Frame, kind};

/// How often a client without calls may ping, unless it may as often as one with calls; TCP's own interval.
const WITHOUT_CALLS: Duration = Duration::from_secs(2 * 60 * 60);

/// Frames that answer what the server sent (WINDOW_UPDATE, PING to measure a bandwidth): each frame of a call that the
/// server sends allows some more, since clients at full speed send two or three for it.
const ANSWERS: Allowance = Allowance { most: 10_000, per_second: 1_000 };
const ANSWERS_FOR_EACH_SENT: u32 = 8;
/// Frames that are seldom of use: SETTINGS, PRIORITY, empty DATA, kinds that nobody knows.
const UPKEEP: Allowance = Allowance { most: 1_000, per_second: 100 };
/// Calls that come to nothing, taken back or begun after the good-bye: a client whose deadlines all pass while the
/// server is stuck takes back thousands at once.
const FUTILE: Allowance = Allowance { most: 10_000, per_second: 1_000 };

/// How a client may ping. max_ping_strikes: 0 for no limit, of any kind.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many pings may come too soon.
    pub max_ping_strikes: u32,
    /// What is soon enough after the last ping.
    pub least_ping_interval: Duration,
    /// Whether that holds without calls too; else it is two hours there.
    pub pings_without_calls: bool,
}

/// Why a client is sent away: the text that goes to it with ENHANCE_YOUR_CALM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offence(pub &'static str);

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the client was sent away: {}", self.0)
    }
}

impl std::error::Error for Offence {}

/// More pings than allowed; the text is the one that gRPC's clients know.
pub const TOO_MANY_PINGS: Offence = Offence("too_many_pings");
/// More calls than allowed that were begun after the good-bye.
pub const TOO_MANY_LATE_CALLS: Offence = Offence("too_many_late_calls");
/// More RST_STREAM frames than allowed.
pub const TOO_MANY_RESETS: Offence = Offence("too_many_resets");
/// More frames of other kinds than allowed.
pub const TOO_MANY_CONTROL_FRAMES: Offence = Offence("too_many_control_frames");

/// Whether a frame of the client belongs to a call: it is not judged here, and needs no look at the time.
pub fn is_free(frame: &Frame) -> bool {
    match frame.kind {
        kind::HEADERS | kind::CONTINUATION => true,
        kind::DATA => frame.length > 0 || frame.ends_stream(),
        _ => false,
    }
}

/// Judges one connection's frames.
#[derive(Debug)]
pub struct Policy {
    limits: Limits,
    strikes: u32,
    last_ping: Option<Instant>,
    answers: Bucket,
    upkeep: Bucket,
    futile: Bucket,
}

impl Policy {
    /// For a connection that begins now.
    pub fn new(limits: Limits, now: Instant) -> Self {
        let [answers, upkeep, futile] = [ANSWERS, UPKEEP, FUTILE].map(|allowance| Bucket::new(allowance, now));
        Self { limits, strikes: 0, last_ping: None, answers, upkeep, futile }
    }

    /// Judge a frame of the client; a free one passes. calls: how many are open on the connection.
    pub fn received(&mut self, frame: &Frame, calls: usize, now: Instant) -> Result<(), Offence> {
        if is_free(frame) {
            return Ok(());
        }
        let (bucket, offence) = match frame.kind {
            kind::PING if !frame.acknowledges() => return self.pinged(calls, now),
            kind::RST_STREAM => (&mut self.futile, TOO_MANY_RESETS),
            kind::WINDOW_UPDATE | kind::PING => (&mut self.answers, TOO_MANY_CONTROL_FRAMES),
            _ => (&mut self.upkeep, TOO_MANY_CONTROL_FRAMES),
        };
        if bucket.take(now) { Ok(()) } else { Err(offence) }
    }

    /// Judge a call that was begun after the good-bye, and is not looked at.
    pub fn came_late(&mut self, now: Instant) -> Result<(), Offence> {
        if self.futile.take(now) { Ok(()) } else { Err(TOO_MANY_LATE_CALLS) }
    }

    /// Take note of a frame that the server sends.
    pub fn sent(&mut self, frame: &Frame) {
        match frame.kind {
            kind::HEADERS | kind::DATA | kind::WINDOW_UPDATE => {
                self.strikes = 0;
                self.last_ping = None;
                self.answers.add(ANSWERS_FOR_EACH_SENT);
            }
            kind::PING if !frame.acknowledges() => self.answers.add(1),
            _ => {}
        }
    }

    fn pinged(&mut self, calls: usize, now: Instant) -> Result<(), Offence> {
        if self.limits.max_ping_strikes == 0 {
            return Ok(());
        }
        if self.too_soon(calls, now) {
            self.strikes += 1;
        }
        self.last_ping = Some(now);
        if self.strikes > self.limits.max_ping_strikes || !self.answers.take(now) {
            return Err(TOO_MANY_PINGS);
        }
        Ok(())
    }

    fn too_soon(&self, calls: usize, now: Instant) -> bool {
        let with_calls = calls > 0 || self.limits.pings_without_calls;
        let least = if with_calls { self.limits.least_ping_interval } else { WITHOUT_CALLS };
        self.last_ping.is_some_and(|last| now.saturating_duration_since(last) < least)
    }
}

/// So many at once, and so many in each second after that.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    most: u32,
    per_second: u32,
}

/// What is left of an allowance. It looks at the time only when nothing is, so that at worst twice the most may pass.
#[derive(Debug)]
struct Bucket {
    allowance: Allowance,
    left: u32,
    filled: Instant,
}

impl Bucket {
    fn new(allowance: Allowance, now: Instant) -> Self {
        Self { allowance, left: allowance.most, filled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        if self.left == 0 {
            self.refill(now);
        }
        let some_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some_left
    }

    fn add(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(self.allowance.most);
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled);
        let earned = passed.as_millis().saturating_mul(self.allowance.per_second.into()) / 1000;
        if earned > 0 {
            self.add(earned.try_into().unwrap_or(u32::MAX));
            self.filled = now;
        }
    }
}

#[cfg(test)]
mod tests;
