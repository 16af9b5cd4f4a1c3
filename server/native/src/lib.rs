//! HTTP/2, gRPC's framing and TLS for Naiad, driven from Python. It knows nothing of protobuf or of models.
//!
//! Python polls (server.rs); whoever polls drives everything (driver.rs). Tasks of the runtime are connections
//! (connection.rs) and their requests (request.rs), which read messages (reading.rs) and wait for replies (reply.rs).
//! What tasks and Python share is in wire.rs and call.rs.

mod abuse;
mod budget;
mod call;
mod complaint;
pub mod compression;
mod connection;
mod counters;
mod detached;
#[cfg(test)]
mod dice;
mod driver;
mod frames;
pub mod framing;
#[cfg(test)]
mod fuzz;
mod guarded;
mod gzip;
mod listener;
mod memory;
pub mod metadata;
mod options;
mod outgoing;
pub mod percent;
mod python;
mod reading;
mod reply;
mod request;
mod server;
mod sync;
pub mod timeout;
mod tls;
mod watch;
mod wire;

use pyo3::prelude::*;

/// The module `naiad._native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<budget::Budget>()?;
    module.add_class::<python::Call>()?;
    module.add_class::<server::Server>()
}
