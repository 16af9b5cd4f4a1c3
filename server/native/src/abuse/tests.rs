use super::*;
use crate::frames::{ACK, END_STREAM};

const STRICT: Limits =
    Limits { max_ping_strikes: 2, least_ping_interval: Duration::from_secs(300), pings_without_calls: false };
const PING: Frame = frame(kind::PING, 0, 8);
const REPLY: Frame = frame(kind::HEADERS, END_STREAM, 20);
const PRIORITY: u8 = 0x2;

const fn frame(kind: u8, flags: u8, length: u32) -> Frame {
    Frame { kind, flags, length, stream: 1 }
}

/// A policy, and the time.
struct Judge {
    policy: Policy,
    now: Instant,
}

impl Judge {
    fn new(limits: Limits) -> Self {
        let now = Instant::now();
        Self { policy: Policy::new(limits, now), now }
    }

    fn after(&mut self, seconds: u64, frame: Frame, calls: usize) -> Result<(), Offence> {
        self.now += Duration::from_secs(seconds);
        self.policy.received(&frame, calls, self.now)
    }

    /// How many pass at once, of at most a million.
    fn burst(&mut self, frame: Frame) -> usize {
        (0..1_000_000).take_while(|_| self.after(0, frame, 1).is_ok()).count()
    }
}

#[test]
fn the_first_ping_is_free_and_then_two_may_come_too_soon() {
    let mut judge = Judge::new(STRICT);
    for _ in 0..3 {
        assert_eq!(judge.after(1, PING, 1), Ok(()));
    }
    assert_eq!(judge.after(1, PING, 1), Err(TOO_MANY_PINGS));
}

#[test]
fn pings_in_time_are_no_strikes() {
    let mut judge = Judge::new(STRICT);
    for _ in 0..100 {
        assert_eq!(judge.after(300, PING, 1), Ok(()));
    }
}

#[test]
fn without_calls_two_hours_must_lie_between_pings() {
    let mut judge = Judge::new(STRICT);
    for _ in 0..10 {
        assert_eq!(judge.after(2 * 60 * 60, PING, 0), Ok(()));
    }
    for _ in 0..2 {
        assert_eq!(judge.after(300, PING, 0), Ok(()));
    }
    assert_eq!(judge.after(300, PING, 0), Err(TOO_MANY_PINGS));
}

#[test]
fn pings_without_calls_can_be_allowed_as_often_as_with_them() {
    let mut judge = Judge::new(Limits { pings_without_calls: true, ..STRICT });
    for _ in 0..10 {
        assert_eq!(judge.after(300, PING, 0), Ok(()));
    }
}

#[test]
fn strikes_are_forgotten_when_something_of_a_call_is_sent() {
    for sent in [REPLY, frame(kind::DATA, 0, 5), frame(kind::WINDOW_UPDATE, 0, 4)] {
        let mut judge = Judge::new(STRICT);
        for _ in 0..100 {
            assert_eq!((0..3).try_for_each(|_| judge.after(0, PING, 1)), Ok(()));
            judge.policy.sent(&sent);
        }
    }
}

#[test]
fn strikes_are_not_forgotten_for_the_answers_to_pings_and_settings() {
    let mut judge = Judge::new(STRICT);
    for _ in 0..3 {
        assert_eq!(judge.after(0, PING, 1), Ok(()));
        judge.policy.sent(&frame(kind::PING, ACK, 8));
        judge.policy.sent(&frame(kind::SETTINGS, ACK, 0));
    }
    assert_eq!(judge.after(0, PING, 1), Err(TOO_MANY_PINGS));
}

#[test]
fn no_limit_of_strikes_allows_any_number_of_pings() {
    let mut judge = Judge::new(Limits { max_ping_strikes: 0, ..STRICT });
    assert_eq!(judge.burst(PING), 1_000_000);
}

#[test]
fn pings_that_are_no_strikes_are_bounded_too() {
    let mut judge = Judge::new(Limits { least_ping_interval: Duration::ZERO, ..STRICT });
    assert_eq!(judge.burst(PING), 10_000);
    assert_eq!(judge.after(0, PING, 1), Err(TOO_MANY_PINGS));
}

