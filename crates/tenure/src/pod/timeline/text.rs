//! The picture as lines of text.

use std::fmt::Write as _;

use super::scale::{Scale, span_text};
use super::story::{Mark, MarkKind, Micros, Span, SpanKind, Story, Track};

/// How the text looks.
#[derive(Debug)]
pub(in super::super) struct Look {
    /// The width of a line.
    pub(super) columns: usize,
    /// Colours may be used.
    pub(super) colour: bool,
    /// What to draw with.
    pub(super) glyphs: &'static Glyphs,
}

/// What to draw with.
#[derive(Debug)]
pub(super) struct Glyphs {
    /// In the order of `SpanKind::ALL`.
    spans: [char; 6],
    failed_hook: char,
    /// Warning, success, failure, killed.
    marks: [char; 4],
    axis: [char; 3],
    cut: char,
}

/// For terminals of today.
pub(super) const UNICODE: Glyphs = Glyphs {
    spans: ['░', '█', '▒', '·', '━', '━'],
    failed_hook: '╍',
    marks: ['▲', '●', '✗', '†'],
    axis: ['├', '─', '┴'],
    cut: '≈',
};

/// For a C locale.
pub(super) const ASCII: Glyphs = Glyphs {
    spans: [':', '#', '%', '.', '=', '='],
    failed_hook: '~',
    marks: ['^', 'o', 'x', '+'],
    axis: ['|', '-', '+'],
    cut: '~',
};

impl Glyphs {
    fn span(&self, kind: SpanKind) -> char {
        let at = SpanKind::ALL.iter().position(|other| *other == kind).unwrap_or(0);
        self.spans[at]
    }

    const fn mark(&self, kind: MarkKind) -> char {
        let [warning, success, failure, killed] = self.marks;
        match kind {
            MarkKind::Warning => warning,
            MarkKind::Success => success,
            MarkKind::Failure => failure,
            MarkKind::Killed => killed,
        }
    }
}

/// A character of the picture and its colour, an SGR parameter.
type Cell = (char, &'static str);

const fn span_colour(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Created => "90",
        SpanKind::Running => "32",
        SpanKind::Terminating => "33",
        SpanKind::BackOff => "90",
        SpanKind::PostStart => "36",
        SpanKind::PreStop => "35",
    }
}

const fn mark_colour(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Warning => "1;33",
        MarkKind::Success => "1;32",
        MarkKind::Failure | MarkKind::Killed => "1;31",
    }
}

/// A row of the picture: what it is, the drawing, what to say at its end.
struct Row {
    label: String,
    cells: Vec<Cell>,
    note: String,
}

/// Draws a story, with a heading.
pub(super) fn draw(story: &Story, look: &Look) -> String {
    format!(
        "Pod {}: {}\n\n{}",
        story.name,
        story.dates(),
        picture(story, look)
    )
}

/// Draws a story.
pub(in super::super) fn picture(story: &Story, look: &Look) -> String {
    let scale = Scale::new(&story.moments());
    let notes: Vec<String> = story.tracks.iter().map(|track| note(track, story)).collect();
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let label_width = widest(&mut story.tracks.iter().map(|track| label(track).chars().count())).max(11);
    let pod_note = pod_note(story);
    let note_width = widest(&mut notes.iter().chain(&pod_note).map(|note| note.chars().count()));
    // The name and the note give way before the drawing does.
    let width = look.columns.saturating_sub(label_width + note_width + 4).max(20);
    let canvas = Canvas {
        scale: &scale,
        width,
        glyphs: look.glyphs,
    };
    let mut rows: Vec<Row> = pod_note.map(|note| canvas.pod(story, note)).into_iter().collect();
    for (track, note) in story.tracks.iter().zip(notes) {
        rows.push(canvas.life(track, note));
        rows.extend(canvas.hooks(track));
    }
    let mut text = String::new();
    let (labels, axis) = canvas.axis();
    let mut plain = |label: &str, line: &str| {
        let _ = writeln!(text, "{}", format!("{label:<label_width$}  {line}").trim_end());
    };
    plain("", &labels);
    plain("", &axis);
    for row in rows {
        let drawing = paint(&row.cells, look.colour);
        plain(&row.label, format!("{drawing}  {}", row.note).trim_end());
    }
    let _ = write!(text, "\n{:label_width$}  {}\n", "", legend(story, look));
    text
}

fn label(track: &Track) -> String {
    match track.member.kind {
        "" => track.member.name.clone(),
        kind => format!("{} ({kind})", track.member.name),
    }
}

