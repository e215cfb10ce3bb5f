//! A foreground run's view of its containers' output.
//!
//! ```text
//! copy task ─chunks(bounded)─▶ line task, one a start ─blocks(bounded)─▶ writer thread ─write─▶ stdout, stderr
//! ```
//!
//! A slow terminal stops the writer; then the line tasks; then the copy tasks, and so each container, by its own full
//! pipe. The loop never waits for it, and no line is lost. Once a container has ended, its line task takes in all that
//! is left (a pipe's content), so that no end waits for a terminal either.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};

use tenure_supervise::log::Stream;
use tenure_supervise::stdio::Chunk;
use tokio::sync::{mpsc, oneshot, watch};

use crate::launch::Tee;

/// Blocks on their way to the writer, and chunks on their way to a line task.
const IN_FLIGHT: usize = 16;
/// What a line task holds before it stops reading a live container.
const HELD_BYTES: usize = 64 * 1024;
/// A line that is longer is shown in pieces.
const LINE_MAX: usize = 16 * 1024;

/// Whole lines for one of the two streams.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    stream: Stream,
    bytes: Vec<u8>,
}

/// The way to the terminal.
#[derive(Debug)]
pub(crate) struct TeeOut {
    blocks: mpsc::Sender<Block>,
    prefix: bool,
}

/// Tells when everything has been written.
pub(crate) type Written = oneshot::Receiver<()>;

impl TeeOut {
    /// Starts the writer, which ends after the last sender.
    pub(crate) fn start(tee: Tee) -> io::Result<(Self, Written)> {
        let (blocks, receiver) = mpsc::channel(IN_FLIGHT);
        let (done, written) = oneshot::channel();
        std::thread::Builder::new()
            .name("terminal".into())
            .stack_size(256 * 1024)
            .spawn(move || {
                write_all(receiver, File::from(tee.stdout), File::from(tee.stderr));
                // Nobody may wait for it.
                let _ = done.send(());
            })?;
        let prefix = tee.prefix;
        Ok((Self { blocks, prefix }, written))
    }

    /// Where one start of a container sends what it wrote. Must be called in a `LocalSet`.
    pub(crate) fn source(&self, name: &str, ended: watch::Receiver<bool>) -> mpsc::Sender<Chunk> {
        let (sender, chunks) = mpsc::channel(IN_FLIGHT);
        let lines = Lines::new(self.prefix.then(|| format!("{name} | ")));
        let blocks = self.blocks.clone();
        tokio::task::spawn_local(forward(chunks, blocks, lines, ended));
        sender
    }
}

fn write_all(mut blocks: mpsc::Receiver<Block>, mut stdout: File, mut stderr: File) {
    while let Some(block) = blocks.blocking_recv() {
        let target = match block.stream {
            Stream::Stdout => &mut stdout,
            Stream::Stderr => &mut stderr,
        };
        // A reader that has gone (`| head`) wants no more; the logs have it all.
        if let Err(error) = target.write_all(&block.bytes) {
            tracing::debug!(%error, "output is not shown");
        }
    }
}

async fn forward(
    mut chunks: mpsc::Receiver<Chunk>,
    blocks: mpsc::Sender<Block>,
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
            permit = blocks.reserve(), if !lines.ready.is_empty() => match permit {
                Ok(permit) => if let Some(block) = lines.pop() { permit.send(block) },
                Err(_) => return,
            },
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
            };
            let (out, written) = TeeOut::start(tee).unwrap();
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
