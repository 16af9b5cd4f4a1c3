//! A call as Python has it (`Call` of transport.py).

use std::sync::{Arc, Mutex};

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::call::{CallState, Object};
use crate::metadata::{self, Value};
use crate::sync::locked;

/// One RPC.
#[pyclass(frozen, module = "naiad._native")]
pub struct Call {
    /// What the wire knows of it.
    pub inner: Arc<CallState>,
    path: Py<PyString>,
    /// In seconds of `time.monotonic`.
    #[pyo3(get)]
    deadline: Option<f64>,
    state: Mutex<Option<Py<PyAny>>>,
}

impl Call {
    /// A call that nobody in Python has yet.
    pub fn new(inner: Arc<CallState>, path: Py<PyString>, deadline: Option<f64>) -> Self {
        Call { inner, path, deadline, state: Mutex::new(None) }
    }
}

#[pymethods]
impl Call {
    #[getter]
    fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        self.path.bind(py).clone()
    }

    #[getter]
    fn state(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        locked(&self.state).as_ref().map(|state| state.clone_ref(py))
    }

    #[setter]
    fn set_state(&self, state: Option<Py<PyAny>>) {
        let old = std::mem::replace(&mut *locked(&self.state), state);
        drop(old); // not under the lock: it may be the last reference, and then runs who knows what
    }

    #[getter]
    fn streaming(&self) -> bool {
        self.inner.method.streaming
    }

    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let pairs = PyList::empty(py);
        for (key, value) in metadata::iter(&self.inner.headers) {
            pairs.append((key, to_python(py, value)))?;
        }
        Ok(pairs.to_tuple())
    }

    #[getter]
    fn peer(&self) -> String {
        self.inner.connection.peer.to_string()
    }

    #[getter]
    fn certificate<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.connection.certificate.as_ref().map(|der| PyBytes::new(py, der))
    }

    #[getter]
    fn writable(&self) -> bool {
        self.inner.is_writable()
    }

    fn value<'py>(&self, py: Python<'py>, key: &str) -> Option<Bound<'py, PyAny>> {
        metadata::first(&self.inner.headers, key).map(|value| to_python(py, value))
    }

    fn adopt(&self) -> bool {
        self.inner.adopt()
    }

    fn disown(&self) {
        self.inner.disown();
    }

    fn __repr__(&self) -> String {
        format!("<call of {} from {}>", self.inner.method.path, self.inner.connection.peer)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Locked is what another thread is changing now; the collector does not run meanwhile.
        if let Ok(state) = self.state.try_lock()
            && let Some(state) = &*state
        {
            visit.call(state)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        self.set_state(None);
    }
}

fn to_python<'py>(py: Python<'py>, value: Value<'_>) -> Bound<'py, PyAny> {
    match value {
        Value::Text(text) => PyString::new(py, text).into_any(),
        Value::Binary(bytes) => PyBytes::new(py, &bytes).into_any(),
    }
}

/// Give a call's Python object up: nothing more will be told of it.
pub fn release(call: &CallState) {
    let object = std::mem::replace(&mut *locked(&call.object), Object::Done);
    drop(object);
}
