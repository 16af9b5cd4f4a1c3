//! A bare tonic server for comparison: `echo-tonic ANSWERS [queued]` gives each method the one answer that the
//! directory ANSWERS has for it, where the call comes in or through a queue. HTTP/2 and gRPC have one thread. It says
//! where it listens on stderr, and serves until SIGTERM.

mod answers;
mod codec;
mod queue;

use std::env;
use std::error::Error;
use std::path::Path;

use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::answers::Answers;
use crate::queue::Queue;

/// The largest HTTP/2 frame a client may send: fewer reads for large messages.
const MAX_FRAME: u32 = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (directory, queued) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [directory] => (directory, false),
        [directory, "queued"] => (directory, true),
        _ => return Err(format!("got {arguments:?}, expected ANSWERS [queued]").into()),
    };
    Builder::new_current_thread().enable_all().build()?.block_on(serve(Path::new(directory), queued))
}

async fn serve(directory: &Path, queued: bool) -> Result<(), Box<dyn Error>> {
    let queue = if queued { Some(Queue::start()?) } else { None };
    let answers = Answers::read(directory, queue)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("gRPC on {}", listener.local_addr()?);
    let mut terminated = signal(SignalKind::terminate())?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().max_frame_size(MAX_FRAME);
    let stopped = async move {
        terminated.recv().await;
    };
    Ok(server.serve_with_incoming_shutdown(answers, incoming, stopped).await?)
}
