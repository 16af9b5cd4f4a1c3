//! gRPC metadata in HTTP headers: what a client sent beside its message, and what we send.
//!
//! "Custom-Metadata" in gRPC's PROTOCOL-HTTP2. A key that ends in "-bin" has bytes, in base64 with or without padding;
//! one of its headers may have several values between commas. Every other key has text of printable ASCII. What HTTP and
//! gRPC say with headers of their own is no metadata: it is left out when read and refused when written, and so is
//! what is not valid. Pure.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{HeaderMap, HeaderName, HeaderValue};

const BINARY_SUFFIX: &str = "-bin";

/// Reads with and without padding, writes without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A value that a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Of a key like any other.
    Text(&'a str),
    /// Of a key that ends in "-bin".
    Binary(Vec<u8>),
}

/// A value to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnedValue {
    /// Text; for a "-bin" key its bytes are sent.
    Text(String),
    /// Bytes; for a key without "-bin" they must be printable ASCII.
    Binary(Vec<u8>),
}

/// The metadata of a request, in the order of its headers.
pub fn iter(headers: &HeaderMap) -> impl Iterator<Item = (&str, Value<'_>)> {
    headers
        .iter()
        .filter(|(name, _)| !is_reserved(name.as_str()))
        .flat_map(|(name, value)| decode(name.as_str(), value).map(move |value| (name.as_str(), value)))
}

/// The first value of one key of the metadata; the key's case does not matter.
pub fn first<'a>(headers: &'a HeaderMap, key: &str) -> Option<Value<'a>> {
    let name = HeaderName::from_bytes(key.as_bytes()).ok()?;
    if is_reserved(name.as_str()) {
        return None;
    }
    headers.get_all(&name).iter().find_map(|value| decode(name.as_str(), value).next())
}

/// Add a value to headers that will be sent. The key is lower-cased; an invalid or reserved one, a value that is not
/// valid, and what no longer fits into `headers` are left out.
pub fn insert(headers: &mut HeaderMap, key: &str, value: OwnedValue) {
    if let (Some(name), Some(value)) = (outgoing_name(key), encode(key, value)) {
        // An error means that the map has its most entries, which is far above what any client accepts.
        let _ = headers.try_append(name, value);
    }
}

/// Whether HTTP/2 or gRPC itself speaks with this header.
fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "content-type"
            | "grpc-accept-encoding"
            | "grpc-encoding"
            | "grpc-message"
            | "grpc-message-type"
            | "grpc-status"
            | "grpc-timeout"
            | "host"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

fn is_binary(name: &str) -> bool {
    name.len() >= BINARY_SUFFIX.len()
        && name.as_bytes()[name.len() - BINARY_SUFFIX.len()..].eq_ignore_ascii_case(BINARY_SUFFIX.as_bytes())
}

/// The values in one header: one of text, or any number of bytes.
fn decode<'a>(name: &str, value: &'a HeaderValue) -> impl Iterator<Item = Value<'a>> + use<'a> {
    let (text, binary) = if is_binary(name) { (None, Some(value)) } else { (printable(value.as_bytes()), None) };
    let encoded = binary.into_iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    text.map(Value::Text)
        .into_iter()
        .chain(encoded.filter_map(|one| BASE64.decode(one.trim_ascii()).ok().map(Value::Binary)))
}

fn printable(value: &[u8]) -> Option<&str> {
    let valid = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if valid { std::str::from_utf8(value).ok() } else { None }
}

/// Narrower than HTTP's: gRPC has digits, letters, '_', '-' and '.'.
fn outgoing_name(key: &str) -> Option<HeaderName> {
    let valid = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    let name = HeaderName::from_bytes(key.as_bytes()).ok()?;
    (valid && !is_reserved(name.as_str())).then_some(name)
}

fn encode(key: &str, value: OwnedValue) -> Option<HeaderValue> {
    let bytes = match value {
        OwnedValue::Text(text) => text.into_bytes(),
        OwnedValue::Binary(bytes) => bytes,
    };
    if is_binary(key) {
        return HeaderValue::try_from(BASE64.encode(bytes)).ok();
    }
    // HTTP/2 forbids blanks at the ends; gRPC allows to strip them.
    HeaderValue::from_str(printable(&bytes)?.trim_ascii()).ok()
}

#[cfg(test)]
mod tests;
