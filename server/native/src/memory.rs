//! Bytes that Python and the wire share without a copy.
//!
//! What Python sends is held by the wire until it is written; giving it back needs the interpreter, which the wire does
//! not have while it moves. So what is done with goes to a `Graveyard`, which is emptied by whoever comes next from
//! Python. What Python receives is a view of the wire's own bytes, which live as long as the view.
//!
//! This is the only file with unsafe code: the two ways in which a pointer crosses the border.

use std::ffi::c_int;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

use crate::budget::{Counter, Reservation};
use crate::sync::locked;
use crate::wire::Wire;

/// Up to this size a message becomes a `bytes`: copying it costs less than a view does.
const SMALL: usize = 32 << 10;

/// So many bytes in the graveyard are worth waking the driver, who comes from Python.
const FULL: usize = 1 << 20;

/// Memory of Python that has been written, until somebody with the interpreter comes.
pub struct Graveyard {
    wire: Weak<Wire>,
    dead: Mutex<Dead>,
}

#[derive(Default)]
struct Dead {
    held: Vec<Held>,
    nbytes: usize,
}

impl Graveyard {
    /// An empty one of a server.
    pub fn of(wire: &Arc<Wire>) -> Self {
        Graveyard { wire: Arc::downgrade(wire), dead: Mutex::default() }
    }

    /// Give back what is no longer needed.
    pub fn empty(&self, _: Python<'_>) {
        let dead = std::mem::take(&mut *locked(&self.dead));
        drop(dead);
    }

    fn bury(&self, held: Held, nbytes: usize) {
        let mut dead = locked(&self.dead);
        let was_full = dead.nbytes >= FULL;
        dead.held.push(held);
        dead.nbytes += nbytes;
        let full = dead.nbytes >= FULL;
        drop(dead);
        if full
            && !was_full
            && let Some(wire) = self.wire.upgrade()
        {
            wire.kick();
        }
    }
}

#[expect(dead_code, reason = "they hold memory")]
enum Held {
    Bytes(Py<PyBytes>),
    Buffer(PyBuffer<u8>),
}

/// Memory of Python's that the wire reads.
struct Borrowed {
    held: Option<Held>,
    address: *const u8,
    length: usize,
    graveyard: Arc<Graveyard>,
    _counted: Reservation,
}

// SAFETY: the memory is only read, at an address that `held` keeps valid; `held` itself may cross threads.
unsafe impl Send for Borrowed {}
// SAFETY: as above.
unsafe impl Sync for Borrowed {}

impl AsRef<[u8]> for Borrowed {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: a contiguous buffer of this length, which `held` keeps alive and in place; the transport's contract
        // says that nobody writes to it before it is sent.
        unsafe { std::slice::from_raw_parts(self.address, self.length) }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.graveyard.bury(held, self.length);
        }
    }
}

/// The memory of a `bytes`, or of what has a contiguous buffer of bytes, without a copy. It is counted until it is sent.
pub fn borrow(part: &Bound<'_, PyAny>, graveyard: &Arc<Graveyard>, counter: &Arc<Counter>) -> PyResult<Bytes> {
    let (held, address, length) = if let Ok(bytes) = part.cast::<PyBytes>() {
        let memory = bytes.as_bytes();
        (Held::Bytes(bytes.clone().unbind()), memory.as_ptr(), memory.len())
    } else {
        let buffer = PyBuffer::<u8>::get(part)?;
        if !buffer.is_c_contiguous() {
            return Err(PyBufferError::new_err("a part of a reply must be contiguous"));
        }
        let (address, length) = (buffer.buf_ptr().cast::<u8>().cast_const(), buffer.len_bytes());
        (Held::Buffer(buffer), address, length)
    };
    if length == 0 {
        return Ok(Bytes::new());
    }
    let _counted = Reservation::forced(counter, length as u64);
    Ok(Bytes::from_owner(Borrowed { held: Some(held), address, length, graveyard: graveyard.clone(), _counted }))
}

/// Bytes that were made for a reply, counted until they are sent.
pub fn counted(bytes: Vec<u8>, counter: &Arc<Counter>) -> Bytes {
    let _counted = Reservation::forced(counter, bytes.len() as u64);
    Bytes::from_owner(Made { bytes, _counted })
}

struct Made {
    bytes: Vec<u8>,
    _counted: Reservation,
}

impl AsRef<[u8]> for Made {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A received message as Python sees it: `bytes`, or a read-only view where it is large.
pub fn lend(py: Python<'_>, message: Bytes) -> PyResult<Bound<'_, PyAny>> {
    if message.len() <= SMALL {
        return Ok(PyBytes::new(py, &message).into_any());
    }
    let owner = Bound::new(py, Received(message))?;
    Ok(PyMemoryView::from(&owner)?.into_any())
}

/// The owner of a received message's bytes.
#[pyclass(frozen, module = "naiad._native")]
struct Received(Bytes);

#[pymethods]
impl Received {
    /// # Safety
    /// Called by the interpreter, with a view to be filled.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let memory = &slf.get().0;
        // SAFETY: the view takes a reference to `slf`, whose bytes neither move nor change.
        let failed = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                memory.as_ptr().cast_mut().cast(),
                memory.len() as ffi::Py_ssize_t,
                1,
                flags,
            )
        };
        if failed == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}
