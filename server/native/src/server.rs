//! The server as Python has it (`Server` of _native.pyi).

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::budget::Budget;
use crate::call::{CallState, Object};
use crate::counters::{Counted, Counters};
use crate::detached::detached;
use crate::driver::Driver;
use crate::listener::{self, Listener};
use crate::memory::{Graveyard, lend};
use crate::options::{Options, duration, limited};
use crate::outgoing::{Outgoing, headers};
use crate::python::{Call, release};
use crate::reply::{Code, Reply, Trailers};
use crate::sync::locked;
use crate::tls;
use crate::wire::{Event, Kind, Method, Phase, Wire};

/// How long what has been cut gets to end, once somebody drives.
const LAST_TURNS: Duration = Duration::from_secs(1);

/// A gRPC server without a thread.
#[pyclass(frozen, module = "naiad._native")]
pub struct Server {
    wire: Arc<Wire>,
    driver: Driver,
    outgoing: Outgoing,
    kinds: Vec<Py<PyAny>>,
    paths: std::sync::OnceLock<HashMap<String, Py<PyString>>>,
    clock: (Instant, f64),
}

#[pymethods]
impl Server {
    #[new]
    #[pyo3(signature = (kinds, ok, budget, *, max_message_size, max_metadata_size, max_concurrent_streams,
        handshake_timeout, keepalive_time, keepalive_timeout, keepalive_without_calls, max_connection_idle,
        max_connection_age, max_connection_age_grace, least_ping_interval, max_ping_strikes, compression))]
    #[expect(clippy::too_many_arguments, reason = "named ones, each a setting")]
    fn new(
        py: Python<'_>,
        kinds: Vec<Py<PyAny>>,
        ok: Py<PyAny>,
        budget: &Bound<'_, Budget>,
        max_message_size: usize,
        max_metadata_size: u32,
        max_concurrent_streams: u32,
        handshake_timeout: f64,
        keepalive_time: f64,
        keepalive_timeout: f64,
        keepalive_without_calls: bool,
        max_connection_idle: f64,
        max_connection_age: f64,
        max_connection_age_grace: f64,
        least_ping_interval: f64,
        max_ping_strikes: u32,
        compression: u8,
    ) -> PyResult<Self> {
        let options = Options {
            max_message_size,
            max_metadata_size,
            max_concurrent_streams,
            handshake_timeout: duration(handshake_timeout),
            keepalive_time: limited(keepalive_time),
            keepalive_timeout: duration(keepalive_timeout),
            keepalive_without_calls,
            max_connection_idle: limited(max_connection_idle),
            max_connection_age: limited(max_connection_age),
            max_connection_age_grace: duration(max_connection_age_grace),
            least_ping_interval: duration(least_ping_interval),
            max_ping_strikes,
            compression,
        };
        let wire = Arc::new(Wire::new(options, budget.get().counter.clone()));
        let driver = Driver::new(wire.clone()).map_err(os_error)?;
        let seconds = py.import("time")?.call_method0("monotonic")?.extract()?;
        let outgoing = Outgoing {
            ok,
            ok_trailers: Trailers::of(Code::Ok, ""),
            graveyard: Arc::new(Graveyard::of(&wire)),
            counter: wire.budget.clone(),
            compression,
        };
        Ok(Server { wire, driver, outgoing, kinds, paths: Default::default(), clock: (Instant::now(), seconds) })
    }

    fn serve(&self, py: Python<'_>, methods: Vec<(String, bool, usize)>) -> PyResult<()> {
        let paths = methods.iter().map(|(path, ..)| (path.clone(), PyString::new(py, path).unbind())).collect();
        let methods = methods
            .into_iter()
            .map(|(path, streaming, window)| (path.clone(), Arc::new(Method { path, streaming, window })))
            .collect();
        let _ = self.paths.set(paths);
        self.wire.methods.set(methods).map_err(|_| PyRuntimeError::new_err("the methods are set already"))
    }

    fn use_certificate(&self, certificate: &[u8], key: &[u8], client_authority: Option<&[u8]>) -> PyResult<()> {
        let config = tls::acceptor(certificate, key, client_authority).map_err(PyValueError::new_err)?;
        self.wire.use_tls(config);
        Ok(())
    }

    fn listen(&self, address: &str, port: u16, reuse_port: bool) -> PyResult<u16> {
        let address: IpAddr =
            address.parse().map_err(|_| PyValueError::new_err(format!("got {address:?}, expected an IP address")))?;
        let _inside = self.driver.runtime().enter();
        let listener = listener::tcp(address, port, reuse_port).map_err(os_error)?;
        let port = listener.local_addr().map_err(os_error)?.port();
        self.accept(Listener::Tcp(listener));
        Ok(port)
    }

    fn listen_unix(&self, path: &str) -> PyResult<()> {
        let _inside = self.driver.runtime().enter();
        self.accept(Listener::Unix(tokio::net::UnixListener::bind(path).map_err(os_error)?));
        Ok(())
    }

    fn poll<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyList>> {
        let timeout = timeout.map(duration);
        let events = detached(py, || self.driver.drive(timeout));
        self.outgoing.graveyard.empty(py);
        let told = PyList::empty(py);
        for event in events {
            let call = event.call.clone();
            match self.event(py, event).and_then(|event| event.map_or(Ok(()), |event| told.append(event))) {
                Ok(()) => {}
                Err(error) => {
                    error.write_unraisable(py, None); // what has come on other calls must be told
                    call.end(&Trailers::of(Code::Internal, "the call cannot be told to the service"));
                }
            }
        }
        Ok(told)
    }

    fn send(&self, py: Python<'_>, replies: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut posted = Vec::new();
        let collected = replies.try_iter()?.try_for_each(|reply| self.collect(py, &reply?, &mut posted));
        if !posted.is_empty() {
            self.wire.post(posted);
        }
        self.outgoing.graveyard.empty(py);
        collected
    }

    fn kick(&self) {
        self.wire.kick();
    }

    fn refuse(&self, code: u16, message: &str, metadata: &Bound<'_, PyAny>) -> PyResult<()> {
        self.wire.refuse(Arc::new(Trailers::new(code, message, headers(metadata)?)));
        Ok(())
    }

    fn refuse_unless_refused(&self, code: u16, message: &str, metadata: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.wire.refusal() {
            Some(_) => Ok(()),
            None => self.refuse(code, message, metadata),
        }
    }

    fn end_idle_streams(&self, code: u16, message: &str, metadata: &Bound<'_, PyAny>) -> PyResult<()> {
        self.wire.end_idle_streams(Arc::new(Trailers::new(code, message, headers(metadata)?)));
        Ok(())
    }

    fn wait_until_answered(&self, py: Python<'_>, timeout: f64) -> bool {
        detached(py, || self.wire.wait_until(duration(timeout), Counters::all_answered))
    }

    fn close(&self, py: Python<'_>, timeout: f64) {
        detached(py, || {
            self.wire.phase.send_replace(Phase::Closing);
            if !self.wire.wait_until(duration(timeout), Counters::all_gone) {
                self.wire.phase.send_replace(Phase::Cut);
                self.wire.wait_until(LAST_TURNS, Counters::all_gone);
            }
            self.wire.kick();
            self.wire.wait_until_delivered(LAST_TURNS);
        });
    }

    fn complaint(&self) -> Option<String> {
        self.wire.complaint.take()
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = &self.wire.counters;
        let counted = PyDict::new(py);
        counted.set_item("connections", counters.connections.load(Relaxed))?;
        counted.set_item("calls", counters.calls.load(Relaxed))?;
        counted.set_item("cancelled", counters.cancelled.load(Relaxed))?;
        counted.set_item("replies_written", counters.endings.replies_written.load(Relaxed))?;
        counted.set_item("resets_received", counters.endings.resets_received.load(Relaxed))?;
        counted.set_item("resets_sent", counters.endings.resets_sent.load(Relaxed))?;
        counted.set_item("open_connections", counters.open_connections.load(Relaxed))?;
        counted.set_item("open_calls", counters.open_calls.load(Relaxed))?;
        Ok(counted)
    }
}

