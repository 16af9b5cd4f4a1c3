//! Follows the frames of an HTTP/2 connection (RFC 9113, section 4) in the bytes that pass by.
//!
//! Pure, without an allocation, and no payload is kept. The bytes come in slices, cut anywhere. A frame is told when
//! its last byte has passed. Nothing is refused here: which frames may come, and with what in them, is for the HTTP/2
//! library to judge.

/// The kinds of frames that matter here, as they stand on the wire.
pub mod kind {
    pub const DATA: u8 = 0x0;
    pub const HEADERS: u8 = 0x1;
    pub const RST_STREAM: u8 = 0x3;
    pub const SETTINGS: u8 = 0x4;
    pub const PING: u8 = 0x6;
    pub const GOAWAY: u8 = 0x7;
    pub const WINDOW_UPDATE: u8 = 0x8;
    pub const CONTINUATION: u8 = 0x9;
}

/// Of SETTINGS and PING.
pub const ACK: u8 = 0x1;
/// Of DATA and HEADERS.
pub const END_STREAM: u8 = 0x1;

/// Bytes of a frame's header.
pub const HEAD: usize = 9;
/// What a client sends before its first frame.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The header of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// One of `kind`, or any other number.
    pub kind: u8,
    /// What they mean depends on the kind.
    pub flags: u8,
    /// Bytes of payload.
    pub length: u32,
    /// The stream that the frame belongs to; 0 is the connection.
    pub stream: u32,
}

impl Frame {
    /// A DATA or HEADERS frame that is the last of its side of the stream.
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }

    /// The answer to a SETTINGS or PING frame.
    pub fn acknowledges(&self) -> bool {
        matches!(self.kind, kind::SETTINGS | kind::PING) && self.flags & ACK != 0
    }

    /// The header as it stands on the wire.
    pub fn to_bytes(self) -> [u8; HEAD] {
        let [_, a, b, c] = self.length.to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }

    /// The reserved bit before the stream says nothing.
    fn from_bytes(head: &[u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, d, e, f, g] = *head;
        let stream = u32::from_be_bytes([d, e, f, g]) & (u32::MAX >> 1);
        Self { kind, flags, length: u32::from_be_bytes([0, a, b, c]), stream }
    }
}

/// One direction of a connection.
#[derive(Debug)]
pub struct Follower {
    preface: usize,
    head: [u8; HEAD],
    filled: usize,
    frame: Frame,
    payload: usize,
}

impl Follower {
    /// What a client sends, from its first byte.
    pub fn of_client() -> Self {
        Self { preface: PREFACE.len(), head: [0; HEAD], filled: 0, frame: Frame::default(), payload: 0 }
    }

    /// What a server sends, from its first byte.
    pub fn of_server() -> Self {
        Self { preface: 0, ..Self::of_client() }
    }

    /// Pass the next bytes by; `passed` gets each frame of which the last byte is among them, in order.
    pub fn feed(&mut self, bytes: &[u8], mut passed: impl FnMut(&Frame)) {
        let skipped = self.preface.min(bytes.len());
        self.preface -= skipped;
        let mut rest = &bytes[skipped..];
        while let Some(after) = self.pass_frame(rest) {
            passed(&self.frame);
            rest = after;
        }
    }

    /// Whether a frame could begin with the next byte.
    pub fn at_boundary(&self) -> bool {
        self.preface == 0 && self.filled == 0
    }

