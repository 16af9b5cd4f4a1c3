//! How messages are compressed: gRPC's encodings, and one message at a time in and out of them.
//!
//! gRPC's "deflate" is the zlib format (RFC 1950). An `Inflater` works in steps, so that its caller can do something
//! else between them, and is bounded twice: it keeps no more than the limit of a message, and it counts no further than
//! twice that limit, which is how a refusal can name the size of a message that is somewhat too large. Pure.

use std::io::Write;

use bytes::{Buf, Bytes};
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, Crc, Decompress, DecompressError, FlushDecompress, Status};
use http::HeaderValue;

use crate::gzip;

/// An encoding of messages, as `grpc-encoding` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not compressed.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950.
    Deflate,
}

impl Encoding {
    /// What `grpc-accept-encoding` says of us.
    pub const ACCEPTED: &'static str = "identity, deflate, gzip";

    /// Read a `grpc-encoding` header; None for one that we do not have.
    pub fn parse(name: &[u8]) -> Option<Self> {
        match name {
            b"identity" => Some(Self::Identity),
            b"gzip" => Some(Self::Gzip),
            b"deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// The best that a client accepts, by its `grpc-accept-encoding` header.
    pub fn accepted(header: Option<&HeaderValue>) -> Self {
        let names = header.map_or(&b""[..], HeaderValue::as_bytes);
        let has = |wanted| names.split(|&byte| byte == b',').any(|name| Self::parse(name.trim_ascii()) == Some(wanted));
        [Self::Gzip, Self::Deflate].into_iter().find(|&wanted| has(wanted)).unwrap_or(Self::Identity)
    }

    /// What `grpc-encoding` says of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }
}

/// Compress a message that is given in parts. level: 1 low, 2 medium, 3 high.
pub fn compress(encoding: Encoding, level: u8, parts: &[&[u8]]) -> Vec<u8> {
    // Above 6 tensors get no smaller and several times slower.
    let level = Compression::new([1, 3, 6][usize::from(level.clamp(1, 3)) - 1]);
    let written = match encoding {
        Encoding::Identity => return parts.concat(),
        Encoding::Gzip => write(GzEncoder::new(Vec::new(), level), parts).and_then(GzEncoder::finish),
        Encoding::Deflate => write(ZlibEncoder::new(Vec::new(), level), parts).and_then(ZlibEncoder::finish),
    };
    written.expect("writing to a Vec does not fail")
}

fn write<W: Write>(mut encoder: W, parts: &[&[u8]]) -> std::io::Result<W> {
    for part in parts {
        encoder.write_all(part)?;
    }
    Ok(encoder)
}

/// The most that one step writes, and the most that it reads: a stream of empty blocks writes nothing.
pub const STEP: usize = 64 << 10;

/// What a step has led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do.
    More,
    /// The message as it was before it was compressed.
    Done(Bytes),
    /// It is above the limit.
    TooLarge {
        /// Its size, or a part of it where that is beyond twice the limit.
        at_least: u64,
    },
    /// It is not what its encoding says; why.
    Malformed(String),
}

/// One message on its way out of its encoding. After the first progress that is not `More` it is of no use.
pub struct Inflater {
    encoding: Encoding,
    limit: usize,
    /// What is still to be read.
    compressed: Bytes,
    stream: Decompress,
    opened: bool,
    /// What is kept: nothing of a message above the limit.
    output: Vec<u8>,
    /// Over `output`.
    sum: Crc,
}

impl Inflater {
    /// limit: the most bytes that the message may have.
    pub fn new(encoding: Encoding, compressed: Bytes, limit: usize) -> Self {
        let stream = Decompress::new(encoding == Encoding::Deflate);
        Self { encoding, limit, compressed, stream, opened: false, output: Vec::new(), sum: Crc::new() }
    }

    /// How many bytes are kept of the message by now: none of one above the limit.
    pub fn produced(&self) -> u64 {
        self.output.len() as u64
    }

    /// Do a bounded piece of the work.
    pub fn step(&mut self) -> Progress {
        if let Err(reason) = self.open() {
            return Progress::Malformed(reason);
        }
        let (read, size) = (self.stream.total_in(), self.stream.total_out());
        let status = self.inflate();
        let moved = self.stream.total_in() > read || self.stream.total_out() > size;
        if self.stream.total_out() > (self.limit as u64).saturating_mul(2) {
            return self.too_large();
        }
        match status {
            Ok(Status::StreamEnd) => self.finish(),
            Ok(_) if moved => Progress::More,
            Ok(_) => self.malformed("its data end too early"),
            Err(_) => self.malformed("its data are corrupt"),
        }
    }

    /// Skip what stands before the data.
    fn open(&mut self) -> Result<(), String> {
        if self.opened {
            return Ok(());
        }
        self.opened = true;
        match self.encoding {
            Encoding::Identity => Err("its call has no grpc-encoding".to_owned()),
            Encoding::Deflate => Ok(()),
            Encoding::Gzip => {
                let size = gzip::header_size(&self.compressed).ok_or_else(|| self.reason("its header is not one"))?;
                self.compressed.advance(size);
                Ok(())
            }
        }
    }

    /// At most STEP bytes in and out. What is above the limit is counted and not kept.
    fn inflate(&mut self) -> Result<Status, DecompressError> {
        let (read, size, kept) = (self.stream.total_in(), self.stream.total_out(), self.output.len());
        self.output.resize(kept + STEP, 0);
        let input = &self.compressed[..self.compressed.len().min(STEP)];
        let status = self.stream.decompress(input, &mut self.output[kept..], FlushDecompress::None)?;
        self.compressed.advance((self.stream.total_in() - read) as usize);
        self.output.truncate(kept + (self.stream.total_out() - size) as usize);
        if self.stream.total_out() > self.limit as u64 {
            self.output = Vec::new();
        } else if self.encoding == Encoding::Gzip {
            self.sum.update(&self.output[kept..]);
        }
        Ok(status)
    }

    /// The data have ended; what follows them must be what belongs there.
    fn finish(&mut self) -> Progress {
        let trailer = if self.encoding == Encoding::Gzip { gzip::TRAILER_SIZE } else { 0 };
        if self.stream.total_out() > self.limit as u64 {
            self.too_large()
        } else if self.compressed.len() < trailer {
            self.malformed("its checksum is missing")
        } else if self.compressed.len() > trailer {
            self.malformed("something follows its data")
        } else if self.encoding == Encoding::Gzip && !gzip::trailer_fits(&self.compressed, &self.sum) {
            self.malformed("its checksum is wrong")
        } else {
            self.output.shrink_to_fit();
            Progress::Done(Bytes::from(std::mem::take(&mut self.output)))
        }
    }

    fn too_large(&self) -> Progress {
        Progress::TooLarge { at_least: self.stream.total_out() }
    }

    fn malformed(&self, what: &str) -> Progress {
        if self.stream.total_out() > self.limit as u64 {
            return self.too_large();
        }
        Progress::Malformed(self.reason(what))
    }

    fn reason(&self, what: &str) -> String {
        format!("it is not valid {}: {what}", self.encoding.name())
    }
}

#[cfg(test)]
mod tests;
