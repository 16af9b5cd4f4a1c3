//! The percent-encoding of `grpc-message`.
//!
//! "Responses" in gRPC's PROTOCOL-HTTP2: bytes from 0x20 to 0x7E stand for themselves, except '%'; every other byte of
//! the UTF-8 text is written as '%' and two hex digits. A space at either end is written so too, since HTTP/2 forbids
//! values that begin or end with one. Pure.

use http::HeaderValue;

/// Encode a status message as the value of a `grpc-message` header.
pub fn encode(message: &str) -> HeaderValue {
    let bytes = message.as_bytes();
    let last = bytes.len().wrapping_sub(1);
    let mut encoded = Vec::with_capacity(bytes.len());
    for (index, &byte) in bytes.iter().enumerate() {
        let at_an_end = index == 0 || index == last;
        if stands_for_itself(byte) && !(byte == b' ' && at_an_end) {
            encoded.push(byte);
        } else {
            encoded.extend([b'%', hex_digit(byte >> 4), hex_digit(byte & 0xF)]);
        }
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(encoded)).expect("printable ASCII is a valid header value")
}

fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'%'
}

fn hex_digit(nibble: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(nibble)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client makes of a value.
    fn decode(value: &HeaderValue) -> String {
        let mut text = Vec::new();
        let mut bytes = value.as_bytes().iter();
        while let Some(&byte) = bytes.next() {
            if byte != b'%' {
                text.push(byte);
                continue;
            }
            let digits: String = bytes.by_ref().take(2).map(|&digit| char::from(digit)).collect();
            text.push(u8::from_str_radix(&digits, 16).unwrap());
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn printable_text_stands_for_itself() {
        let text = "model 'a~b' is not found, [1,2] != {3}";
        assert_eq!(encode(text), text);
        assert_eq!(encode(""), "");
    }

    #[test]
    fn other_bytes_become_two_hex_digits() {
        assert_eq!(encode("100%"), "100%25");
        assert_eq!(encode("a\r\n\tb\x7f\0"), "a%0D%0A%09b%7F%00");
        assert_eq!(encode("☺"), "%E2%98%BA");
    }

    #[test]
    fn a_space_at_either_end_is_encoded() {
        assert_eq!(encode(" a b "), "%20a b%20");
        assert_eq!(encode(" "), "%20");
    }

    #[test]
    fn every_character_comes_back_as_it_was() {
        let all: String = ('\0'..'\u{3000}').chain('\u{1f300}'..'\u{1f700}').collect();
        assert_eq!(decode(&encode(&all)), all);
        let special = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
        assert_eq!(decode(&encode(special)), special);
    }
}