    /// Pass by what is left of one frame, and give what follows it; None: the bytes end before it does.
    fn pass_frame<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let bytes = self.pass_head(bytes)?;
        let passing = self.payload.min(bytes.len());
        self.payload -= passing;
        if self.payload > 0 {
            return None;
        }
        self.filled = 0;
        Some(&bytes[passing..])
    }

    /// Pass by what is left of a header, and give what follows it; None: the bytes end before it does.
    fn pass_head<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        if self.filled == HEAD {
            return Some(bytes);
        }
        let taken = (HEAD - self.filled).min(bytes.len());
        self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
        self.filled += taken;
        if self.filled < HEAD {
            return None;
        }
        self.frame = Frame::from_bytes(&self.head);
        self.payload = self.frame.length as usize;
        Some(&bytes[taken..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and are the same in every run (xorshift64).
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % limit as u64) as usize
        }
    }

    fn some_frames(numbers: &mut Numbers) -> Vec<Frame> {
        let lengths = [0, 1, 8, 9, 10, 40, 300];
        (0..numbers.below(12))
            .map(|_| Frame {
                kind: numbers.below(256) as u8,
                flags: numbers.below(256) as u8,
                length: lengths[numbers.below(lengths.len())],
                stream: numbers.below(1 << 31) as u32,
            })
            .collect()
    }

    fn on_the_wire(frames: &[Frame], numbers: &mut Numbers) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend(frame.to_bytes());
            bytes.extend((0..frame.length).map(|_| numbers.below(256) as u8));
        }
        bytes
    }

    fn told(follower: &mut Follower, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        follower.feed(bytes, |frame| frames.push(*frame));
        frames
    }

    #[test]
    fn any_cutting_of_the_same_bytes_tells_the_same_frames() {
        let mut numbers = Numbers(7);
        for round in 0..5000 {
            let frames = some_frames(&mut numbers);
            let (mut follower, mut bytes) = match round % 2 {
                0 => (Follower::of_server(), Vec::new()),
                _ => (Follower::of_client(), PREFACE.to_vec()),
            };
            bytes.extend(on_the_wire(&frames, &mut numbers));
            let longest = 1 + numbers.below(64);
            let (mut rest, mut seen) = (&bytes[..], Vec::new());
            while !rest.is_empty() {
                let cut = numbers.below(longest + 1).min(rest.len());
                seen.extend(told(&mut follower, &rest[..cut]));
                rest = &rest[cut..];
            }
            assert_eq!(seen, frames);
            assert!(follower.at_boundary());
        }
    }

    #[test]
    fn a_frame_is_told_with_its_last_byte_and_not_before() {
        let frame = Frame { kind: kind::PING, flags: 0, length: 8, stream: 0 };
        let bytes = [&frame.to_bytes()[..], &[0; 8]].concat();
        let mut follower = Follower::of_server();
        for byte in &bytes[..bytes.len() - 1] {
            assert_eq!(told(&mut follower, std::slice::from_ref(byte)), []);
            assert!(!follower.at_boundary());
        }
        assert_eq!(told(&mut follower, &bytes[bytes.len() - 1..]), [frame]);
        assert!(follower.at_boundary());
    }

    #[test]
    fn the_reserved_bit_belongs_to_no_stream() {
        let mut bytes = Frame { kind: kind::DATA, flags: END_STREAM, length: 0, stream: 5 }.to_bytes();
        bytes[5] |= 0x80;
        let frames = told(&mut Follower::of_server(), &bytes);
        assert_eq!(frames, [Frame { kind: kind::DATA, flags: END_STREAM, length: 0, stream: 5 }]);
    }

    #[test]
    fn the_largest_frame_is_followed_to_its_end() {
        let largest = Frame { kind: kind::DATA, flags: 0, length: (1 << 24) - 1, stream: 1 };
        let next = Frame { kind: kind::PING, flags: ACK, length: 0, stream: 0 };
        let mut follower = Follower::of_server();
        assert_eq!(told(&mut follower, &largest.to_bytes()), []);
        assert_eq!(told(&mut follower, &vec![0xff; largest.length as usize]), [largest]);
        assert_eq!(told(&mut follower, &next.to_bytes()), [next]);
    }

    #[test]
    fn flags_are_read_as_their_kind_has_them() {
        let frame = |kind, flags| Frame { kind, flags, ..Frame::default() };
        assert!(frame(kind::HEADERS, 0x5).ends_stream() && frame(kind::DATA, 0x1).ends_stream());
        assert!(!frame(kind::HEADERS, 0x4).ends_stream() && !frame(kind::PING, ACK).ends_stream());
        assert!(frame(kind::PING, ACK).acknowledges() && frame(kind::SETTINGS, ACK).acknowledges());
        assert!(!frame(kind::PING, 0).acknowledges() && !frame(kind::DATA, END_STREAM).acknowledges());
    }
}
