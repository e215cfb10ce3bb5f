//! The picture as SVG, for documents: light and dark, with a title on everything that can be pointed at.

use std::fmt::Write as _;

use super::scale::{Scale, span_text};
use super::story::{Mark, MarkKind, Micros, Span, SpanKind, Story, Track};

/// Sizes in user units; the picture scales.
const WIDTH: f64 = 1000.0;
const MARGIN: f64 = 24.0;
const TOP: f64 = 92.0;
const ROW: f64 = 34.0;
const BAR: f64 = 18.0;
const HOOK_ROW: f64 = 16.0;
const HOOK_BAR: f64 = 6.0;
/// A character of the labels.
const LETTER: f64 = 7.3;
/// The least width of a bar that can be seen.
const LEAST: f64 = 2.0;

/// Colours come from classes. No variables: many readers of SVG do not know them.
const STYLE: &str = "\
svg{font:13px system-ui,'Segoe UI','DejaVu Sans',sans-serif}\
.ground{fill:#fff}text{fill:#1c2430}.dim{fill:#66717f;font-size:11px}.title{font-size:17px;font-weight:600}\
.grid{stroke:#e3e7ec}.created{fill:#b8c2cf}.running{fill:#2f9e6e}.terminating{fill:#e8a13a}.back-off{fill:#c9d0d9}\
.postStart{fill:#3a8fd6}.preStop{fill:#9a63c9}.failed{fill:none;stroke:#d5433f;stroke-width:1.5}\
.good{fill:#2f9e6e}.bad{fill:#d5433f}.halo{stroke:#fff;stroke-width:2}.stop{stroke:#d5433f;stroke-dasharray:3 3}\
@media(prefers-color-scheme:dark){.ground{fill:#151a20}text{fill:#e6ebf1}.dim{fill:#95a1b0}.grid{stroke:#2c343e}\
.created{fill:#566273}.running,.good{fill:#38b27d}.terminating{fill:#d8922f}.back-off{fill:#3a444f}\
.postStart{fill:#4d9fe3}.preStop{fill:#ad7bd8}.bad{fill:#ea5f5b}.failed,.stop{stroke:#ea5f5b}.halo{stroke:#151a20}}";

/// Draws a story.
pub(in super::super) fn draw(story: &Story) -> String {
    let scale = Scale::new(&story.moments());
    let height = TOP + rows_height(story) + 56.0;
    let canvas = Canvas {
        story,
        scale: &scale,
        left: left(story),
        bottom: TOP + rows_height(story),
    };
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         height=\"{height:.0}\" role=\"img\">\n<title>Pod {}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"100%\" height=\"100%\"/>",
        escape(&story.name)
    );
    canvas.heading(&mut out);
    canvas.grid(&mut out);
    let mut y = TOP;
    for track in &story.tracks {
        canvas.track(track, y, &mut out);
        y += track_height(track);
    }
    canvas.cuts(&mut out);
    canvas.pod_marks(&mut out);
    canvas.legend(&mut out);
    out.push_str("</svg>\n");
    out
}

fn hook_kinds(track: &Track) -> impl Iterator<Item = SpanKind> + '_ {
    [SpanKind::PostStart, SpanKind::PreStop]
        .into_iter()
        .filter(|kind| track.hooks.iter().any(|hook| hook.kind == *kind))
}

fn track_height(track: &Track) -> f64 {
    ROW + HOOK_ROW * hook_kinds(track).count() as f64
}

fn rows_height(story: &Story) -> f64 {
    story.tracks.iter().map(track_height).sum()
}

fn left(story: &Story) -> f64 {
    let longest = story
        .tracks
        .iter()
        .map(|track| track.member.name.chars().count() + track.member.kind.len())
        .max();
    MARGIN + (LETTER * longest.unwrap_or(0) as f64).clamp(70.0, 260.0) + 16.0
}

struct Canvas<'s> {
    story: &'s Story,
    scale: &'s Scale,
    left: f64,
    bottom: f64,
}

