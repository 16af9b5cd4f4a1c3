//! One turn of the wheel: the runtime, driven by the thread that asks for events.
//!
//! The future that `drive` runs hands replies to their calls first, lets all tasks run, and ends with the events of all
//! of them: the first event wakes it, but the runtime comes back to it only when no task is left, or after many. So a
//! bulk of requests that arrives together is told together. tokio's own timers count milliseconds; a wait is ended by a
//! timer of the system's, because batches are delayed by less than that.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};

use crate::wire::{Event, Turn, Wire};

/// Tasks that run before the driver of input and output is asked again: more than one bulk has.
const EVENT_INTERVAL: u32 = 512;

/// The runtime and the timer of its waits.
pub struct Driver {
    wire: Arc<Wire>,
    runtime: Runtime,
    timer: AsyncFd<OwnedFd>,
}

impl Driver {
    /// A runtime without a thread.
    pub fn new(wire: Arc<Wire>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build()?;
        #[expect(deprecated, reason = "sound for a descriptor that it owns, and its successor is unsafe")]
        let timer = {
            let _inside = runtime.enter();
            AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)?
        };
        Ok(Driver { wire, runtime, timer })
    }

    /// The runtime, for what is to run in it.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Drive until there are events, a kick, or the timeout is over. One thread at a time.
    pub fn drive(&self, timeout: Option<Duration>) -> Vec<Event> {
        self.wire.begin_turn();
        match timeout {
            None => self.runtime.block_on(poll_fn(|context| self.turn(context))),
            Some(Duration::ZERO) => self.runtime.block_on(self.look()),
            Some(timeout) => self.runtime.block_on(self.wait(timeout)),
        }
        self.wire.end_turn()
    }

    fn turn(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.wire.turn(context.waker()) {
            Turn::Over => Poll::Ready(()),
            Turn::Quiet => Poll::Pending,
            Turn::Replies(replies) => {
                for (call, reply) in replies {
                    call.deliver(reply);
                }
                Poll::Pending // their tasks run first
            }
        }
    }

    /// Write what there is to write and read what there is to read.
    async fn look(&self) {
        let mut turns = 0;
        poll_fn(|context| {
            if turns == 0 {
                let _ = self.turn(context);
            }
            turns += 1;
            if turns == 3 {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    async fn wait(&self, timeout: Duration) {
        let armed = self.arm(timeout);
        let mut over = pin!(async {
            if armed.is_err() {
                return tokio::time::sleep(timeout).await;
            }
            if let Ok(mut ready) = self.timer.readable().await {
                ready.clear_ready();
            }
        });
        poll_fn(|context| match over.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => self.turn(context),
        })
        .await;
    }

    fn arm(&self, timeout: Duration) -> io::Result<()> {
        let value = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::budget::Counter;
    use crate::options::Options;

    fn driver() -> Driver {
        let options = Options {
            max_message_size: 1 << 20,
            max_metadata_size: 1 << 14,
            max_concurrent_streams: 16,
            handshake_timeout: Duration::from_secs(1),
            keepalive_time: None,
            keepalive_timeout: Duration::from_secs(1),
            keepalive_without_calls: false,
            max_connection_idle: None,
            max_connection_age: None,
            max_connection_age_grace: Duration::ZERO,
            least_ping_interval: Duration::from_secs(1),
            max_ping_strikes: 2,
            compression: 0,
        };
        Driver::new(Arc::new(Wire::new(options, Arc::new(Counter::new(1 << 20))))).expect("a runtime")
    }

    #[test]
    fn a_task_that_panics_ends_alone() {
        let driver = driver();
        let broken = driver.runtime().spawn(async { panic!("planted") });
        let other = driver.runtime().spawn(async { 7 });
        while !(broken.is_finished() && other.is_finished()) {
            assert!(driver.drive(Some(Duration::ZERO)).is_empty());
        }
        assert!(driver.runtime().block_on(broken).expect_err("it panicked").is_panic());
        assert_eq!(driver.runtime().block_on(other).expect("it ended"), 7);
    }

    #[test]
    fn a_kick_from_before_a_wait_ends_it() {
        let driver = driver();
        driver.wire.kick();
        driver.wire.kick();
        assert!(driver.drive(None).is_empty());
    }

    #[test]
    fn a_kick_from_another_thread_ends_a_wait() {
        let driver = driver();
        let wire = driver.wire.clone();
        let kicker = std::thread::spawn(move || wire.kick());
        assert!(driver.drive(None).is_empty());
        kicker.join().expect("it kicked");
    }

    #[test]
    fn a_wait_lasts_as_long_as_it_is_told_also_when_that_is_short() {
        let driver = driver();
        let timeout = Duration::from_micros(300);
        for _ in 0..20 {
            let began = Instant::now();
            driver.drive(Some(timeout));
            assert!(began.elapsed() >= timeout);
        }
    }
}
