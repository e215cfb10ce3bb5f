//! Work that would hold up the loop: on a thread of its own that is gone afterwards.
//!
//! No pool: at rest a supervisor has one thread.

use std::io;

use tokio::sync::oneshot;

/// Runs `work` beside the loop. Dropping the future does not stop the work.
pub(crate) async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("offload".into())
        .stack_size(256 * 1024)
        .spawn(move || {
            // Whoever waited may have gone.
            let _ = done.send(work());
        })?;
    result
        .await
        .map_err(|_| io::Error::other("a worker thread ended without a result"))
}
