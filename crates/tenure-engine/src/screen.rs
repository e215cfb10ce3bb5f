//! What a foreground run shows besides its containers' lines: events, and a frame below all lines that is drawn in
//! place.
//!
//! ```text
//! loop ─▶ News (the latest status, the events since) ─▶ writer thread ─▶ Display: lines above, frame below
//! ```
//!
//! The writer thread alone touches the terminal, so that nothing comes between the frame's lines, and a terminal that
//! takes nothing (Ctrl-S) never stops the loop.

use std::fmt;
use std::fs::File;
use std::io::Write;

use tenure_lifecycle::{PodStatus, Timestamp};

use crate::store::PodEvent;

/// What is to be shown of a pod. Called by one thread, which is not the loop's.
pub trait Display: Send {
    /// Takes note of an event; the line that tells it, without its end, if it is to be told.
    fn event(&mut self, event: &PodEvent) -> Option<String>;
    /// Takes note of what the pod has become by `now`.
    fn status(&mut self, status: PodStatus, now: Timestamp);
    /// The lines that stand below all others at `now`; none where nothing is to be drawn in place.
    fn frame(&self, now: Timestamp) -> Vec<String>;
    /// When the frame changes by time alone; `None` when it does not, so that nobody wakes up for it.
    fn changes_at(&self, now: Timestamp) -> Option<Timestamp>;
}

impl fmt::Debug for dyn Display {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Display")
    }
}

/// What the writer has not yet looked at. A terminal that is behind skips statuses, not events.
#[derive(Debug, Default)]
pub(crate) struct News {
    status: Option<PodStatus>,
    events: Vec<PodEvent>,
}

/// How many events wait for a terminal at most; all are in the pod's record.
const MOST_EVENTS: usize = 1000;

impl News {
    /// Notes what the pod has become.
    pub(crate) fn status(&mut self, status: &PodStatus) {
        self.status = Some(status.clone());
    }

    /// Notes an event.
    pub(crate) fn event(&mut self, event: &PodEvent) {
        // A terminal that is stopped takes none of them, for as long as it likes.
        if self.events.len() < MOST_EVENTS {
            self.events.push(event.clone());
        }
    }

    /// Whether there is nothing to look at.
    pub(crate) fn is_empty(&self) -> bool {
        self.status.is_none() && self.events.is_empty()
    }
}

/// The terminal, as far as the frame on it goes.
#[derive(Debug)]
pub(crate) struct Screen {
    display: Box<dyn Display>,
    terminal: File,
    /// The lines of the frame that is on the screen.
    drawn: Vec<String>,
    /// Something else ended within a line.
    within_line: bool,
}

impl Screen {
    pub(crate) fn new(display: Box<dyn Display>, terminal: File) -> Self {
        Self {
            display,
            terminal,
            drawn: Vec::new(),
            within_line: false,
        }
    }

    /// Takes the frame away before something else is written, which ends with `last`.
    pub(crate) fn make_room(&mut self, last: Option<u8>) {
        let mut out = Vec::new();
        self.erase(&mut out);
        self.put(&out);
        self.within_line = last.is_some_and(|byte| byte != b'\n');
    }

    /// Shows what is new: events as lines, the status with the next [`Screen::draw`].
    pub(crate) fn take(&mut self, news: News, now: Timestamp) {
        let mut out = Vec::new();
        for event in &news.events {
            let Some(line) = self.display.event(event) else {
                continue;
            };
            self.erase(&mut out);
            self.end_line(&mut out);
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
        self.put(&out);
        if let Some(status) = news.status {
            self.display.status(status, now);
        }
    }

    /// Draws the frame as it is now, if that differs from what is on the screen.
    pub(crate) fn draw(&mut self, now: Timestamp) {
        let (rows, columns) = size(&self.terminal);
        let mut frame = self.display.frame(now);
        // What does not fit would be scrolled away, where nothing can be drawn in place; its beginning says most.
        frame.truncate(rows.saturating_sub(1));
        for line in &mut frame {
            *line = line.chars().take(columns.saturating_sub(1)).collect();
        }
        if frame == self.drawn {
            return;
        }
        let mut out = Vec::new();
        self.erase(&mut out);
        self.end_line(&mut out);
        for line in &frame {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
        self.drawn = frame;
        self.put(&out);
    }

    /// See [`Display::changes_at`].
    pub(crate) fn changes_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.display.changes_at(now)
    }

    /// Moves to where the frame begins and clears what is below. A terminal that has become narrower has wrapped lines.
    fn erase(&mut self, out: &mut Vec<u8>) {
        let (_, columns) = size(&self.terminal);
        let rows: usize = self
            .drawn
            .drain(..)
            .map(|line| line.chars().count().div_ceil(columns.max(1)).max(1))
            .sum();
        if rows > 0 {
            out.extend_from_slice(format!("\r\x1b[{rows}A\x1b[J").as_bytes());
        }
    }

    /// A line of ours does not begin within one of a container's.
    fn end_line(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.within_line) {
            out.push(b'\n');
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        // Whoever closed the terminal wants to see no more; the pod goes on.
        if let Err(error) = self.terminal.write_all(bytes) {
            tracing::debug!(%error, "progress is not shown");
        }
    }
}

/// Rows and columns; those of the classic terminal where it tells none.
fn size(terminal: &File) -> (usize, usize) {
    match rustix::termios::tcgetwinsize(terminal) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
        Ok(_) | Err(_) => (24, 80),
    }
}

