//! `tenure list`.

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tenure_runtime::ContainerState;

use crate::context::Context;
use crate::exit::{Code, CommandError};
use crate::output;

/// How a list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns.
    Table,
    /// JSON.
    Json,
}

/// Lists containers
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tenure list\n  tenure list --format json\n  tenure list -q")]
pub(crate) struct ListArgs {
    /// table or json
    #[arg(short, long, default_value = "table")]
    format: Format,
    /// Only ids, one a line
    #[arg(short, long)]
    quiet: bool,
}

/// Lists the containers of this root.
///
/// # Errors
/// When the root exists and cannot be read.
pub(crate) fn execute(context: &Context, args: &ListArgs) -> Result<Code, CommandError> {
    let containers = context.runtime()?.list()?;
    if args.quiet {
        let ids: String = containers
            .iter()
            .map(|container| format!("{}\n", container.id))
            .collect();
        return output::print(&ids);
    }
    match args.format {
        Format::Json => {
            let mut text = serde_json::to_string(&containers).context("cannot write the list as JSON")?;
            text.push('\n');
            output::print(&text)
        }
        Format::Table => output::print(&table(&containers)),
    }
}

/// runc's columns.
fn table(containers: &[ContainerState]) -> String {
    let heading = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
    let mut rows = vec![heading.map(String::from).to_vec()];
    rows.extend(containers.iter().map(|container| {
        vec![
            container.id.to_string(),
            container.pid.to_string(),
            container.status.to_string(),
            container.bundle.display().to_string(),
            container.created.to_string(),
            container.owner.to_string(),
        ]
    }));
    output::table(&rows)
}