#[test]
fn floods_end_where_their_allowance_does() {
    let floods = [
        (frame(kind::SETTINGS, 0, 6), 1_000, TOO_MANY_CONTROL_FRAMES),
        (frame(kind::SETTINGS, ACK, 0), 1_000, TOO_MANY_CONTROL_FRAMES),
        (frame(PRIORITY, 0, 5), 1_000, TOO_MANY_CONTROL_FRAMES),
        (frame(kind::DATA, 0, 0), 1_000, TOO_MANY_CONTROL_FRAMES),
        (frame(kind::GOAWAY, 0, 8), 1_000, TOO_MANY_CONTROL_FRAMES),
        (frame(0xbe, 0, 0), 1_000, TOO_MANY_CONTROL_FRAMES),
        (frame(kind::WINDOW_UPDATE, 0, 4), 10_000, TOO_MANY_CONTROL_FRAMES),
        (frame(kind::PING, ACK, 8), 10_000, TOO_MANY_CONTROL_FRAMES),
        (frame(kind::RST_STREAM, 0, 4), 10_000, TOO_MANY_RESETS),
    ];
    for (flood, allowed, offence) in floods {
        let mut judge = Judge::new(STRICT);
        assert_eq!(judge.burst(flood), allowed, "{flood:?}");
        assert_eq!(judge.after(0, flood, 1), Err(offence), "{flood:?}");
    }
}

#[test]
fn an_allowance_fills_up_again_and_never_above_its_most() {
    let mut judge = Judge::new(STRICT);
    let settings = frame(kind::SETTINGS, 0, 6);
    assert_eq!(judge.burst(settings), 1_000);
    assert_eq!(judge.after(1, settings, 0), Ok(()));
    assert_eq!(judge.burst(settings), 99);
    assert_eq!(judge.after(1_000_000, settings, 0), Ok(()));
    assert_eq!(judge.burst(settings), 999);
}

#[test]
fn an_allowance_that_is_asked_often_still_fills_up() {
    let mut bucket = Bucket::new(UPKEEP, Instant::now());
    let start = bucket.filled;
    let passed = (0..100_000).filter(|tenths| bucket.take(start + Duration::from_micros(100 * tenths))).count();
    assert_eq!(passed, 1_000 + 999);
}

#[test]
fn frames_of_calls_are_free() {
    let frames = [frame(kind::HEADERS, 4, 50), frame(kind::CONTINUATION, 4, 5), frame(kind::DATA, 0, 1)];
    for frame in frames.into_iter().chain([frame(kind::DATA, END_STREAM, 0)]) {
        assert!(is_free(&frame));
        assert_eq!(Judge::new(STRICT).burst(frame), 1_000_000);
    }
    assert!(![frame(kind::DATA, 0, 0), PING, frame(kind::RST_STREAM, 0, 4)].iter().any(is_free));
}

#[test]
fn calls_that_come_late_are_bounded() {
    let mut judge = Judge::new(STRICT);
    let passed = (0..1_000_000).take_while(|_| judge.policy.came_late(judge.now).is_ok()).count();
    assert_eq!(passed, 10_000);
    assert_eq!(judge.policy.came_late(judge.now), Err(TOO_MANY_LATE_CALLS));
}

#[test]
fn windows_may_be_updated_as_fast_as_the_server_sends() {
    let mut judge = Judge::new(STRICT);
    for _ in 0..1_000_000 {
        assert_eq!(judge.after(0, frame(kind::WINDOW_UPDATE, 0, 4), 1), Ok(()));
        assert_eq!(judge.after(0, frame(kind::WINDOW_UPDATE, 0, 4), 1), Ok(()));
        judge.policy.sent(&REPLY);
    }
}

#[test]
fn the_servers_own_pings_may_be_answered() {
    let mut judge = Judge::new(STRICT);
    for _ in 0..100_000 {
        judge.policy.sent(&PING);
        assert_eq!(judge.after(0, frame(kind::PING, ACK, 8), 1), Ok(()));
    }
}
