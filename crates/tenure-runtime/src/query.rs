//! `state`, `list` and `ps`.

use std::fs;

use crate::status::judge;
use crate::store::{Entry, Record, Store};
use crate::{ContainerState, Error, Status};

/// The state of one container.
pub(crate) fn state(entry: &Entry) -> Result<ContainerState, Error> {
    let record = entry.load()?;
    let status = judge(entry, &record).status;
    Ok(describe(record, status))
}

fn describe(record: Record, status: Status) -> ContainerState {
    let pid = record
        .init
        .filter(|_| status != Status::Stopped)
        .map_or(0, |i| i.pid);
    ContainerState {
        oci_version: record.oci_version,
        id: record.id,
        pid,
        status,
        bundle: record.bundle,
        rootfs: record.rootfs,
        created: record.created,
        annotations: record.annotations,
        owner: owner(record.owner),
    }
}

/// The name of a user, from `/etc/passwd` as text; its number if it has none.
fn owner(uid: u32) -> String {
    if uid == 0 {
        return "root".to_owned();
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}

/// All containers, sorted by id.
pub(crate) fn list(store: &Store) -> Result<Vec<ContainerState>, Error> {
    let mut states = Vec::new();
    for id in store.ids()? {
        match store.open(&id).and_then(|entry| state(&entry)) {
            Ok(state) => states.push(state),
            // Gone meanwhile, or not there yet.
            Err(Error::NotFound { .. }) => {}
            Err(error) => tracing::warn!(%id, %error, "leaving a container out of the list"),
        }
    }
    Ok(states)
}

/// Pids of all processes in the container's cgroup.
pub(crate) fn processes(entry: &Entry) -> Result<Vec<i32>, Error> {
    entry.load()?.cgroups.processes()
}
