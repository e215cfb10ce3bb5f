//! A foreground run's view of its containers' output.
//!
//! ```text
//! copy task ─chunks(bounded)─▶ line task, one a start ─blocks(bounded)─▶ writer thread ─write─▶ stdout, stderr
//! loop ────────────────────────────news of the pod─────────────────────▶ the same ────────────▶ screen
//! ```
//!
//! A slow terminal stops the writer; then the line tasks; then the copy tasks, and so each container, by its own full
//! pipe. The loop never waits for it, and no line is lost. Once a container has ended, its line task takes in all that
//! is left (a pipe's content), so that no end waits for a terminal either.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tenure_supervise::log::Stream;
use tenure_supervise::stdio::Chunk;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::launch::Tee;
use crate::screen::{News, Screen};

/// Blocks on their way to the writer, and chunks on their way to a line task.
const IN_FLIGHT: usize = 16;
/// What a line task holds before it stops reading a live container.
const HELD_BYTES: usize = 64 * 1024;
/// A line that is longer is shown in pieces.
const LINE_MAX: usize = 16 * 1024;
/// What the writer takes in before it draws again.
const BEFORE_DRAWING: usize = 64;

/// Whole lines for one of the two streams.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    stream: Stream,
    bytes: Vec<u8>,
}

/// Something for the writer.
#[derive(Debug)]
enum Shown {
    /// Lines, which take room until they are written.
    Block(Block, OwnedSemaphorePermit),
    /// There is something in [`News`].
    News,
}

/// The way to the terminal.
#[derive(Debug)]
pub(crate) struct TeeOut {
    shown: Sender<Shown>,
    room: Arc<Semaphore>,
    prefix: bool,
}

/// Tells when everything has been written.
pub(crate) type Written = oneshot::Receiver<()>;

/// Tells the writer of the pod.
#[derive(Debug)]
pub(crate) struct ToScreen {
    news: Arc<Mutex<News>>,
    shown: Sender<Shown>,
}

impl ToScreen {
    /// Adds to the news. The writer is woken once for all that it has not looked at.
    pub(crate) fn tell(&self, note: impl FnOnce(&mut News)) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = news.is_empty();
        note(&mut news);
        if is_first {
            // The writer outlives its senders.
            let _ = self.shown.send(Shown::News);
        }
    }
}

impl TeeOut {
    /// Starts the writer, which ends after the last sender.
    pub(crate) fn start(tee: Tee, clock: Clock) -> io::Result<(Self, ToScreen, Written)> {
        let (shown, receiver) = channel();
        let (done, written) = oneshot::channel();
        let news = Arc::new(Mutex::new(News::default()));
        let mut writer = Writer {
            stdout: File::from(tee.stdout),
            stderr: File::from(tee.stderr.try_clone()?),
            screen: Screen::new(tee.display, File::from(tee.stderr)),
            news: Arc::clone(&news),
            clock,
        };
        std::thread::Builder::new()
            .name("terminal".into())
            .stack_size(256 * 1024)
            .spawn(move || {
                writer.write_all(&receiver);
                // Nobody may wait for it.
                let _ = done.send(());
            })?;
        let to_screen = ToScreen {
            news,
            shown: shown.clone(),
        };
        let out = Self {
            shown,
            room: Arc::new(Semaphore::new(IN_FLIGHT)),
            prefix: tee.prefix,
        };
        Ok((out, to_screen, written))
    }

    /// Where one start of a container sends what it wrote. Must be called in a `LocalSet`.
    pub(crate) fn source(&self, name: &str, ended: watch::Receiver<bool>) -> mpsc::Sender<Chunk> {
        let (sender, chunks) = mpsc::channel(IN_FLIGHT);
        let lines = Lines::new(self.prefix.then(|| format!("{name} | ")));
        let (shown, room) = (self.shown.clone(), Arc::clone(&self.room));
        tokio::task::spawn_local(forward(chunks, shown, room, lines, ended));
        sender
    }
}

/// What the writer's thread has.
struct Writer {
    stdout: File,
    stderr: File,
    screen: Screen,
    news: Arc<Mutex<News>>,
    clock: Clock,
}

impl Writer {
    fn write_all(&mut self, shown: &Receiver<Shown>) {
        loop {
            let now = self.clock.now();
            self.screen.draw(now);
            let first = match self.screen.changes_at(now) {
                Some(at) => {
                    shown.recv_timeout(self.clock.instant(at).saturating_duration_since(Instant::now()))
                }
                None => shown.recv().map_err(Into::into),
            };
            match first {
                Ok(first) => self.take(first),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            shown
                .try_iter()
                .take(BEFORE_DRAWING)
                .for_each(|more| self.take(more));
        }
    }

    fn take(&mut self, shown: Shown) {
        let Shown::Block(block, _room) = shown else {
            let news = std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
            return self.screen.take(news, self.clock.now());
        };
        self.screen.make_room(block.bytes.last().copied());
        let target = match block.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        // A reader that has gone (`| head`) wants no more; the logs have it all.
        if let Err(error) = target.write_all(&block.bytes) {
            tracing::debug!(%error, "output is not shown");
        }
    }
}

async fn forward(
    mut chunks: mpsc::Receiver<Chunk>,
    shown: Sender<Shown>,
    room: Arc<Semaphore>,
    mut lines: Lines,
    mut ended: watch::Receiver<bool>,
) {
    let mut open = true;
    let mut all = false;
    loop {
        let may_read = open && (all || lines.held < HELD_BYTES);
        tokio::select! {
            biased;
            _ = ended.wait_for(|ended| *ended), if !all => all = true,
            permit = Arc::clone(&room).acquire_owned(), if !lines.ready.is_empty() => {
                if let (Ok(permit), Some(block)) = (permit, lines.pop()) {
                    // The writer outlives its senders.
                    let _ = shown.send(Shown::Block(block, permit));
                }
            }
            chunk = chunks.recv(), if may_read => match chunk {
                Some(chunk) => lines.push(&chunk),
                None => {
                    lines.finish();
                    open = false;
                }
            },
            else => return,
        }
    }
}

/// Cuts chunks into blocks of whole lines, each line prefixed. Without a prefix, bytes pass as they come.
#[derive(Debug)]
struct Lines {
    prefix: Option<String>,
    partial: [Vec<u8>; 2],
    ready: VecDeque<Block>,
    held: usize,
}

impl Lines {
    fn new(prefix: Option<String>) -> Self {
        Self {
            prefix,
            partial: [Vec::new(), Vec::new()],
            ready: VecDeque::new(),
            held: 0,
        }
    }

