//! `tenure pod logs`.

use std::io::{self, IsTerminal};

use anyhow::Context as _;
use clap::Args;
use tenure_engine::{EngineError, Observed, Store, observe};
use tenure_lifecycle::ContainerStatus;
use tenure_supervise::log::LogReader;

use super::kubernetes;
use super::lines::{Lines, Source};
use super::watch::{PodWatch, is_over};
use crate::context::Context;
use crate::exit::{Code, CommandError};
use crate::output;

/// Shows what the containers of a pod wrote
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure pod logs web\n  tenure pod logs web -c app -f --tail 20\n  \
                        tenure pod logs web -c app --previous    the instance before the last restart"
)]
pub(crate) struct LogsArgs {
    /// The pod
    #[arg(value_name = "NAME")]
    name: String,
    /// Only this container [default: all, in the order of time]
    #[arg(short, long)]
    container: Option<String>,
    /// Go on until the pod has ended, over restarts too
    #[arg(short, long)]
    follow: bool,
    /// The instance before the last restart
    #[arg(short, long, conflicts_with = "follow")]
    previous: bool,
    /// The time before each line
    #[arg(long)]
    timestamps: bool,
    /// Only the last N lines of each container
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
}

/// Shows what the containers of a pod wrote, stdout and stderr.
///
/// # Errors
/// When there is no such pod, container or earlier instance, or a log cannot be read.
pub(crate) fn execute(context: &Context, args: &LogsArgs) -> Result<Code, CommandError> {
    let root = context.root()?;
    let dir = Store::new(&root).open(&args.name)?;
    let mut shown = Shown::default();
    let mut lines: Option<Lines> = None;
    loop {
        let mut watch = args
            .follow
            .then(|| PodWatch::new(&dir, &[]))
            .transpose()
            .with_context(|| format!("cannot watch pod {}", args.name))?;
        let observed = match observe(&root, &args.name) {
            // Deleted while followed: what there was has been shown.
            Err(EngineError::NotFound { .. }) if lines.is_some() => return Ok(Code::SUCCESS),
            observed => observed?,
        };
        let lines = lines.get_or_insert_with(|| Lines::new(is_prefixed(args, &observed), args.timestamps));
        shown.open_new(args, &observed)?;
        if let Some(watch) = &mut watch {
            let files = shown
                .sources
                .iter()
                .map(|source| source.path.as_path())
                .collect::<Vec<_>>();
            *watch =
                PodWatch::new(&dir, &files).with_context(|| format!("cannot watch pod {}", args.name))?;
            watch.hold(&observed);
        }
        loop {
            let printed = lines.print_all(&mut shown.sources);
            if is_broken_pipe(&printed) {
                return Ok(Code::SUCCESS);
            }
            printed.with_context(|| format!("cannot show the logs of pod {}", args.name))?;
            let Some(watch) = watch.as_mut().filter(|_| !is_over(&observed)) else {
                output::settle(lines.finish(&mut shown.sources))?;
                return Ok(Code::SUCCESS);
            };
            watch
                .wait(None)
                .with_context(|| format!("cannot watch pod {}", args.name))?;
            if shown.is_outdated(&root, &args.name) {
                break;
            }
        }
    }
}

/// The rule of the foreground run: names before the lines when there is more than one app container or, on a
/// terminal, more than one container at all.
fn is_prefixed(args: &LogsArgs, observed: &Observed) -> bool {
    let all = observed
        .published
        .as_ref()
        .map_or(0, |published| published.status.containers.len());
    let apps = all.saturating_sub(kubernetes::init_count(observed));
    args.container.is_none() && (apps > 1 || (all > 1 && io::stdout().is_terminal()))
}

fn is_broken_pipe(result: &io::Result<()>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::BrokenPipe)
}

/// The instances whose logs are being shown.
#[derive(Debug, Default)]
struct Shown {
    sources: Vec<Source>,
    /// For each published container the restart count from which on nothing is shown yet.
    next: Vec<u32>,
    over: bool,
}

impl Shown {
    /// Opens the logs of instances that have come since the last time, and lets go of the ended ones that are shown.
    fn open_new(&mut self, args: &LogsArgs, observed: &Observed) -> Result<(), CommandError> {
        self.over = is_over(observed);
        let containers = observed
            .published
            .as_ref()
            .map_or(&[][..], |published| published.status.containers.as_slice());
        let wanted =
            |container: &ContainerStatus| args.container.as_ref().is_none_or(|name| *name == container.name);
        if let Some(name) = &args.container
            && observed.published.is_some()
            && !containers.iter().any(wanted)
        {
            return Err(super::no_container(&args.name, name, containers));
        }
        let is_first = self.next.is_empty();
        self.next.resize(containers.len(), 0);
        for (container, next) in containers.iter().zip(&mut self.next) {
            if !wanted(container) || !container.ever_created {
                continue;
            }
            let last = container.restart_count;
            let range = match (args.previous, is_first) {
                (true, _) if last == 0 => continue,
                (true, _) => last - 1..=last - 1,
                (false, true) => last..=last,
                (false, false) => *next..=last,
            };
            for restart_count in range {
                let path = observed.dir.log(&container.name, restart_count);
                let tail = args.tail.filter(|_| is_first);
                let reader = LogReader::open(&path, tail)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                self.sources
                    .push(Source::new(container.name.clone(), path, reader));
            }
            *next = last.saturating_add(1);
        }
        if args.previous && self.sources.is_empty() {
            let of = args.container.as_ref().map_or_else(
                || format!("pod {}: no container", args.name),
                |name| format!("container {name} of pod {}", args.name),
            );
            return Err(CommandError::message(format!(
                "{of} has no instance before the current one"
            )));
        }
        Ok(())
    }

    /// True when the pod has more instances than are shown, or is over.
    fn is_outdated(&self, root: &std::path::Path, name: &str) -> bool {
        let Ok(observed) = observe(root, name) else {
            return true;
        };
        let containers = observed
            .published
            .iter()
            .flat_map(|published| &published.status.containers);
        is_over(&observed) != self.over
            || containers.enumerate().any(|(index, container)| {
                let next = self.next.get(index).copied().unwrap_or(0);
                container.ever_created && container.restart_count >= next
            })
    }
}
