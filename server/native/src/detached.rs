//! Work without the interpreter, from which a thread may come back to one that is ending.
//!
//! Before Python 3.14 an interpreter that is ending ends such a thread where it waits to be let in, by unwinding its
//! stack (`pthread_exit`). That must not go through Rust, which would abort the process. So the thread stops here for
//! ever, as newer interpreters have it, and ends with the process. pyo3 does so where a thread comes for the first time
//! (`PyGILState_Ensure`), but not where it comes back.

use pyo3::marker::{Python, Ungil};

/// Work without the interpreter, which others may use meanwhile.
pub fn detached<T: Ungil>(py: Python<'_>, work: impl FnOnce() -> T + Ungil) -> T {
    let stop = Stop;
    let done = work_and_come_back(py, work);
    std::mem::forget(stop);
    done
}

/// A frame of its own, because what unwinds it does so from a call that the compiler takes for one that never does.
#[inline(never)]
fn work_and_come_back<T: Ungil>(py: Python<'_>, work: impl FnOnce() -> T + Ungil) -> T {
    py.detach(work)
}

/// Stops whatever unwinds the stack, but for a panic.
struct Stop;

impl Drop for Stop {
    fn drop(&mut self) {
        while !std::thread::panicking() {
            std::thread::park();
        }
    }
}
