//! The scheduling priority of threads.

/// Lowers the priority of the calling thread by `niceness`.
pub(crate) fn lower_thread_priority(niceness: i32) {
    if niceness != 0 {
        // On Linux this is the thread's own. Should it fail, the work is as good, and only competes with serving.
        let _ = rustix::process::nice(niceness);
    }
}