/// Tells nothing and draws nothing.
#[derive(Debug)]
pub struct NoDisplay;

impl Display for NoDisplay {
    fn event(&mut self, _: &PodEvent) -> Option<String> {
        None
    }
    fn status(&mut self, _: PodStatus, _: Timestamp) {}
    fn frame(&self, _: Timestamp) -> Vec<String> {
        Vec::new()
    }
    fn changes_at(&self, _: Timestamp) -> Option<Timestamp> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use tenure_lifecycle::NoticeKind;

    use super::*;

    /// Tells every event; its frame is what it was told last.
    struct Fake(Vec<String>);

    impl Display for Fake {
        fn event(&mut self, event: &PodEvent) -> Option<String> {
            self.0 = vec!["frame".into(), event.message.clone()];
            Some(event.reason.clone())
        }
        fn status(&mut self, _: PodStatus, _: Timestamp) {}
        fn frame(&self, _: Timestamp) -> Vec<String> {
            self.0.clone()
        }
        fn changes_at(&self, _: Timestamp) -> Option<Timestamp> {
            None
        }
    }

    fn news(reason: &str, message: &str) -> News {
        let mut news = News::default();
        news.event(&PodEvent {
            time: String::new(),
            kind: NoticeKind::Normal,
            reason: reason.into(),
            container: None,
            message: message.into(),
        });
        news
    }

    /// A screen of 80 columns, and what is on it.
    fn screen() -> (Screen, impl FnMut() -> String) {
        let mut file = tempfile::tempfile().unwrap();
        let screen = Screen::new(Box::new(Fake(Vec::new())), file.try_clone().unwrap());
        let read = move || {
            let mut text = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            file.set_len(0).unwrap();
            file.rewind().unwrap();
            text
        };
        (screen, read)
    }

    #[test]
    fn lines_come_above_the_frame_which_is_drawn_below_them() {
        let (mut screen, mut text) = screen();
        screen.take(news("Started", "one"), Timestamp::ZERO);
        screen.draw(Timestamp::ZERO);
        assert_eq!(text(), "Started\nframe\none\n");
        screen.draw(Timestamp::ZERO);
        assert_eq!(text(), "", "nothing has changed");
        screen.take(news("Killing", "two"), Timestamp::ZERO);
        screen.draw(Timestamp::ZERO);
        assert_eq!(text(), "\r\x1b[2A\x1b[JKilling\nframe\ntwo\n");
    }

    #[test]
    fn a_containers_lines_take_the_frames_place_and_a_begun_one_is_ended() {
        let (mut screen, mut text) = screen();
        screen.take(news("Started", "one"), Timestamp::ZERO);
        screen.draw(Timestamp::ZERO);
        text();
        screen.make_room(Some(b'>'));
        assert_eq!(text(), "\r\x1b[2A\x1b[J");
        screen.draw(Timestamp::ZERO);
        assert_eq!(text(), "\nframe\none\n");
    }

    #[test]
    fn what_is_too_long_or_too_much_is_cut() {
        let (mut screen, mut text) = screen();
        screen.display = Box::new(Fake(vec!["x".repeat(100); 50]));
        screen.draw(Timestamp::ZERO);
        let text = text();
        assert_eq!(text.lines().count(), 23);
        assert!(text.lines().all(|line| line.len() == 79));
    }
}
