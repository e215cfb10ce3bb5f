//! `tenure create`.

use std::path::PathBuf;

use clap::Args;
use tenure_runtime::CreateRequest;

use super::peek::Peek;
use crate::context::{Context, absolute};
use crate::exit::{Code, CommandError};

/// What `create` and `run` share.
#[derive(Debug, Args)]
pub(crate) struct ContainerOptions {
    /// The bundle: a folder with config.json
    #[arg(
        short,
        long,
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true
    )]
    pub(crate) bundle: PathBuf,
    /// Unix socket that receives the terminal's master end
    #[arg(long, value_name = "SOCKET")]
    pub(crate) console_socket: Option<PathBuf>,
    /// Write the pid of the container's init to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// Unix socket that receives init's pidfd
    #[arg(long, value_name = "SOCKET")]
    pub(crate) pidfd_socket: Option<PathBuf>,
    /// Do not use pivot_root (for a root file system on a ramdisk)
    #[arg(long)]
    pub(crate) no_pivot: bool,
    /// Stay in the caller's session keyring
    #[arg(long)]
    pub(crate) no_new_keyring: bool,
    /// Pass N further descriptors, from 3 on
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) preserve_fds: u32,
}

/// Sets up a container; its program waits for `start`
///
/// A bundle is a folder with a config.json of the OCI runtime specification and, usually, the root file system beside it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tenure create --bundle ./hello --pid-file /run/hello.pid hello && tenure start hello"
)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    options: ContainerOptions,
    /// The container's name: letters, digits, `_+.-`
    #[arg(value_name = "ID")]
    id: String,
}

impl ContainerOptions {
    /// The runtime's request for these options.
    ///
    /// # Errors
    /// When the working directory that a relative path starts from is gone.
    pub(crate) fn request(&self, detach: bool) -> Result<CreateRequest, CommandError> {
        Ok(CreateRequest {
            bundle: absolute(&self.bundle)?,
            pid_file: self.pid_file.as_deref().map(absolute).transpose()?,
            pidfd_socket: self.pidfd_socket.as_deref().map(absolute).transpose()?,
            console_socket: self.console_socket.as_deref().map(absolute).transpose()?,
            console_fd: None,
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
            preserve_fds: self.preserve_fds,
            detach,
        })
    }
}

/// Creates a container.
///
/// # Errors
/// When it cannot be created; nothing is left of it then.
pub(crate) fn execute(context: &Context, args: &CreateArgs) -> Result<Code, CommandError> {
    tenure_runtime::protect_own_binary()?;
    let id = super::container_id(&args.id)?;
    let request = args.options.request(true)?;
    let peek = Peek::at(&request.bundle);
    peek.lifecycle()?;
    peek.check_console(args.options.console_socket.is_some(), true)?;
    context.runtime()?.create(&id, &request)?;
    Ok(Code::SUCCESS)
}