    fn push(&mut self, chunk: &Chunk) {
        let Some(prefix) = &self.prefix else {
            self.enqueue(chunk.stream, chunk.bytes.clone());
            return;
        };
        let partial = &mut self.partial[index(chunk.stream)];
        let mut block = Vec::with_capacity(chunk.bytes.len() + prefix.len());
        for piece in chunk.bytes.split_inclusive(|byte| *byte == b'\n') {
            partial.extend_from_slice(piece);
            if partial.ends_with(b"\n") {
                block.extend_from_slice(prefix.as_bytes());
                block.append(partial);
            } else if partial.len() >= LINE_MAX {
                block.extend_from_slice(prefix.as_bytes());
                block.append(partial);
                block.push(b'\n');
            }
        }
        self.enqueue(chunk.stream, block);
    }

    /// The last line has no newline: it is shown as one all the same.
    fn finish(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut line = std::mem::take(&mut self.partial[index(stream)]);
            if let Some(prefix) = self.prefix.as_ref().filter(|_| !line.is_empty()) {
                line.splice(0..0, prefix.bytes());
                line.push(b'\n');
                self.enqueue(stream, line);
            }
        }
    }

    fn enqueue(&mut self, stream: Stream, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.held += bytes.len();
            self.ready.push_back(Block { stream, bytes });
        }
    }

    fn pop(&mut self) -> Option<Block> {
        let block = self.ready.pop_front()?;
        self.held -= block.bytes.len();
        Some(block)
    }
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn chunk(stream: Stream, text: &str) -> Chunk {
        Chunk {
            stream,
            bytes: text.as_bytes().to_vec(),
        }
    }

    fn text(lines: &mut Lines) -> String {
        let mut text = Vec::new();
        while let Some(block) = lines.pop() {
            text.extend_from_slice(&block.bytes);
        }
        assert_eq!(lines.held, 0);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn lines_are_prefixed_whole_however_they_were_cut() {
        let mut lines = Lines::new(Some("web | ".into()));
        lines.push(&chunk(Stream::Stdout, "one\ntw"));
        lines.push(&chunk(Stream::Stderr, "err\n"));
        lines.push(&chunk(Stream::Stdout, "o\n\nrest"));
        assert_eq!(text(&mut lines), "web | one\nweb | err\nweb | two\nweb | \n");
        lines.finish();
        assert_eq!(text(&mut lines), "web | rest\n");
    }

    #[test]
    fn without_a_prefix_bytes_pass_as_they_come() {
        let mut lines = Lines::new(None);
        lines.push(&chunk(Stream::Stdout, "prompt> "));
        assert_eq!(text(&mut lines), "prompt> ");
        lines.finish();
        assert_eq!(text(&mut lines), "");
    }

    #[test]
    fn an_endless_line_is_shown_in_pieces() {
        let mut lines = Lines::new(Some("w | ".into()));
        lines.push(&chunk(Stream::Stdout, &"x".repeat(LINE_MAX)));
        assert!(text(&mut lines).ends_with("x\n"));
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn a_stuck_terminal_holds_back_a_live_container_and_not_a_dead_one() {
        run(async {
            let (reader, writer) = std::io::pipe().unwrap();
            let tee = Tee {
                prefix: true,
                stdout: writer.try_clone().unwrap().into(),
                stderr: writer.into(),
                display: Box::new(crate::screen::NoDisplay),
            };
            let (out, to_screen, written) = TeeOut::start(tee, Clock::start()).unwrap();
            drop(to_screen);
            let (ended, watch) = watch::channel(false);
            let source = out.source("web", watch);
            drop(out);
            let line = format!("{}\n", "x".repeat(4095));
            let mut sent = 0;
            // Nobody reads: the pipe, the writer, the line task and the channel fill up, and then it is full.
            while source.try_send(chunk(Stream::Stdout, &line)).is_ok() || {
                tokio::task::yield_now().await;
                source.capacity() > 0
            } {
                sent += 1;
                assert!(sent < 10_000, "nothing ever holds the container back");
                tokio::task::yield_now().await;
            }
            ended.send_replace(true);
            for _ in 0..64 {
                source.send(chunk(Stream::Stdout, &line)).await.unwrap();
            }
            drop(source);
            let read = std::thread::spawn(move || {
                let mut text = String::new();
                { reader }.read_to_string(&mut text).unwrap();
                text
            });
            written.await.unwrap();
            let text = read.join().unwrap();
            assert!(text.lines().count() >= 64);
            assert!(text.lines().all(|line| line.len() == 4095 + 6));
        });
    }
}