impl Server {
    fn accept(&self, listener: Listener) {
        self.driver.runtime().spawn(listener.serve(self.wire.clone(), Counted::listener(&self.wire)));
    }

    /// Take a reply that can be posted. An error is one of the type of what was given.
    fn collect(
        &self,
        py: Python<'_>,
        reply: &Bound<'_, PyAny>,
        posted: &mut Vec<(Arc<CallState>, Reply)>,
    ) -> PyResult<()> {
        let fields = reply.cast::<PyTuple>()?;
        let call = &fields.get_borrowed_item(0)?.cast::<Call>()?.get().inner.clone();
        if call.is_answered() {
            return Ok(());
        }
        let reply = self.outgoing.reply(py, call, fields).unwrap_or_else(|error| {
            error.write_unraisable(py, None); // the others' replies must go out
            Reply::end(Trailers::of(Code::Internal, "the server's reply cannot be sent; its log has more"))
        });
        if call.accept(&reply) {
            if reply.trailers.is_some() {
                release(call);
            }
            posted.push((call.clone(), reply));
        }
        Ok(())
    }

    /// An event for Python; None if it is of a call that Python has answered.
    fn event<'py>(&self, py: Python<'py>, event: Event) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some(call) = self.object(py, &event)? else {
            return Ok(None);
        };
        let kind = &self.kinds[event.kind as usize];
        (kind, call, lend(py, event.message)?).into_pyobject(py).map(Some)
    }

    /// The call's object: made with its first event, given up with its last.
    fn object<'py>(&self, py: Python<'py>, event: &Event) -> PyResult<Option<Bound<'py, Call>>> {
        let state = &event.call;
        let mut object = locked(&state.object);
        let call = match &*object {
            Object::Done => return Ok(None),
            Object::Told(call) => call.bind(py).clone(),
            Object::None => {
                let path = self.paths.get().and_then(|paths| paths.get(&state.method.path));
                let path =
                    path.map_or_else(|| PyString::new(py, &state.method.path).unbind(), |path| path.clone_ref(py));
                let deadline = state.deadline.map(|deadline| self.monotonic(deadline));
                let call = Bound::new(py, Call::new(state.clone(), path, deadline))?;
                *object = Object::Told(call.clone().unbind());
                call
            }
        };
        let last = (event.kind == Kind::Cancel).then(|| std::mem::replace(&mut *object, Object::Done));
        drop(object);
        drop(last);
        Ok(Some(call))
    }

    fn monotonic(&self, instant: Instant) -> f64 {
        let (origin, seconds) = self.clock;
        match instant.checked_duration_since(origin) {
            Some(later) => seconds + later.as_secs_f64(),
            None => seconds - origin.duration_since(instant).as_secs_f64(),
        }
    }
}

fn os_error(error: io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            PyOSError::new_err((number, text))
        }
        None => PyOSError::new_err(error.to_string()),
    }
}
