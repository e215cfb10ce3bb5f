//! `tenure checkpoint` and `tenure restore`: refused, with every option of runc understood.
//!
//! CRIU restores a process only under a runtime that it knows to call back; this program's own init is none yet.

use std::path::PathBuf;

use clap::Args;

use super::create::ContainerOptions;
use crate::context::Context;
use crate::exit::{Code, CommandError};

/// What `checkpoint` and `restore` share.
#[derive(Debug, Args)]
struct CriuOptions {
    /// Folder of the saved container
    #[arg(long, value_name = "DIR")]
    image_path: Option<PathBuf>,
    /// Folder for CRIU's own files and logs
    #[arg(long, value_name = "DIR")]
    work_path: Option<PathBuf>,
    /// Folder of an earlier checkpoint
    #[arg(long, value_name = "DIR")]
    parent_path: Option<PathBuf>,
    /// Open TCP connections, too
    #[arg(long)]
    tcp_established: bool,
    /// Skip TCP connections that are just being made
    #[arg(long)]
    tcp_skip_in_flight: bool,
    /// Link remaps, too
    #[arg(long)]
    link_remap: bool,
    /// External Unix sockets, too
    #[arg(long)]
    ext_unix_sk: bool,
    /// Shell jobs, too
    #[arg(long)]
    shell_job: bool,
    /// Load memory only when it is used
    #[arg(long)]
    lazy_pages: bool,
    /// File locks, too
    #[arg(long)]
    file_locks: bool,
    /// How cgroups are treated: soft, full, strict or ignore
    #[arg(long, value_name = "MODE")]
    manage_cgroups_mode: Option<String>,
    /// Make these namespaces empty
    #[arg(long, value_name = "NAMESPACE")]
    empty_ns: Vec<String>,
    /// Deduplicate the saved memory
    #[arg(long)]
    auto_dedup: bool,
}

/// Saves a container to disk (not supported by this build)
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    #[command(flatten)]
    criu: CriuOptions,
    /// Let the container run on
    #[arg(long)]
    leave_running: bool,
    /// Address of a page server
    #[arg(long, value_name = "ADDRESS:PORT")]
    page_server: Option<String>,
    /// Only save memory, and let the container run on
    #[arg(long)]
    pre_dump: bool,
    /// Descriptor that is written to when lazy pages can be served
    #[arg(long, value_name = "FD")]
    status_fd: Option<i32>,
    /// The container
    #[arg(value_name = "ID")]
    id: String,
}

/// Brings a saved container back (not supported by this build)
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    criu: CriuOptions,
    #[command(flatten)]
    options: ContainerOptions,
    /// Return once the container runs
    #[arg(short, long)]
    detach: bool,
    /// Accepted for runc's sake
    #[arg(long)]
    no_subreaper: bool,
    /// SELinux context of mounts
    #[arg(long, value_name = "CONTEXT")]
    lsm_mount_context: Option<String>,
    /// AppArmor profile or SELinux label
    #[arg(long, value_name = "PROFILE")]
    lsm_profile: Option<String>,
    /// The new container's name
    #[arg(value_name = "ID")]
    id: String,
}

/// Refuses to save a container, which it leaves alone.
///
/// # Errors
/// Always: when there is no such container, or because checkpoints are not supported.
pub(crate) fn checkpoint(context: &Context, args: &CheckpointArgs) -> Result<Code, CommandError> {
    let id = super::container_id(&args.id)?;
    context.runtime()?.state(&id)?;
    Err(unsupported("checkpoint"))
}

/// Refuses to bring a container back.
///
/// # Errors
/// Always.
pub(crate) fn restore(args: &RestoreArgs) -> Result<Code, CommandError> {
    super::container_id(&args.id)?;
    Err(unsupported("restore"))
}

fn unsupported(operation: &str) -> CommandError {
    let criu = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|dir| dir.is_absolute() && dir.join("criu").is_file())
    });
    let reason = if criu { "" } else { ", and CRIU is not installed" };
    CommandError::message(format!(
        "{operation} is not supported: this build cannot save and restore containers{reason}"
    ))
}
