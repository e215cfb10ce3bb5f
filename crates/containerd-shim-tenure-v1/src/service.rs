//! The task API: which method does what. v2 and v3 are the same under two names.

use std::rc::Rc;

use prost::Message;

use crate::proto::Empty;
use crate::proto::task::{
    CloseIoRequest, CreateTaskRequest, DeleteResponse, ExecProcessRequest, KillRequest, PidResponse,
    ProcessRequest, ResizePtyRequest, ShutdownRequest, StatsResponse, TaskRequest, UpdateTaskRequest,
    WaitResponse,
};
use crate::task::Shim;
use crate::ttrpc::{Code, Handler, Status};

const SERVICES: [&str; 2] = ["containerd.task.v2.Task", "containerd.task.v3.Task"];

/// A shim under the task API.
#[derive(Debug)]
pub(crate) struct Service(pub(crate) Rc<Shim>);

impl Handler for Service {
    async fn handle(
        self: Rc<Self>,
        service: String,
        method: String,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, Status> {
        if !SERVICES.contains(&service.as_str()) {
            return Err(Status::new(Code::Unimplemented, format!("service {service}")));
        }
        let answer = answer(&self.0, &method, &payload).await;
        match &answer {
            Ok(_) => tracing::debug!(method, "done"),
            Err(status) => tracing::debug!(method, error = status.message(), "refused"),
        }
        answer
    }
}

/// Reads a request.
fn read<M: Message + Default>(payload: &[u8]) -> Result<M, Status> {
    M::decode(payload).map_err(|error| Status::new(Code::InvalidArgument, format!("request: {error}")))
}

/// The answer that says no more than that it is done.
fn empty() -> Vec<u8> {
    Empty {}.encode_to_vec()
}

async fn answer(shim: &Rc<Shim>, method: &str, payload: &[u8]) -> Result<Vec<u8>, Status> {
    let id = || read::<TaskRequest>(payload).map(|request| request.id);
    Ok(match method {
        "State" => shim.state(read(payload)?)?.encode_to_vec(),
        "Create" => pid(shim.create(read::<CreateTaskRequest>(payload)?).await?),
        "Start" => pid(shim.start(read::<ProcessRequest>(payload)?).await?),
        "Delete" => delete(shim, read(payload)?).await?,
        "Pids" => shim.pids(&id()?).await?.encode_to_vec(),
        "Pause" => shim.pause(&id()?).await.map(|()| empty())?,
        "Resume" => shim.resume(&id()?).await.map(|()| empty())?,
        "Checkpoint" => return Err(no_checkpoint()),
        "Kill" => shim.kill(read::<KillRequest>(payload)?).await.map(|()| empty())?,
        "Exec" => shim
            .add_exec(read::<ExecProcessRequest>(payload)?)
            .map(|()| empty())?,
        "ResizePty" => shim
            .resize(&read::<ResizePtyRequest>(payload)?)
            .map(|()| empty())?,
        "CloseIO" => shim
            .close_io(&read::<CloseIoRequest>(payload)?)
            .map(|()| empty())?,
        "Update" => shim
            .update(read::<UpdateTaskRequest>(payload)?)
            .await
            .map(|()| empty())?,
        "Wait" => wait(shim, read(payload)?).await?,
        "Stats" => {
            let stats = Some(shim.stats(&id()?).await?);
            StatsResponse { stats }.encode_to_vec()
        }
        "Connect" => shim.connect(&id()?)?.encode_to_vec(),
        "Shutdown" => {
            shim.shutdown(&read::<ShutdownRequest>(payload)?);
            empty()
        }
        _ => return Err(Status::new(Code::Unimplemented, format!("method {method}"))),
    })
}

fn pid(pid: u32) -> Vec<u8> {
    PidResponse { pid }.encode_to_vec()
}

async fn delete(shim: &Rc<Shim>, request: ProcessRequest) -> Result<Vec<u8>, Status> {
    let exited = shim.remove(request).await?;
    let response = DeleteResponse {
        pid: exited.pid,
        exit_status: exited.status,
        exited_at: Some(exited.at),
    };
    Ok(response.encode_to_vec())
}

async fn wait(shim: &Rc<Shim>, request: ProcessRequest) -> Result<Vec<u8>, Status> {
    let exited = shim.wait(request).await?;
    let response = WaitResponse {
        exit_status: exited.status,
        exited_at: Some(exited.at),
    };
    Ok(response.encode_to_vec())
}

fn no_checkpoint() -> Status {
    Status::new(
        Code::Unimplemented,
        "checkpoints are not supported by this runtime",
    )
}