/// What is said behind a track.
fn note(track: &Track, story: &Story) -> String {
    let now = track.now(story.end).filter(|_| story.goes_on);
    let mut note = match (now, track.starts) {
        (Some(kind), _) => kind.as_str().to_owned(),
        (None, 0) if track.ending.is_empty() => "never started".into(),
        (None, _) => track.ending.clone(),
    };
    if track.starts > 1 {
        let _ = write!(note, ", {} starts", track.starts);
    }
    note
}

/// What is said of the pod as a whole, if anything happened to it.
fn pod_note(story: &Story) -> Option<String> {
    let message = &story.marks.first()?.message;
    let note = match message.strip_prefix("Asked to stop the pod with a grace of") {
        Some(grace) => format!("stop, grace{grace}"),
        None => message.clone(),
    };
    Some(note.chars().take(24).collect())
}

/// The drawing's width and what is needed to draw on it.
struct Canvas<'s> {
    scale: &'s Scale,
    width: usize,
    glyphs: &'static Glyphs,
}

impl Canvas<'_> {
    fn column(&self, moment: Micros) -> usize {
        self.at(self.scale.place(moment))
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to the width, which is small.
    fn at(&self, share: f64) -> usize {
        let last = self.width.saturating_sub(1);
        ((share.clamp(0.0, 1.0) * last as f64).round() as usize).min(last)
    }

    fn blank(&self) -> Vec<Cell> {
        vec![(' ', ""); self.width]
    }

    fn fill(&self, cells: &mut [Cell], span: &Span, glyph: char) {
        let (from, to) = (self.column(span.from), self.column(span.to));
        // The cell of the end is the next one's, unless that is all there is.
        for cell in cells.iter_mut().take(to.max(from + 1)).skip(from) {
            *cell = (glyph, span_colour(span.kind));
        }
    }

    fn put(&self, cells: &mut [Cell], mark: &Mark) {
        if let Some(cell) = cells.get_mut(self.column(mark.at)) {
            *cell = (self.glyphs.mark(mark.kind), mark_colour(mark.kind));
        }
    }

    /// The pod's own row: where it was asked to stop.
    fn pod(&self, story: &Story, note: String) -> Row {
        let mut cells = self.blank();
        for mark in &story.marks {
            self.put(&mut cells, mark);
        }
        Row {
            label: "pod".into(),
            cells,
            note,
        }
    }

    fn life(&self, track: &Track, note: String) -> Row {
        let mut cells = self.blank();
        // What is short is drawn over what is long, so that it can be seen at all.
        let mut spans: Vec<&Span> = track.spans.iter().collect();
        spans.sort_by_key(|span| (span.kind != SpanKind::BackOff, span.from));
        for span in spans {
            self.fill(&mut cells, span, self.glyphs.span(span.kind));
        }
        let mut marks: Vec<&Mark> = track.marks.iter().collect();
        marks.sort_by_key(|mark| mark.kind);
        for mark in marks {
            self.put(&mut cells, mark);
        }
        Row {
            label: label(track),
            cells,
            note,
        }
    }

    /// The rows of a container's handlers.
    fn hooks(&self, track: &Track) -> Vec<Row> {
        [SpanKind::PostStart, SpanKind::PreStop]
            .into_iter()
            .filter_map(|kind| {
                let hooks: Vec<&Span> = track.hooks.iter().filter(|hook| hook.kind == kind).collect();
                let last = hooks.last()?;
                let mut cells = self.blank();
                for hook in &hooks {
                    let glyph = match hook.failed {
                        true => self.glyphs.failed_hook,
                        false => self.glyphs.span(kind),
                    };
                    self.fill(&mut cells, hook, glyph);
                }
                let note = if last.failed {
                    "failed".into()
                } else {
                    span_text(last.to - last.from)
                };
                Some(Row {
                    label: format!("  {}", kind.as_str()),
                    cells,
                    note,
                })
            })
            .collect()
    }

    /// The axis: its times, and its line.
    fn axis(&self) -> (String, String) {
        let [first, line, tick] = self.glyphs.axis;
        let mut labels = vec![' '; self.width];
        let mut axis = vec![line; self.width];
        let mut free = 0;
        let ticks = self.scale.ticks(self.width / 11);
        for (number, mark) in ticks.iter().enumerate() {
            let at = self.at(mark.at);
            if number > 0 && at < free {
                continue;
            }
            axis[at] = if at == 0 { first } else { tick };
            let length = mark.label.chars().count();
            // The last one ends where the axis does.
            let begin = at.min(self.width.saturating_sub(length));
            if number > 0 && begin < free {
                continue;
            }
            for (place, letter) in labels.iter_mut().skip(begin).zip(mark.label.chars()) {
                *place = letter;
            }
            free = begin + length + 2;
        }
        for cut in self.scale.cuts() {
            let text = format!("{0} {1} {0}", self.glyphs.cut, cut.label);
            let begin = self.at(cut.at).saturating_sub(text.chars().count() / 2);
            for (place, letter) in axis.iter_mut().skip(begin).zip(text.chars()) {
                *place = letter;
            }
        }
        (labels.into_iter().collect(), axis.into_iter().collect())
    }
}

