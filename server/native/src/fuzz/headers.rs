//! Headers: what is read of them is valid, and what is written comes back.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Target;
use crate::compression::Encoding;
use crate::dice::Dice;
use crate::metadata::{self, OwnedValue, Value};
use crate::{percent, timeout};

pub const TIMEOUT: Target = Target { name: "grpc-timeout", samples: timeouts, check: check_timeout };
pub const ENCODINGS: Target = Target { name: "grpc-accept-encoding", samples: encodings, check: check_encodings };
pub const MESSAGE: Target = Target { name: "grpc-message", samples: messages, check: check_message };
pub const METADATA: Target = Target { name: "metadata", samples: headers, check: check_metadata };

fn bytes(samples: &[&str]) -> Vec<Vec<u8>> {
    samples.iter().map(|sample| sample.as_bytes().to_vec()).collect()
}

fn timeouts() -> Vec<Vec<u8>> {
    bytes(&["1H", "20M", "300S", "4000m", "50000u", "99999999n", "0S", "00000001S"])
}

fn check_timeout(input: &[u8], _: &mut Dice) {
    let expected = match input {
        [digits @ .., unit] if digits.len() <= 8 && digits.iter().all(u8::is_ascii_digit) => {
            let nanoseconds = match unit {
                b'H' => 3_600_000_000_000,
                b'M' => 60_000_000_000,
                b'S' => 1_000_000_000,
                b'm' => 1_000_000,
                b'u' => 1_000,
                b'n' => 1,
                _ => 0,
            };
            let amount = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u128>().ok());
            amount.filter(|_| nanoseconds > 0).map(|amount| amount * nanoseconds)
        }
        _ => None,
    };
    assert_eq!(timeout::parse(input).as_ref().map(Duration::as_nanos), expected);
}

fn encodings() -> Vec<Vec<u8>> {
    bytes(&["identity, deflate, gzip", "gzip", "deflate,identity", "snappy , zstd, deflate", ""])
}

fn check_encodings(input: &[u8], _: &mut Dice) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let names: Vec<_> =
        value.as_bytes().split(|byte| *byte == b',').filter_map(|name| Encoding::parse(name.trim_ascii())).collect();
    let best = Encoding::accepted(Some(&value));
    assert!(best == Encoding::Identity || names.contains(&best));
    assert!(best == Encoding::Gzip || !names.contains(&Encoding::Gzip));
    assert!(best != Encoding::Identity || !names.contains(&Encoding::Deflate));
}

fn messages() -> Vec<Vec<u8>> {
    bytes(&["model 'tiny' is not found", " 100% \r\n", "\t☺ and 😈\u{7f}", "%%20%zz"])
}

fn check_message(input: &[u8], _: &mut Dice) {
    let message = String::from_utf8_lossy(input);
    let value = percent::encode(&message);
    let (mut decoded, mut rest) = (Vec::new(), value.as_bytes());
    assert!(rest.iter().all(|byte| matches!(byte, b' '..=b'~')) && rest.trim_ascii() == rest);
    while let Some((byte, after)) = rest.split_first() {
        let (byte, after) = match byte {
            b'%' => (u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap(), &after[2..]),
            _ => (*byte, after),
        };
        decoded.push(byte);
        rest = after;
    }
    assert_eq!(decoded, message.as_bytes());
}

/// A line is a header: a key, ": ", and a value.
fn headers() -> Vec<Vec<u8>> {
    bytes(&[
        "user-agent: grpc-go/1.0\ncontent-type: application/grpc\nte: trailers\nk: a, b\nk: c",
        "k-bin: AAE=\nk-bin: AAE, AQ,,AQ==\nother: 1\ngrpc-trace-bin: AAAA",
        "Key-Bin: not base64\nx-y.z_1: \u{e9}\nk: \ngrpc-timeout: 1S\ngrpc-status-details-bin: CAU",
    ])
}

fn check_metadata(input: &[u8], _: &mut Dice) {
    let mut received = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let at = line.windows(2).position(|pair| pair == b": ").unwrap_or(line.len());
        let (key, value) = (&line[..at], line.get(at + 2..).unwrap_or_default());
        if let (Ok(key), Ok(value)) = (HeaderName::from_bytes(key), HeaderValue::from_bytes(value)) {
            received.append(key, value);
        }
        check_written(&String::from_utf8_lossy(key), value);
    }
    for (key, value) in metadata::iter(&received) {
        assert_eq!(matches!(value, Value::Binary(_)), key.ends_with("-bin"));
        assert!(!matches!(key, "content-type" | "grpc-timeout" | "te"));
        let first = metadata::iter(&received).find(|(other, _)| *other == key).map(|(_, value)| value);
        assert_eq!(metadata::first(&received, key), first);
    }
}

/// What is sent is read as the same by a client, if it is sent at all.
fn check_written(key: &str, value: &[u8]) {
    let mut sent = HeaderMap::new();
    metadata::insert(&mut sent, key, OwnedValue::Binary(value.to_vec()));
    match metadata::iter(&sent).next() {
        Some((_, Value::Binary(read))) => assert_eq!(read, value),
        Some((_, Value::Text(read))) => assert_eq!(read.as_bytes(), value.trim_ascii()),
        None => assert!(sent.is_empty()),
    }
}
