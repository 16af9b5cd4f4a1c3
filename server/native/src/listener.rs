//! Where connections come from: TCP and Unix sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::connection::{self, Peer};
use crate::counters::Counted;
use crate::wire::{Phase, Wire};

/// Connections that the system keeps until they are taken; it may allow fewer.
const BACKLOG: i32 = 4096;
/// How long no connection is taken after the system could give none, as without free descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Listen on an address; port 0 takes a free one. Inside a runtime only.
pub fn tcp(address: IpAddr, port: u16, reuse_port: bool) -> io::Result<TcpListener> {
    let address = SocketAddr::new(address, port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A socket that connections come to.
pub enum Listener {
    /// Of an address.
    Tcp(TcpListener),
    /// Of a file.
    Unix(UnixListener),
}

impl Listener {
    /// Take connections until the server closes.
    pub async fn serve(self, wire: Arc<Wire>, _counted: Counted) {
        let mut phase = wire.phase.subscribe();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
                accepted = self.accept(&wire) => accepted,
            };
            if let Err(error) = accepted {
                complain(&wire, &error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn accept(&self, wire: &Arc<Wire>) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let _ = stream.set_nodelay(true); // a peer that is gone already shows itself when it is read
                tokio::spawn(connection::serve(wire.clone(), stream, Peer::Address(address)));
            }
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(connection::serve(wire.clone(), stream, Peer::Unix));
            }
        }
        Ok(())
    }
}

fn complain(wire: &Wire, error: &io::Error) {
    if wire.complaint.make(|| format!("connections cannot be taken: {error}"), Instant::now()) {
        wire.kick(); // whoever drives then asks
    }
}
