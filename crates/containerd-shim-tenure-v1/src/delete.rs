//! `delete`: what a shim that has died left behind.

use std::path::PathBuf;

use prost::Message;
use tenure_runtime::{ContainerId, Runtime, RuntimeOptions};
use tenure_supervise::ProcessExit;

use crate::arguments::Arguments;
use crate::launcher::clean_up;
use crate::proto::Timestamp;
use crate::proto::task::DeleteResponse;
use crate::settings::Settings;
use crate::{info, log, start};

/// Kills what lives of a container, removes all of it, and prints how it ended: by SIGKILL.
///
/// containerd calls it also for containers that never were, and when it could not reach their shim.
pub(crate) fn delete(arguments: &Arguments) -> Result<(), String> {
    let bundle = match &arguments.bundle {
        Some(bundle) => bundle.clone(),
        None => std::env::current_dir().map_err(|error| format!("the working directory: {error}"))?,
    };
    let bundle: PathBuf = std::path::absolute(&bundle).unwrap_or(bundle);
    let _log = log::Log::open(&bundle, arguments.debug).map_err(|error| format!("the log: {error}"))?;
    let settings = Settings::load(&bundle, &arguments.namespace);
    let runtime = Runtime::new(&settings.root, RuntimeOptions::default());
    let id: ContainerId = arguments.id.parse().map_err(|error| format!("{error}"))?;
    clean_up(&runtime, &id, &bundle).map_err(|error| format!("{error}"))?;
    start::remove_dead_socket(arguments, &bundle);
    let response = DeleteResponse {
        pid: 0,
        exit_status: crate::task::status_of(ProcessExit::Signal(9)),
        exited_at: Some(Timestamp::now()),
    };
    info::print(&response.encode_to_vec())
}
