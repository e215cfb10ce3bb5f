//! `tenure ps`.

use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::list::Format;
use crate::context::Context;
use crate::exit::{Code, CommandError};
use crate::output;

/// Lists a container's processes
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure ps hello\n  tenure ps hello -o pid,comm\n  tenure ps --format json hello"
)]
pub(crate) struct PsArgs {
    /// table or json
    #[arg(short, long, default_value = "table")]
    format: Format,
    /// The container
    #[arg(value_name = "ID")]
    id: String,
    /// Options for ps(1) [default: -ef]
    #[arg(value_name = "PS-OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Lists the processes in a container's cgroup: pids as JSON, or the host's ps(1) with the other lines left out.
///
/// # Errors
/// When there is no such container, or ps(1) is missing or fails.
pub(crate) fn execute(context: &Context, args: &PsArgs) -> Result<Code, CommandError> {
    let id = super::container_id(&args.id)?;
    let pids = context.runtime()?.processes(&id)?;
    match args.format {
        Format::Json => {
            let text = serde_json::to_string(&pids).context("cannot write the list as JSON")?;
            output::print(&format!("{text}\n"))
        }
        Format::Table => {
            let listing = run_ps(&args.options)?;
            let lines = select(&listing, &pids)
                .ok_or_else(|| anyhow!("ps printed no PID column; options must keep it"))?;
            output::print(&lines)
        }
    }
}

/// The output of the host's ps(1).
fn run_ps(options: &[String]) -> anyhow::Result<String> {
    let default = ["-ef".to_owned()];
    let options = if options.is_empty() { &default } else { options };
    let out = Command::new("ps")
        .args(options)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run ps")?;
    if !out.status.success() {
        return Err(anyhow!("ps {}: {}", options.join(" "), out.status));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// The heading and the lines of those pids; `None` without a PID column.
fn select(listing: &str, pids: &[i32]) -> Option<String> {
    let mut lines = listing.lines();
    let heading = lines.next()?;
    let column = heading.split_whitespace().position(|title| title == "PID")?;
    let mut text = format!("{heading}\n");
    for line in lines {
        let pid = line
            .split_whitespace()
            .nth(column)
            .and_then(|cell| cell.parse().ok());
        if pid.is_some_and(|pid: i32| pids.contains(&pid)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_lines_are_shown() {
        let listing = "UID PID CMD\nroot 1 init\nroot 42 sleep 42\nroot 7 x 42\n";
        assert_eq!(
            select(listing, &[42]).as_deref(),
            Some("UID PID CMD\nroot 42 sleep 42\n")
        );
        assert_eq!(select("CMD\nx\n", &[42]), None);
    }
}