fn legend(story: &Story, look: &Look) -> String {
    let kinds = story.kinds();
    let mut words: Vec<(char, &str, &str)> = kinds
        .iter()
        .filter(|kind| !matches!(kind, SpanKind::PostStart | SpanKind::PreStop))
        .map(|kind| (look.glyphs.span(*kind), kind.as_str(), span_colour(*kind)))
        .collect();
    let seen = |kind| {
        story
            .tracks
            .iter()
            .any(|track| track.marks.iter().any(|mark| mark.kind == kind))
    };
    for (kind, word) in [
        (MarkKind::Success, "exit 0"),
        (MarkKind::Failure, "failed"),
        (MarkKind::Killed, "SIGKILL"),
        (MarkKind::Warning, "look"),
    ] {
        if seen(kind) {
            words.push((look.glyphs.mark(kind), word, mark_colour(kind)));
        }
    }
    let drawn = words.into_iter().map(|(glyph, word, colour)| {
        let glyph = paint(&[(glyph, colour)], look.colour);
        format!("{glyph} {word}")
    });
    drawn.collect::<Vec<_>>().join("   ")
}

/// Cells as text; a colour is set where it changes.
fn paint(cells: &[Cell], colour: bool) -> String {
    let mut text = String::new();
    let mut current = "";
    for (glyph, wanted) in cells {
        if colour && *wanted != current {
            let _ = write!(text, "\x1b[{}m", if wanted.is_empty() { "0" } else { wanted });
            current = wanted;
        }
        text.push(*glyph);
    }
    if colour && !current.is_empty() {
        text.push_str("\x1b[0m");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::story::tests::sample;
    use super::*;

    fn drawn(glyphs: &'static Glyphs, colour: bool) -> String {
        let look = Look {
            columns: 90,
            colour,
            glyphs,
        };
        draw(&sample(), &look)
    }

    #[test]
    fn each_container_and_each_handler_has_a_row() {
        let text = drawn(&UNICODE, false);
        let rows: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split("  ").find(|word| !word.is_empty()))
            .collect();
        for row in ["setup (init)", "web", "postStart", "preStop", "pod"] {
            assert!(rows.contains(&row), "{row} is not in\n{text}");
        }
        assert!(
            text.contains("signal 9") && text.contains("exit 0") && text.contains("failed"),
            "{text}"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for line in drawn(&UNICODE, false).lines() {
            assert!(line.chars().count() <= 90, "{line}");
        }
    }

    #[test]
    fn a_c_locale_gets_ascii_alone() {
        assert!(drawn(&ASCII, false).is_ascii());
    }

    #[test]
    fn colours_change_nothing_but_the_colour() {
        let coloured = drawn(&UNICODE, true);
        assert!(coloured.contains("\x1b[32m"));
        let mut bare = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\x1b') {
            bare.push_str(before);
            rest = after.split_once('m').map_or("", |(_, after)| after);
        }
        bare.push_str(rest);
        let trimmed: Vec<&str> = bare.lines().map(str::trim_end).collect();
        assert_eq!(trimmed, drawn(&UNICODE, false).lines().collect::<Vec<_>>());
    }

    #[test]
    fn runs_too_short_for_a_cell_are_seen() {
        let story = sample();
        let scale = Scale::new(&story.moments());
        let canvas = Canvas {
            scale: &scale,
            width: 20,
            glyphs: &UNICODE,
        };
        let row = canvas.life(&story.tracks[1], String::new());
        let glyphs: String = row.cells.iter().map(|(glyph, _)| *glyph).collect();
        assert!(
            glyphs.contains('█') && glyphs.contains('▒') && glyphs.contains('†'),
            "{glyphs}"
        );
    }
}
