//! Bytes that Python and the wire share without a copy.
//!
//! What Python sends is held by the wire until it is written; giving it back needs the interpreter, which the wire does
//! not have while it moves. So what is done with goes to a `Graveyard`, which is emptied by whoever comes next from
//! Python. What Python receives is a view of the wire's own bytes, which live as long as the view.
//!
//! This is the only file with unsafe code: the two ways in which a pointer crosses the border.

use std::ffi::c_int;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

use crate::sync::locked;

/// Up to this size a message becomes a `bytes`: copying it costs less than a view does.
const SMALL: usize = 32 << 10;

/// Memory of Python that has been written, until somebody with the interpreter comes.
#[derive(Default)]
pub struct Graveyard(Mutex<Vec<Held>>);

impl Graveyard {
    /// Give back what is no longer needed.
    pub fn empty(&self, _: Python<'_>) {
        let dead = std::mem::take(&mut *locked(&self.0));
        drop(dead);
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
            locked(&self.graveyard.0).push(held);
        }
    }
}

/// The memory of a `bytes`, or of what has a contiguous buffer of bytes, without a copy.
pub fn borrow(part: &Bound<'_, PyAny>, graveyard: &Arc<Graveyard>) -> PyResult<Bytes> {
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
    Ok(Bytes::from_owner(Borrowed { held: Some(held), address, length, graveyard: graveyard.clone() }))
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
