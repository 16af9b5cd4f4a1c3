//! From Python's replies to the wire's: messages are framed here, on the thread that sends them.
//!
//! Small parts are copied behind the message's header, large ones are written from Python's own memory.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::budget::Counter;
use crate::call::CallState;
use crate::compression::{self, Encoding};
use crate::detached::detached;
use crate::memory::{Graveyard, borrow, counted};
use crate::metadata::{self, OwnedValue};
use crate::reply::{Reply, Trailers};

/// Parts from this size on are not copied.
const LARGE: usize = 16 << 10;
/// Flag and length.
const HEADER: usize = 5;
/// Messages below this size are not compressed: they would hardly get smaller.
const WORTH_COMPRESSING: usize = 128;

/// What is the same for all replies.
pub struct Outgoing {
    /// The object that stands for the usual end of a call.
    pub ok: Py<PyAny>,
    /// The same for the wire.
    pub ok_trailers: Arc<Trailers>,
    /// Where Python's memory goes.
    pub graveyard: Arc<Graveyard>,
    /// What counts it until then.
    pub counter: Arc<Counter>,
    /// 0 to 3.
    pub compression: u8,
}

impl Outgoing {
    /// One of Python's replies; `fields` are those of its `Reply` behind the call.
    pub fn reply(&self, py: Python<'_>, call: &CallState, fields: &Bound<'_, PyTuple>) -> PyResult<Reply> {
        let parts = fields.get_borrowed_item(1)?;
        let trailers = fields.get_borrowed_item(2)?;
        let credit = fields.get_borrowed_item(3)?;
        let initial = fields.get_borrowed_item(4)?;
        Ok(Reply {
            parts: if parts.is_none() { Vec::new() } else { self.message(py, call.encoding, &parts)? },
            trailers: if trailers.is_none() { None } else { Some(self.trailers(py, &trailers)?) },
            credit: credit.extract()?,
            initial: if initial.len()? == 0 { None } else { Some(headers(&initial)?) },
            when_idle: None,
        })
    }

    fn part(&self, part: &Bound<'_, PyAny>) -> PyResult<Bytes> {
        match part.cast::<PyBytes>() {
            Ok(small) if small.as_bytes().len() < LARGE => Ok(Bytes::copy_from_slice(small.as_bytes())),
            _ => borrow(part, &self.graveyard, &self.counter),
        }
    }

    fn trailers(&self, py: Python<'_>, trailers: &Bound<'_, PyAny>) -> PyResult<Arc<Trailers>> {
        if trailers.is(self.ok.bind(py)) {
            return Ok(self.ok_trailers.clone());
        }
        let (code, message, metadata): (u16, Bound<'_, PyString>, Bound<'_, PyAny>) = trailers.extract()?;
        let message = if code == 0 { String::new() } else { message.to_string_lossy().into_owned() };
        Ok(Arc::new(Trailers::new(code, &message, headers(&metadata)?)))
    }

    fn message(&self, py: Python<'_>, encoding: Encoding, parts: &Bound<'_, PyAny>) -> PyResult<Vec<Bytes>> {
        if encoding == Encoding::Identity
            && let Ok(parts) = parts.cast::<PyTuple>()
            && parts.len() == 1
            && let Ok(only) = parts.get_borrowed_item(0)?.cast::<PyBytes>()
            && only.as_bytes().len() < LARGE
        {
            return Ok(vec![framed(0, only.as_bytes())?]);
        }
        let parts: Vec<Bytes> = parts.try_iter()?.map(|part| self.part(&part?)).collect::<PyResult<_>>()?;
        let size: usize = parts.iter().map(Bytes::len).sum();
        if encoding == Encoding::Identity || size < WORTH_COMPRESSING {
            return joined(size, parts);
        }
        let level = self.compression;
        let compressed = detached(py, || {
            let slices: Vec<&[u8]> = parts.iter().map(Bytes::as_ref).collect();
            compression::compress(encoding, level, &slices)
        });
        Ok(vec![header(1, compressed.len(), HEADER)?.freeze(), counted(compressed, &self.counter)])
    }
}

fn framed(flag: u8, message: &[u8]) -> PyResult<Bytes> {
    let mut frame = header(flag, message.len(), HEADER + message.len())?;
    frame.put_slice(message);
    Ok(frame.freeze())
}

/// A message's header and its parts, the small ones copied together.
fn joined(size: usize, parts: Vec<Bytes>) -> PyResult<Vec<Bytes>> {
    let small: usize = parts.iter().map(Bytes::len).filter(|length| *length < LARGE).sum();
    let mut pieces = Vec::with_capacity(2 * parts.len() + 1);
    let mut piece = header(0, size, HEADER + small)?;
    for part in parts {
        if part.len() < LARGE {
            piece.put_slice(&part);
        } else {
            pieces.push(piece.split().freeze());
            pieces.push(part);
        }
    }
    pieces.push(piece.freeze());
    pieces.retain(|piece| !piece.is_empty());
    Ok(pieces)
}

fn header(flag: u8, size: usize, capacity: usize) -> PyResult<BytesMut> {
    let length = u32::try_from(size)
        .map_err(|_| PyValueError::new_err(format!("a message of {size} bytes, expected at most 4 GiB less one")))?;
    let mut frame = BytesMut::with_capacity(capacity);
    frame.put_u8(flag);
    frame.put_u32(length);
    Ok(frame)
}

/// Metadata as headers; what gRPC does not allow there is left out.
pub fn headers(metadata: &Bound<'_, PyAny>) -> PyResult<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in metadata.try_iter()? {
        let (key, value): (String, Bound<'_, PyAny>) = pair?.extract()?;
        let value = match value.cast::<PyString>() {
            Ok(text) => OwnedValue::Text(text.to_string_lossy().into_owned()),
            Err(_) => OwnedValue::Binary(value.extract()?),
        };
        metadata::insert(&mut headers, &key, value);
    }
    Ok(headers)
}
