//! Measures Tenure beside its peers: start it through `scripts/bench`.
//!
//! Every round runs each subject once, one after the other, so that all of them meet the same machine; medians of one
//! run can be compared with each other, those of different runs only by their ratios. The bench is the reaper of what
//! the runtimes leave behind and waits for processes, never for a length of time, save where that is what is measured.
//!
//! ```text
//! Options -> subjects -> oci::{run, life, exec}   --\
//!                    \-> pods::{life, rest, reaction} --> Report -> table or JSON
//! ```

mod measure;
mod oci;
mod options;
mod pods;
mod report;

use anyhow::{Context, Result};

use crate::options::Options;
use crate::report::Report;

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    anyhow::ensure!(
        nix::unistd::geteuid().is_root(),
        "the bench makes containers and needs root"
    );
    nix::sys::prctl::set_child_subreaper(true).context("becoming the reaper of containers")?;
    let mut report = Report::default();
    let place = measure::Place::new()?;
    let sections: [(&str, Section); 6] = [
        ("run", |options, place, report| {
            oci::run(options, place, report, false)
        }),
        ("run-alone", |options, place, report| {
            oci::run(options, place, report, true)
        }),
        ("life", oci::life),
        ("exec", oci::exec),
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
