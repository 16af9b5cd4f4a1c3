//! gRPC's messages out of a stream of bytes: each has a flag, a length in four bytes, and its own bytes.
//!
//! "Length-Prefixed-Message" in gRPC's PROTOCOL-HTTP2. Chunks go in as they arrive. Out comes a message's header first,
//! and nothing more until the caller has accepted it: before that nothing is allocated for it. A message that lies in
//! one chunk is a slice of it; one in several chunks is copied as they come, into memory that ends up with its exact
//! size, and that is never more than AHEAD, or as much again, beyond what has come. Pure.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;

const HEADER_SIZE: usize = 5;

/// How much memory a length alone can make us take.
const AHEAD: usize = 1 << 20;

/// What comes next of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before there is another chunk.
    NeedMore,
    /// A message begins; this again until it is accepted.
    Header {
        /// Whether the message is in the call's encoding.
        compressed: bool,
        /// How many bytes follow.
        length: u32,
    },
    /// The bytes of the message that was accepted.
    Message(Bytes),
    /// A flag is neither 0 nor 1; the stream cannot be read any further.
    Malformed,
}

/// A stream that ended within a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Truncated {
    /// How many bytes of it came, its header included.
    pub came: usize,
    /// How many it should have had, as far as is known.
    pub expected: usize,
}

impl fmt::Display for Truncated {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the stream ended after {} bytes of a message of {} bytes", self.came, self.expected)
    }
}

enum State {
    /// So much of the next header has come.
    Between {
        header: [u8; HEADER_SIZE],
        filled: usize,
    },
    /// A header waits for `accept`.
    Announced {
        compressed: bool,
        length: u32,
    },
    /// A message was accepted, and it began in chunks that are gone.
    Accepted {
        length: usize,
        begun: Vec<u8>,
    },
    Broken,
}

const BETWEEN: State = State::Between { header: [0; HEADER_SIZE], filled: 0 };

/// One direction of one call.
pub struct Deframer {
    chunks: Chunks,
    state: State,
}

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

impl Deframer {
    /// For a stream from its beginning.
    pub fn new() -> Self {
        Self { chunks: Chunks::default(), state: BETWEEN }
    }

    /// Take what has arrived.
    pub fn push(&mut self, chunk: Bytes) {
        self.chunks.push(chunk);
    }

    /// Say what comes next.
    #[allow(clippy::should_implement_trait, reason = "NeedMore is no end of an iteration")]
    pub fn next(&mut self) -> Step {
        match &mut self.state {
            State::Between { header, filled } => {
                self.chunks.fill(header, filled);
                if *filled < HEADER_SIZE {
                    return Step::NeedMore;
                }
                self.state = announced(*header);
                self.next()
            }
            &mut State::Announced { compressed, length } => Step::Header { compressed, length },
            State::Accepted { length, begun } => match self.chunks.take(*length, begun) {
                None => Step::NeedMore,
                Some(message) => {
                    self.state = BETWEEN;
                    Step::Message(message)
                }
            },
            State::Broken => Step::Malformed,
        }
    }

    /// Take the message whose header was given; does nothing without one.
    pub fn accept(&mut self) {
        if let State::Announced { length, .. } = self.state {
            self.state = State::Accepted { length: length as usize, begun: Vec::new() };
        }
    }

    /// Whether the stream may end here. To be asked when `next` has given NeedMore and no chunk will follow.
    pub fn finish(&self) -> Result<(), Truncated> {
        let (came, expected) = match &self.state {
            State::Between { filled: 0, .. } | State::Broken => return Ok(()),
            State::Between { filled, .. } => (*filled, HEADER_SIZE),
            State::Announced { length, .. } => (HEADER_SIZE + self.chunks.size(), HEADER_SIZE + *length as usize),
            State::Accepted { length, begun } => (HEADER_SIZE + begun.len(), HEADER_SIZE + length),
        };
        if came < expected { Err(Truncated { came, expected }) } else { Ok(()) }
    }
}

fn announced(header: [u8; HEADER_SIZE]) -> State {
    let [flag, length @ ..] = header;
    match flag {
        0 | 1 => State::Announced { compressed: flag == 1, length: u32::from_be_bytes(length) },
        _ => State::Broken,
    }
}

/// What has arrived and is not used yet. A chunk is let go with its last byte.
#[derive(Default)]
struct Chunks {
    /// Empty only if there is nothing at all. Outside of `rest`, as there is seldom a second one.
    front: Bytes,
    /// Without empty ones.
    rest: VecDeque<Bytes>,
}

impl Chunks {
    fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        if self.front.is_empty() {
            self.front = chunk;
        } else {
            self.rest.push_back(chunk);
        }
    }

    fn size(&self) -> usize {
        self.front.len() + self.rest.iter().map(Bytes::len).sum::<usize>()
    }

    /// The next bytes, at most `size` and none only if there are none.
    fn pop(&mut self, size: usize) -> Bytes {
        let size = size.min(self.front.len());
        let popped = self.front.split_to(size);
        if self.front.is_empty() {
            self.front = self.rest.pop_front().unwrap_or_default();
        }
        popped
    }

    /// Fill up a header.
    fn fill(&mut self, header: &mut [u8; HEADER_SIZE], filled: &mut usize) {
        while *filled < HEADER_SIZE && !self.front.is_empty() {
            let part = self.pop(HEADER_SIZE - *filled);
            header[*filled..*filled + part.len()].copy_from_slice(&part);
            *filled += part.len();
        }
    }

    /// A message of `length` bytes, if they are all there; else what is there goes to `begun`.
    fn take(&mut self, length: usize, begun: &mut Vec<u8>) -> Option<Bytes> {
        if begun.is_empty() && self.front.len() >= length {
            return Some(self.pop(length));
        }
        while begun.len() < length && !self.front.is_empty() {
            let part = self.pop(length - begun.len());
            make_room(begun, part.len(), length);
            begun.extend_from_slice(&part);
        }
        (begun.len() == length).then(|| Bytes::from(std::mem::take(begun)))
    }
}

/// Grow for `more` bytes now, and for others of `length` that may follow.
fn make_room(begun: &mut Vec<u8>, more: usize, length: usize) {
    let needed = begun.len() + more;
    if needed > begun.capacity() {
        begun.reserve_exact(length.min(needed + needed.max(AHEAD)) - begun.len());
    }
}

#[cfg(test)]
mod tests;
