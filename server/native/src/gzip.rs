//! What gzip puts around a deflate stream: a header before it, a checksum and a size after it.
//!
//! RFC 1952, one member. Header checksums are skipped unchecked, as what they cover is not used. Pure.

use flate2::Crc;

/// CRC-32 and size of what was compressed.
pub const TRAILER_SIZE: usize = 8;

const FIXED_SIZE: usize = 10;
const FLAG_HEADER_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;
const FLAGS_RESERVED: u8 = 0b1110_0000;

/// The size of the header that `data` begins with; None if it does not begin with a whole and valid one.
pub fn header_size(data: &[u8]) -> Option<usize> {
    let (fixed, mut rest) = data.split_at_checked(FIXED_SIZE)?;
    let &[0x1F, 0x8B, 8, flags, ..] = fixed else {
        return None;
    };
    if flags & FLAGS_RESERVED != 0 {
        return None;
    }
    if flags & FLAG_EXTRA != 0 {
        let (size, after) = rest.split_first_chunk()?;
        rest = after.get(usize::from(u16::from_le_bytes(*size))..)?;
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(data.len() - rest.len())
}

/// Whether `trailer` is that of the data that `sum` was made over.
pub fn trailer_fits(trailer: &[u8], sum: &Crc) -> bool {
    let expected = [sum.sum().to_le_bytes(), sum.amount().to_le_bytes()].concat();
    trailer == expected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u8, fields: &[u8]) -> Vec<u8> {
        [&[0x1F, 0x8B, 8, flags, 0, 0, 0, 0, 0, 255], fields].concat()
    }

    #[test]
    fn a_header_ends_after_its_optional_fields() {
        assert_eq!(header_size(&header(0, b"data")), Some(10));
        assert_eq!(header_size(&header(FLAG_EXTRA, b"\x03\x00abcdata")), Some(15));
        assert_eq!(header_size(&header(FLAG_NAME | FLAG_COMMENT, b"name\0comment\0data")), Some(23));
        assert_eq!(header_size(&header(FLAG_HEADER_CRC, b"12data")), Some(12));
        assert_eq!(header_size(&header(0b1_1111, b"\x01\x00xname\0\0crdata")), Some(10 + 3 + 5 + 1 + 2));
    }

    #[test]
    fn every_shorter_header_is_none() {
        let whole = header(0b1_1111, b"\x01\x00xname\0\0cr");
        assert_eq!(header_size(&whole), Some(whole.len()));
        for size in 0..whole.len() {
            assert_eq!(header_size(&whole[..size]), None, "{size}");
        }
    }

    #[test]
    fn another_format_is_none() {
        assert_eq!(header_size(&header(0b0010_0000, b"")), None);
        assert_eq!(header_size(b"\x1f\x8b\x07\0\0\0\0\0\0\0"), None);
        assert_eq!(header_size(b"\x78\x9c\x08\0\0\0\0\0\0\0"), None);
    }

    #[test]
    fn a_trailer_fits_its_data_only() {
        let mut sum = Crc::new();
        sum.update(b"123456789");
        let trailer = [0x26, 0x39, 0xF4, 0xCB, 9, 0, 0, 0];
        assert!(trailer_fits(&trailer, &sum));
        assert!(!trailer_fits(&trailer[..7], &sum));
        for index in 0..TRAILER_SIZE {
            let mut other = trailer;
            other[index] ^= 1;
            assert!(!trailer_fits(&other, &sum), "{index}");
        }
    }
}
