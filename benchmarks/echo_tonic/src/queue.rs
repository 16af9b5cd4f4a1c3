//! A way through another thread, as calls take it in a server that does something: one queue there, whose thread
//! takes all that wait at once, and one way back for all of these together.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// An answer on its way, and who waits for it.
struct Waiting {
    answer: Bytes,
    caller: oneshot::Sender<Bytes>,
}

/// Where calls are put.
#[derive(Clone)]
pub struct Queue(Sender<Waiting>);

impl Queue {
    /// Start the thread, and the task that brings back what it is done with; for use inside a runtime.
    pub fn start() -> io::Result<Self> {
        let (there, waiting) = channel();
        let (back, done) = unbounded_channel();
        thread::Builder::new().name("answers".into()).spawn(move || take(&waiting, &back))?;
        tokio::spawn(hand_out(done));
        Ok(Self(there))
    }

    /// Send an answer through the thread. It is never given where the thread has ended.
    pub fn put(&self, answer: Bytes) -> oneshot::Receiver<Bytes> {
        let (caller, arrival) = oneshot::channel();
        let _ = self.0.send(Waiting { answer, caller });
        arrival
    }
}

fn take(waiting: &Receiver<Waiting>, back: &UnboundedSender<Vec<Waiting>>) {
    while let Ok(first) = waiting.recv() {
        let mut all = vec![first];
        all.extend(waiting.try_iter());
        if back.send(all).is_err() {
            return;
        }
    }
}

async fn hand_out(mut done: UnboundedReceiver<Vec<Waiting>>) {
    while let Some(all) = done.recv().await {
        for one in all {
            let _ = one.caller.send(one.answer);
        }
    }
}
