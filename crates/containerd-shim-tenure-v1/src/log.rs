//! The shim's log: the fifo `log` in the bundle of the first container, which containerd copies into its own.
//!
//! Lines that find no room are lost: nothing ever waits for a log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::fs::OFlags;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, fmt};

/// Where lines go in this process. A fork's descriptor has another number.
static SINK: OnceLock<Mutex<File>> = OnceLock::new();

/// The log of this process and of what it forks.
#[derive(Debug)]
pub(crate) struct Log(());

/// Writes to the log of whatever process this is.
struct Writer;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(sink) = SINK.get() {
            // A fifo that is full, or that nobody reads.
            let _ = sink.lock().unwrap_or_else(PoisonError::into_inner).write(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Opens the fifo in this folder, or a null device if there is none, and sends tracing there: warnings, and with
    /// `debug` everything. `TENURE_LOG` is a level or a list of `target=level` instead.
    ///
    /// # Errors
    /// When neither can be opened.
    pub(crate) fn open(bundle: &Path, debug: bool) -> io::Result<Self> {
        // Both ways: it is no error when its reader, containerd, goes and comes.
        let open = |path: &Path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
                .open(path)
        };
        let file = open(&bundle.join("log")).or_else(|_| open(Path::new("/dev/null")))?;
        let this = Self::adopt(file.into());
        let level = if debug { Level::DEBUG } else { Level::WARN };
        let wanted = std::env::var("TENURE_LOG")
            .ok()
            .and_then(|filter| filter.parse().ok());
        let filter = wanted.unwrap_or_else(|| Targets::new().with_default(level));
        let layer = fmt::layer()
            .with_ansi(false)
            .with_writer(|| Writer)
            .with_filter(filter);
        // Only the first one counts.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
        Ok(this)
    }

    /// Goes on with a log that was opened before a fork.
    pub(crate) fn adopt(descriptor: OwnedFd) -> Self {
        let file = File::from(descriptor);
        match SINK.get() {
            None => drop(SINK.set(Mutex::new(file))),
            // The one before names another descriptor by now, or none: it is not to be closed.
            Some(sink) => {
                let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                let before = std::mem::replace(&mut *sink, file);
                let _ = std::os::fd::IntoRawFd::into_raw_fd(before);
            }
        }
        Self(())
    }

    /// The descriptor once more, for a fork.
    ///
    /// # Errors
    /// When there is no descriptor to be had.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        let sink = SINK.get().ok_or(io::ErrorKind::NotFound)?;
        let file = sink.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(file.try_clone()?.into())
    }
}
