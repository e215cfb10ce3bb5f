//! The library itself, driven where that is cheap, so that a reader sees that the faults are there.
//!
//! When one of these tests fails, a new version of the library has mended its fault.

use std::process::{Child, Command};

use libcontainer::container::{Container, ContainerStatus, State};
use libcontainer::signal::Signal;
use tenure_runtime::oci_spec::runtime::Spec;

use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "fault_03_the_library_takes_a_container_for_started_once_it_got_a_signal",
        a_signal_spoils_the_state,
    ),
    (
        "fault_04_the_library_takes_any_live_process_for_the_container",
        any_process_will_do,
    ),
    (
        "fault_11_the_library_takes_no_unknown_capability",
        unknown_capability,
    ),
];

/// A container as the library remembers it, whose init is a process of this test.
struct Remembered {
    directory: tempfile::TempDir,
    init: Child,
}

impl Remembered {
    fn new(status: ContainerStatus) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let init = Command::new("sleep").arg("100").spawn().unwrap();
        let pid = i32::try_from(init.id()).unwrap();
        let state = State::new("x", status, Some(pid), directory.path().to_owned());
        state.save(directory.path()).unwrap();
        Self { directory, init }
    }

    fn load(&self) -> Container {
        Container::load(self.directory.path().to_owned()).unwrap()
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        self.init.kill().unwrap();
        self.init.wait().unwrap();
    }
}

fn a_signal_spoils_the_state() {
    let remembered = Remembered::new(ContainerStatus::Created);
    assert!(remembered.load().can_start());
    // One that nobody notices.
    let signal = Signal::try_from("WINCH").unwrap();
    remembered.load().kill(signal, false).unwrap();
    let container = remembered.load();
    assert_eq!(container.status(), ContainerStatus::Running);
    assert!(!container.can_start());
}

fn any_process_will_do() {
    // The record is of a container that ended long ago, and its init's pid came back.
    let remembered = Remembered::new(ContainerStatus::Running);
    let container = remembered.load();
    assert_eq!(container.status(), ContainerStatus::Running);
    let state = serde_json::to_value(&container.state).unwrap();
    assert!(
        state
            .as_object()
            .unwrap()
            .keys()
            .all(|k| !k.to_lowercase().contains("start"))
    );
}

fn unknown_capability() {
    let config = r#"{"ociVersion":"1.2.0","process":{"cwd":"/","user":{},
        "capabilities":{"bounding":["CAP_FROM_TOMORROW"]}}}"#;
    let error = serde_json::from_str::<Spec>(config).unwrap_err();
    assert!(error.to_string().contains("CAP_FROM_TOMORROW"), "{error}");
}
