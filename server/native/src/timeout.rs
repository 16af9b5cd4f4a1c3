//! The `grpc-timeout` header: how long a client gives its call.
//!
//! "Requests" in gRPC's PROTOCOL-HTTP2: one to eight digits and a unit. What breaks that rule is no timeout at all; the
//! caller decides what becomes of such a call. Pure.

use std::time::Duration;

const MOST_DIGITS: usize = 8;

/// Read the value of a `grpc-timeout` header; None if it is not one. Zero is a timeout that has passed.
pub fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let amount = number(digits)?;
    match unit {
        b'H' => Some(Duration::from_secs(amount.saturating_mul(3600))),
        b'M' => Some(Duration::from_secs(amount.saturating_mul(60))),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if !(1..=MOST_DIGITS).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_understood() {
        assert_eq!(parse(b"2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse(b"2M"), Some(Duration::from_secs(120)));
        assert_eq!(parse(b"2S"), Some(Duration::from_secs(2)));
        assert_eq!(parse(b"2m"), Some(Duration::from_millis(2)));
        assert_eq!(parse(b"2u"), Some(Duration::from_micros(2)));
        assert_eq!(parse(b"2n"), Some(Duration::from_nanos(2)));
    }

    #[test]
    fn eight_digits_are_the_most() {
        assert_eq!(parse(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(parse(b"00000001S"), Some(Duration::from_secs(1)));
        assert_eq!(parse(b"100000000n"), None);
        assert_eq!(parse(b"000000001n"), None);
    }

    #[test]
    fn zero_is_a_timeout() {
        assert_eq!(parse(b"0n"), Some(Duration::ZERO));
    }

    #[test]
    fn anything_else_is_none() {
        let wrong: [&[u8]; 14] = [
            b"",
            b"S",
            b"1",
            b"1s",
            b"1h",
            b"-1S",
            b"+1S",
            b" 1S",
            b"1S ",
            b"1 S",
            b"1.5S",
            b"0x1S",
            b"\xff1S",
            "١S".as_bytes(),
        ];
        for value in wrong {
            assert_eq!(parse(value), None, "{}", String::from_utf8_lossy(value));
        }
    }
}
