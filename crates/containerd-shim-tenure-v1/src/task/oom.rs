//! Telling that a container ran out of memory.

use std::os::fd::AsFd;
use std::rc::Rc;

use rustix::event::PollFlags;
use tenure_runtime::{OomWatch, Runtime, RuntimeOptions};
use tenure_supervise::ready::register;
use tokio::io::Interest;

use super::{Shim, Task};
use crate::proto::events::TaskFact;

/// A watch over a container's memory.
#[derive(Debug)]
pub(super) struct Oom(OomWatch);

impl Oom {
    /// Begins to watch, for as long as the container is not deleted. A host without a memory controller tells nothing.
    ///
    /// Only files are opened and read here: it is safe beside the event loop.
    pub(super) fn watch(shim: &Rc<Shim>, task: &Rc<Task>) {
        let watched = task
            .id
            .parse()
            .and_then(|id| Runtime::new(&task.root, RuntimeOptions::default()).watch_oom(&id));
        let watch = match watched {
            Ok(watch) => watch,
            Err(error) => return tracing::debug!(id = task.id, %error, "its memory is not watched"),
        };
        let interest = if watch.interest() == PollFlags::PRI {
            Interest::PRIORITY
        } else {
            Interest::READABLE
        };
        let ready = watch
            .as_fd()
            .try_clone_to_owned()
            .and_then(|fd| register(fd, interest));
        *task.oom.borrow_mut() = Some(Self(watch));
        match ready {
            Ok(ready) => {
                let (shim, task) = (Rc::clone(shim), Rc::clone(task));
                tokio::task::spawn_local(async move {
                    loop {
                        tokio::select! {
                            // What came with its end is told by whoever tells the end.
                            _ = task.init.stopped() => return,
                            woken = ready.ready(interest) => match woken {
                                Ok(mut woken) => woken.clear_ready(),
                                Err(_) => return,
                            },
                        }
                        task.look_for_oom(&shim);
                    }
                });
            }
            Err(error) => tracing::warn!(id = task.id, %error, "its memory is looked at only at its end"),
        }
    }

    /// Whether it ran out of memory since the last look.
    fn has_news(&mut self) -> bool {
        self.0.news().unwrap_or(false)
    }
}

impl Task {
    /// Tells if it ran out of memory since the last look.
    pub(super) fn look_for_oom(&self, shim: &Shim) {
        let ran_out = self.oom.borrow_mut().as_mut().is_some_and(Oom::has_news);
        if ran_out {
            shim.tell_oom(&self.id);
        }
    }
}

impl Shim {
    /// Tells that a container ran out of memory.
    fn tell_oom(&self, id: &str) {
        let event = TaskFact {
            container_id: id.to_owned(),
        };
        self.publisher.publish("/tasks/oom", "TaskOOM", &event);
    }
}
