//! OCI hooks: programs of the configuration, run at six points of a container's life.

use std::error::Error as _;
use std::path::Path;

use libcontainer::container::{ContainerStatus, State};
use libcontainer::hooks::run_hooks;
use libcontainer::oci_spec::runtime::{Hook, Hooks};

use crate::failure::Failure;
use crate::store::Record;

/// The points at which hooks run. "Handlers" of a pod's lifecycle are something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// In the runtime's namespaces, once the container's stand (old name).
    Prestart,
    /// The same, new name.
    CreateRuntime,
    /// In the container's namespaces, before its root is entered.
    CreateContainer,
    /// In the container, before its program.
    StartContainer,
    /// In the runtime's namespaces, after the program has been executed.
    Poststart,
    /// In the runtime's namespaces, after the container is deleted.
    Poststop,
}

impl Point {
    fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    /// The status that hooks are told.
    fn status(self) -> ContainerStatus {
        match self {
            Self::Prestart | Self::CreateRuntime | Self::CreateContainer => ContainerStatus::Creating,
            Self::StartContainer => ContainerStatus::Created,
            Self::Poststart => ContainerStatus::Running,
            Self::Poststop => ContainerStatus::Stopped,
        }
    }

    #[allow(deprecated)]
    fn of(self, hooks: &Hooks) -> &Option<Vec<Hook>> {
        match self {
            Self::Prestart => hooks.prestart(),
            Self::CreateRuntime => hooks.create_runtime(),
            Self::CreateContainer => hooks.create_container(),
            Self::StartContainer => hooks.start_container(),
            Self::Poststart => hooks.poststart(),
            Self::Poststop => hooks.poststop(),
        }
    }

    /// Whether the configuration has hooks for this point.
    pub(crate) fn is_used(self, hooks: Option<&Hooks>) -> bool {
        hooks
            .and_then(|h| self.of(h).as_ref())
            .is_some_and(|list| !list.is_empty())
    }

    /// Runs the hooks of this point in order, in `directory`; the first failure ends it.
    pub(crate) fn run(
        self,
        hooks: Option<&Hooks>,
        record: &Record,
        pid: Option<i32>,
        directory: &Path,
    ) -> Result<(), Failure> {
        let mut list = self.run_each(hooks, record, pid, directory);
        list.find(Result::is_err).unwrap_or(Ok(()))
    }

    /// Runs the hooks of this point in order, each when the iterator is asked for its result.
    pub(crate) fn run_each<'a>(
        self,
        hooks: Option<&'a Hooks>,
        record: &Record,
        pid: Option<i32>,
        directory: &'a Path,
    ) -> impl Iterator<Item = Result<(), Failure>> + 'a {
        let list = hooks.and_then(|h| self.of(h).as_ref());
        let state = list.map(|_| self.state(record, pid));
        list.into_iter().flatten().enumerate().map(move |(index, hook)| {
            tracing::debug!(kind = self.name(), index, path = %hook.path().display(), "running hook");
            run_hooks(
                Some(&vec![hook.clone()]),
                state.as_ref(),
                Some(directory),
                None,
                None,
            )
            .map_err(|error| {
                let mut reason = error.to_string();
                let mut source = error.source();
                while let Some(cause) = source {
                    reason = format!("{reason}: {cause}");
                    source = cause.source();
                }
                let path = hook.path().display().to_string();
                Failure::Hook {
                    kind: self.name().to_owned(),
                    index,
                    path,
                    reason,
                }
            })
        })
    }

    /// What hooks read on their standard input.
    fn state(self, record: &Record, pid: Option<i32>) -> State {
        let mut state = State::new(&record.id, self.status(), pid, record.bundle.clone());
        state.oci_version.clone_from(&record.oci_version);
        state.annotations = Some(record.annotations.clone().into_iter().collect());
        state
    }
}
