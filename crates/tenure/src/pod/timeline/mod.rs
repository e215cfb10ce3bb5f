//! `tenure pod timeline`: a pod's life as a picture.
//!
//! ```text
//! events.jsonl ──▶ Story: a track per container ──▶ Scale: time to places ──▶ text
//!                                            │                            └─▶ SVG
//!                                            └──────────────────────────────▶ Chrome trace events
//! ```

mod scale;
mod story;
pub(super) mod svg;
pub(super) mod text;
mod trace;

use std::io::{self, IsTerminal};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tenure_engine::{Observed, Supervisor, observe};

pub(super) use self::scale::span_text;
pub(super) use self::story::{Member, Story};
pub(super) use self::text::Look;
use crate::context::Context;
use crate::exit::{Code, CommandError};
use crate::output;

/// Draws a pod's life
///
/// A line for each container: created, running, terminating, waiting for the next start; below it its handlers. The
/// picture is drawn from the event log, of a running pod until now. Long stretches without news are cut short.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure pod timeline web\n  tenure pod timeline web -o svg > web.svg\n  \
                  tenure pod timeline web -o json > web.json    for ui.perfetto.dev or chrome://tracing"
)]
pub(crate) struct TimelineArgs {
    /// The pod
    #[arg(value_name = "NAME")]
    name: String,
    /// The form of the picture
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// Columns of the text [default: the terminal's, else 100]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..=1000))]
    width: Option<u16>,
}

/// `-o`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines of text, coloured on a terminal unless NO_COLOR is set
    Text,
    /// A picture for documents
    Svg,
    /// Chrome trace events
    Json,
}

/// Draws a pod's life.
///
/// # Errors
/// When there is no such pod, or nothing has happened to it yet.
pub(crate) fn execute(context: &Context, args: &TimelineArgs) -> Result<Code, CommandError> {
    let observed = observe(&context.root()?, &args.name)?;
    let events = observed.dir.read_events()?;
    let until = match observed.supervisor {
        Supervisor::Alive { .. } => Some(jiff::Timestamp::now()),
        Supervisor::Ended | Supervisor::Dead => None,
    };
    let story = Story::tell(&observed.name, &members(&observed), &events, until)
        .ok_or_else(|| CommandError::message(format!("nothing has happened to pod {} yet", observed.name)))?;
    let picture = match args.output {
        Format::Text => text::draw(&story, &look(args.width)),
        Format::Svg => svg::draw(&story),
        Format::Json => {
            let trace = trace::events(&story);
            serde_json::to_string(&trace).context("cannot write the trace as JSON")? + "\n"
        }
    };
    output::print(&picture)
}

/// The pod's containers in the order of the manifest, init containers first.
fn members(observed: &Observed) -> Vec<Member> {
    let spec = &observed.object["spec"];
    ["initContainers", "containers"]
        .iter()
        .flat_map(|field| {
            let entries = spec[field].as_array().map(Vec::as_slice).unwrap_or_default();
            entries.iter().filter_map(|entry| {
                Some(Member {
                    name: entry["name"].as_str()?.to_owned(),
                    kind: kind(*field == "initContainers", entry["restartPolicy"] == "Always"),
                })
            })
        })
        .collect()
}

/// What stands behind a container's name.
pub(super) const fn kind(is_init: bool, restarts_always: bool) -> &'static str {
    match (is_init, restarts_always) {
        (true, true) => "sidecar",
        (true, false) => "init",
        (false, _) => "",
    }
}

/// How text looks where it goes.
pub(super) fn look(width: Option<u16>) -> Look {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let size = rustix::termios::tcgetwinsize(stdout).ok().map(|size| size.ws_col);
    let word = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = word("LC_ALL")
        .or_else(|| word("LC_CTYPE"))
        .or_else(|| word("LANG"));
    // A C locale on a terminal draws no boxes; a file is read by anything, and UTF-8 is what that takes.
    let plain = terminal && !locale.is_some_and(|name| name.to_ascii_lowercase().contains("utf"));
    Look {
        columns: width
            .or(size.filter(|columns| *columns >= 40))
            .unwrap_or(100)
            .into(),
        colour: terminal && word("NO_COLOR").is_none(),
        glyphs: if plain { &text::ASCII } else { &text::UNICODE },
    }
}
