//! Measures Tenure beside its peers: start it through `scripts/bench`.
//!
//! Every round runs each subject once, one after the other, so that all of them meet the same machine; medians of one
//! run can be compared with each other, those of different runs only by their ratios. The bench is the reaper of what
//! the runtimes leave behind and waits for processes, never for a length of time, save where that is what is measured.
//!
//! ```text
//! Options -> subjects -> oci::{run, life, state, ...}, peak::all --\
//!                    \-> pods::{life, rest, reaction} -------------> Report -> table or JSON
//! ```

mod measure;
mod oci;
mod options;
mod peak;
mod pods;
mod report;
mod seccomp;

use anyhow::{Context, Result};

use crate::options::Options;
use crate::report::Report;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq(peak::ARGUMENT).is_some() {
        return peak::tell(arguments);
    }
    let options = Options::parse(arguments)?;
    anyhow::ensure!(
        nix::unistd::geteuid().is_root(),
        "the bench makes containers and needs root"
    );
    nix::sys::prctl::set_child_subreaper(true).context("becoming the reaper of containers")?;
    let mut report = Report::default();
    let place = measure::Place::new()?;
    let sections: [(&str, Section); 11] = [
        ("run", oci::run),
        ("run-alone", oci::run_alone),
        ("run-seccomp", oci::run_filtered),
        ("run-limits", oci::run_limited),
        ("life", oci::life),
        ("exec", oci::exec),
        ("state", oci::state),
        ("kill", oci::kill),
        ("rss", peak::all),
        ("pod", pods::life),
        ("rest", pods::rest),
    ];
    for (name, section) in sections {
        if options.wants(name) {
            eprintln!("bench: {name}");
            section(&options, &place, &mut report).with_context(|| format!("section {name}"))?;
        }
    }
    if options.json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(())
}

/// Measures one thing and adds it to the report.
type Section = fn(&Options, &measure::Place, &mut Report) -> Result<()>;