impl Canvas<'_> {
    fn at(&self, share: f64) -> f64 {
        self.left + share * (WIDTH - MARGIN - self.left)
    }

    fn x(&self, moment: Micros) -> f64 {
        self.at(self.scale.place(moment))
    }

    fn heading(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "<text class=\"title\" x=\"{MARGIN}\" y=\"36\">{}</text>\n\
             <text class=\"dim\" x=\"{MARGIN}\" y=\"55\">{}</text>",
            escape(&self.story.name),
            self.story.dates()
        );
    }

    fn grid(&self, out: &mut String) {
        let mut free = 0.0;
        for tick in self.scale.ticks(9) {
            let x = self.at(tick.at);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>",
                TOP - 8.0,
                self.bottom
            );
            if x >= free {
                let _ = writeln!(
                    out,
                    "<text class=\"dim\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    TOP - 14.0,
                    tick.label
                );
                free = x + LETTER * tick.label.len() as f64 + 6.0;
            }
        }
    }

    fn track(&self, track: &Track, y: f64, out: &mut String) {
        let middle = y + ROW / 2.0;
        let _ = writeln!(
            out,
            "<text x=\"{MARGIN}\" y=\"{:.1}\">{}{}</text>",
            middle + 4.5,
            escape(&track.member.name),
            match track.member.kind {
                "" => String::new(),
                kind => format!(" <tspan class=\"dim\">{kind}</tspan>"),
            }
        );
        for span in &track.spans {
            let thickness = if span.kind == SpanKind::BackOff { 4.0 } else { BAR };
            self.bar(span, middle, thickness, out);
        }
        for mark in &track.marks {
            self.mark(mark, middle, out);
        }
        for (number, kind) in hook_kinds(track).enumerate() {
            let middle = y + ROW + HOOK_ROW * (number as f64 + 0.25);
            let _ = writeln!(
                out,
                "<text class=\"dim\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                self.left - 10.0,
                middle + 3.5,
                kind.as_str()
            );
            for hook in track.hooks.iter().filter(|hook| hook.kind == kind) {
                self.bar(hook, middle, HOOK_BAR, out);
            }
        }
    }

    fn bar(&self, span: &Span, middle: f64, thickness: f64, out: &mut String) {
        let from = self.x(span.from);
        let width = (self.x(span.to) - from).max(LEAST);
        let radius = (width / 2.0).min(thickness / 2.0).min(4.0);
        let outcome = if span.failed { ", failed" } else { "" };
        let place = format!(
            "x=\"{from:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{thickness}\" rx=\"{radius:.1}\"",
            middle - thickness / 2.0
        );
        let _ = writeln!(
            out,
            "<g><title>{} for {}{outcome}</title><rect class=\"{}\" {place}/>{}</g>",
            span.kind.as_str(),
            span_text(span.to - span.from),
            span.kind.as_str(),
            match span.failed {
                true => format!("<rect class=\"failed\" {place}/>"),
                false => String::new(),
            }
        );
    }

    fn mark(&self, mark: &Mark, y: f64, out: &mut String) {
        let x = self.x(mark.at);
        let shape = match mark.kind {
            MarkKind::Success => format!("<circle class=\"good halo\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\"/>"),
            MarkKind::Failure => format!("<circle class=\"bad halo\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\"/>"),
            MarkKind::Killed => format!(
                "<rect class=\"bad\" x=\"{:.1}\" y=\"{:.1}\" width=\"3\" height=\"{}\" rx=\"1.5\"/>",
                x - 1.5,
                y - BAR / 2.0 - 5.0,
                BAR + 10.0
            ),
            MarkKind::Warning => format!(
                "<path class=\"terminating halo\" d=\"M{:.1} {:.1}l6 11h-12z\"/>",
                x,
                y - BAR / 2.0 - 5.0
            ),
        };
        let _ = writeln!(out, "<g><title>{}</title>{shape}</g>", escape(&mark.message));
    }

    /// Where a stretch is cut short, and how long it truly is.
    fn cuts(&self, out: &mut String) {
        for cut in self.scale.cuts() {
            let x = self.at(cut.at);
            let _ = writeln!(
                out,
                "<path class=\"ground\" d=\"M{:.1} {:.1}l4 -2 V{:.1}l-4 2z\"/>\
                 <text class=\"dim\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">\u{2248} {}</text>",
                x - 2.0,
                TOP - 4.0,
                self.bottom,
                TOP - 30.0,
                cut.label
            );
        }
    }

    /// A line through all rows where the pod was asked to stop.
    fn pod_marks(&self, out: &mut String) {
        for mark in &self.story.marks {
            let x = self.x(mark.at);
            let _ = writeln!(
                out,
                "<g><title>{}</title><line class=\"stop\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/></g>",
                escape(&mark.message),
                TOP - 6.0,
                self.bottom
            );
        }
    }

    fn legend(&self, out: &mut String) {
        let y = self.bottom + 30.0;
        let mut x = self.left;
        for kind in self.story.kinds() {
            let word = kind.as_str();
            let _ = writeln!(
                out,
                "<rect class=\"{word}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" rx=\"3\"/>\
                 <text class=\"dim\" x=\"{:.1}\" y=\"{y:.1}\">{word}</text>",
                y - 10.0,
                x + 18.0
            );
            x += 18.0 + LETTER * word.len() as f64 + 18.0;
        }
    }
}

/// Text as XML has it; what XML cannot hold is left out.
fn escape(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .fold(String::new(), |mut out, letter| {
            match letter {
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '&' => out.push_str("&amp;"),
                '"' => out.push_str("&quot;"),
                letter => out.push(letter),
            }
            out
        })
}

#[cfg(test)]
mod tests {
    use super::super::story::tests::sample;
    use super::*;

    #[test]
    fn every_span_is_a_bar_with_a_title() {
        let picture = draw(&sample());
        for title in [
            "running for 2.9 s",
            "terminating for 2 s",
            "preStop for 1 s, failed",
            "postStart for 1 s",
        ] {
            assert!(
                picture.contains(&format!("<title>{title}</title>")),
                "{title} is not in\n{picture}"
            );
        }
        assert_eq!(picture.matches("<g>").count(), picture.matches("</g>").count());
    }

    #[test]
    fn names_and_messages_cannot_break_out() {
        let mut story = sample();
        story.tracks[1].marks[0].message = "</title><script>\u{1b}&\"".into();
        let picture = draw(&story);
        assert!(!picture.contains("<script>") && picture.contains("&lt;/title&gt;&lt;script&gt;&amp;&quot;"));
    }
}
