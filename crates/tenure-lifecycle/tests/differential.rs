//! The machine beside a second telling of the same rules (`lifecycle-semantics 2, 3, 4, 5`): a model that knows no
//! events and no states' table, and looks at everything once a millisecond. Three hundred pods are made up, and both
//! must agree on every create, handler, signal, SIGKILL and exit, and on its time.
//!
//! Left out of the model: probes, failing creates and starts, restart rules, restarts of all containers. Creating and
//! starting takes no time. What a handler or a wait takes of the grace is exact, not floored to whole seconds (3.1).

mod support;

use support::*;
use tenure_lifecycle::HandlerKind::Exec;
use tenure_lifecycle::{ContainerKind, Phase};
use tenure_spec::RestartPolicy;

/// Where everything is over.
const LAST: u64 = 400_000;

/// A container as made up; all times in ms.
#[derive(Debug, Clone)]
struct Given {
    name: String,
    kind: ContainerKind,
    /// When it ends by itself after its start, and with what code.
    ends: Option<(u64, u8)>,
    /// When it ends after its stop signal.
    on_signal: Option<u64>,
    /// How long postStart takes, and whether it fails.
    post_start: Option<(u64, bool)>,
    /// How long preStop takes; `Some(None)`: it hangs.
    pre_stop: Option<Option<u64>>,
}

/// A pod as made up.
#[derive(Debug, Clone)]
struct Case {
    policy: RestartPolicy,
    grace: u64,
    containers: Vec<Given>,
    /// When a stop is asked for, and with what grace in s.
    stops: Vec<(u64, Option<u64>)>,
}

/// What happens, when, to whom.
type Trace = Vec<(u64, String, &'static str)>;

/// Numbers without end, always the same from the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn case(&mut self) -> Case {
        let policy = [Always, OnFailure, Never][usize::try_from(self.below(3)).unwrap_or(0)];
        let mut containers = Vec::new();
        for place in 0..self.below(4) {
            let kind = match self.below(3) {
                0 => ContainerKind::Init,
                _ => ContainerKind::Sidecar,
            };
            containers.push(self.container(format!("i{place}"), kind));
        }
        for place in 0..=self.below(3) {
            containers.push(self.container(format!("a{place}"), ContainerKind::App));
        }
        let grace = self.below(12);
        let mut stops = vec![(3_000 + self.below(40_000), None)];
        if self.once_in(2) {
            stops[0].1 = Some(self.below(10));
        }
        if self.once_in(3) {
            let at = stops[0].0 + 1 + self.below(6_000);
            stops.push((at, Some(self.below(6))));
        }
        Case {
            policy,
            grace,
            containers,
            stops,
        }
    }

    fn container(&mut self, name: String, kind: ContainerKind) -> Given {
        let hooked = kind != ContainerKind::Init;
        let code = if self.once_in(2) { 0 } else { 1 };
        let (ends, longest) = match kind {
            ContainerKind::Init => (!self.once_in(8), 4_000),
            ContainerKind::Sidecar => (self.once_in(3), 15_000),
            ContainerKind::App => (self.once_in(2), 15_000),
        };
        let ends = ends.then(|| (1 + self.below(longest), code));
        let on_signal = (!self.once_in(3)).then(|| 1 + self.below(4_000));
        let post_start = (hooked && self.once_in(3)).then(|| (1 + self.below(4_000), self.once_in(3)));
        let pre_stop = (hooked && self.once_in(2)).then(|| (!self.once_in(5)).then(|| 1 + self.below(8_000)));
        Given {
            name,
            kind,
            ends,
            on_signal,
            post_start,
            pre_stop,
        }
    }
}

/// A container in the model.
#[derive(Debug, Clone, Copy, Default)]
struct Body {
    begun: bool,
    alive: bool,
    since: u64,
    /// The handler has returned well, at this start.
    up: bool,
    /// The first start has come through, or has ended.
    come_through: bool,
    restarts: u32,
    /// The next start.
    again_at: Option<u64>,
    /// The code of the last end.
    code: u8,
    /// Ended for good; the code.
    over: Option<u8>,
    /// It is being stopped: when the grace is over.
    stopping: Option<u64>,
    /// preStop runs since.
    pre_stop: Option<u64>,
    signalled: Option<u64>,
    kill_at: Option<u64>,
}

struct Model {
    case: Case,
    bodies: Vec<Body>,
    ending: bool,
    failed: bool,
    now: u64,
    trace: Trace,
}

impl Model {
    fn live(case: &Case) -> Self {
        let mut model = Self {
            case: case.clone(),
            bodies: vec![Body::default(); case.containers.len()],
            ending: false,
            failed: false,
            now: 0,
            trace: Vec::new(),
        };
        while model.now < LAST && !model.is_over() {
            model.look();
            model.now += 1;
        }
        model
    }

    fn is_over(&self) -> bool {
        self.ending && self.bodies.iter().all(|body| !body.alive)
    }

    fn write(&mut self, place: usize, what: &'static str) {
        let name = self.case.containers[place].name.clone();
        self.trace.push((self.now, name, what));
    }

    /// One millisecond: what programs do, what was asked for, then what follows, until nothing more follows.
    fn look(&mut self) {
        for place in 0..self.bodies.len() {
            self.may_exit(place);
        }
        for number in 0..self.case.stops.len() {
            let (at, grace) = self.case.stops[number];
            if at == self.now {
                self.stop_all(grace.unwrap_or(self.case.grace).max(1) * 1000);
            }
        }
        loop {
            let before = self.trace.len();
            self.judge();
            for place in 0..self.bodies.len() {
                self.go_on(place);
            }
            self.begin_next();
            if self.trace.len() == before {
                return;
            }
        }
    }

    fn may_exit(&mut self, place: usize) {
        let (given, body) = (&self.case.containers[place], self.bodies[place]);
        if !body.alive {
            return;
        }
        let by_itself = given.ends.filter(|(after, _)| body.since + after <= self.now);
        let by_signal = body.signalled.zip(given.on_signal);
        let by_signal = by_signal.is_some_and(|(at, after)| at + after <= self.now);
        if let Some((_, code)) = by_itself {
            self.exit(place, code);
        } else if by_signal {
            self.exit(place, 0);
        }
    }

    fn exit(&mut self, place: usize, code: u8) {
        self.write(place, "exit");
        let policy = match self.case.containers[place].kind {
            ContainerKind::Sidecar => Always,
            ContainerKind::Init if self.case.policy != Never => OnFailure,
            ContainerKind::Init | ContainerKind::App => self.case.policy,
        };
        let again = policy == Always || (policy == OnFailure && code != 0);
        let body = &mut self.bodies[place];
        body.alive = false;
        body.come_through = true;
        body.code = code;
        (body.stopping, body.pre_stop, body.signalled, body.kill_at) = (None, None, None, None);
        if again && !self.ending {
            let waits = [0, 10, 20, 40, 80, 160, 300];
            let wait = waits[usize::try_from(body.restarts).unwrap_or(6).min(6)];
            body.restarts += 1;
            body.again_at = Some(self.now + wait * 1000);
        } else {
            body.over = Some(code);
        }
    }

    /// The pod ends: each container has this long.
    fn stop_all(&mut self, grace: u64) {
        self.ending = true;
        for place in 0..self.bodies.len() {
            let body = &mut self.bodies[place];
            // Its last end was its end (S101).
            if body.again_at.take().is_some() {
                body.over = Some(body.code);
            }
            if body.alive {
                self.stop(place, grace);
            }
        }
    }

    fn stop(&mut self, place: usize, grace: u64) {
        let end = self.now + grace;
        let least = self.now + grace.max(2000);
        let has_pre_stop = self.case.containers[place].pre_stop.is_some();
        let body = &mut self.bodies[place];
        let first = body.stopping.is_none();
        body.stopping = Some(body.stopping.map_or(end, |earlier| earlier.min(end)));
        body.kill_at = body.kill_at.map(|earlier| earlier.min(least));
        if first && has_pre_stop && grace > 0 {
            body.pre_stop = Some(self.now);
            self.write(place, "preStop");
        }
    }

    /// Whether the pod is to end by itself.
    fn judge(&mut self) {
        if self.ending {
            return;
        }
        let all = || self.case.containers.iter().zip(&self.bodies);
        self.failed = all().any(|(given, body)| {
            given.kind == ContainerKind::Init && body.over.is_some_and(|code| code != 0)
        });
        let apps_over = all()
            .filter(|(given, _)| given.kind == ContainerKind::App)
            .all(|(_, body)| body.over.is_some());
        if self.failed || apps_over {
            self.stop_all(self.case.grace * 1000);
        }
    }

    /// What is due for one container.
    fn go_on(&mut self, place: usize) {
        let Given { post_start, .. } = self.case.containers[place];
        let body = self.bodies[place];
        if body.again_at.is_some_and(|at| at <= self.now) {
            self.create(place);
            return;
        }
        if !body.alive {
            return;
        }
        if let (Some((takes, fails)), false, None) = (post_start, body.up, body.stopping)
            && body.since + takes <= self.now
        {
            if fails {
                self.stop(place, self.case.grace * 1000);
            } else {
                (self.bodies[place].up, self.bodies[place].come_through) = (true, true);
            }
        }
        self.go_on_stopping(place);
    }

    fn go_on_stopping(&mut self, place: usize) {
        let Given { kind, pre_stop, .. } = self.case.containers[place];
        let body = self.bodies[place];
        let Some(end) = body.stopping else { return };
        if body.kill_at.is_some_and(|at| at <= self.now) {
            self.write(place, "KILL");
            self.exit(place, 137);
            return;
        }
        if body.signalled.is_some() {
            return;
        }
        let left = self.now < end;
        let takes = pre_stop.flatten();
        let returned = takes
            .zip(body.pre_stop)
            .is_some_and(|(takes, at)| at + takes <= self.now);
        if left && body.pre_stop.is_some() && !returned {
            return;
        }
        let waits = self.ending && kind == ContainerKind::Sidecar && left;
        let held_up = self.case.containers.iter().zip(&self.bodies).skip(place + 1);
        let held_up = held_up
            .filter(|(later, _)| later.kind != ContainerKind::Init)
            .any(|(_, later)| later.alive);
        if !(waits && held_up) {
            self.write(place, "signal");
            let body = &mut self.bodies[place];
            body.signalled = Some(self.now);
            body.kill_at = Some(end.max(self.now + 2000));
        }
    }

    fn begin_next(&mut self) {
        let next = self.bodies.iter().position(|body| !body.begun);
        let Some(next) = next.filter(|_| !self.ending) else {
            return;
        };
        let mut before = self.case.containers.iter().zip(&self.bodies).take(next);
        let free = match next
            .checked_sub(1)
            .map(|last| (&self.case.containers[last], &self.bodies[last]))
        {
            Some((given, body)) if given.kind == ContainerKind::App => body.come_through,
            _ => before.all(|(given, body)| match given.kind {
                ContainerKind::Init => body.over == Some(0),
                _ => body.alive && body.up && body.stopping.is_none(),
            }),
        };
        if free {
            self.create(next);
        }
    }

    fn create(&mut self, place: usize) {
        self.write(place, "create");
        let hooked = self.case.containers[place].post_start.is_some();
        let body = &mut self.bodies[place];
        (body.begun, body.alive, body.since, body.again_at) = (true, true, self.now, None);
        body.up = !hooked;
        body.come_through |= !hooked;
        if hooked {
            self.write(place, "postStart");
        }
    }

    fn phase(&self) -> Phase {
        let all = || self.case.containers.iter().zip(&self.bodies);
        let good = all()
            .filter(|(given, _)| given.kind == ContainerKind::App)
            .all(|(_, body)| body.over == Some(0));
        if good && !self.failed {
            Phase::Succeeded
        } else {
            Phase::Failed
        }
    }
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// The same pod in the machine.
fn machine(case: &Case) -> Life {
    let mut made = pod(case.policy).grace(case.grace as f64);
    for given in &case.containers {
        let mut container = match given.kind {
            ContainerKind::Init => init(&given.name),
            ContainerKind::Sidecar => sidecar(&given.name),
            ContainerKind::App => app(&given.name),
        };
        if let Some((after, code)) = given.ends {
            container = container.exits(seconds(after), code);
        }
        container = match given.on_signal {
            Some(after) => container.on_signal(seconds(after), 0),
            None => container.ignores_signal(),
        };
        if let Some((takes, bad)) = given.post_start {
            let hook = if bad { fails } else { ok };
            container = container.post_start(Exec, hook(seconds(takes)));
        }
        if let Some(takes) = given.pre_stop {
            container = container.pre_stop(Exec, takes.map_or_else(hangs, |takes| ok(seconds(takes))));
        }
        made = made.with(container);
    }
    for (at, grace) in &case.stops {
        made = made.stop(seconds(*at), *grace);
    }
    made.live()
}

fn trace(case: &Case, life: &Life) -> Trace {
    let mut trace = Vec::new();
    for given in &case.containers {
        let name = given.name.as_str();
        for (times, what) in [
            (life.created(name), "create"),
            (life.ran_post_start(name), "postStart"),
            (life.ran_pre_stop(name), "preStop"),
            (life.signalled(name), "signal"),
            (life.killed(name), "KILL"),
            (life.exited(name), "exit"),
        ] {
            let millis = |at: f64| secs(at).as_micros().div_ceil(1000).try_into().unwrap_or(u64::MAX);
            trace.extend(times.into_iter().map(|at| (millis(at), name.to_owned(), what)));
        }
    }
    trace
}

#[test]
fn a_naive_model_and_the_machine_agree_on_everything_that_happens_and_when() {
    let mut numbers = Numbers(20_260_101);
    let (mut kills, mut restarts) = (0, 0);
    for number in 0..300 {
        let case = numbers.case();
        let model = Model::live(&case);
        let life = machine(&case);
        let (mut told, mut found) = (model.trace.clone(), trace(&case, &life));
        told.sort();
        found.sort();
        assert_eq!(found, told, "machine, then model, of case {number}: {case:#?}");
        assert_eq!(life.end().phase, model.phase(), "case {number}: {case:#?}");
        kills += told.iter().filter(|(_, _, what)| *what == "KILL").count();
        restarts += model.bodies.iter().map(|body| body.restarts).sum::<u32>();
    }
    // They had something to agree on.
    assert!(
        kills > 100 && restarts > 100,
        "{kills} kills, {restarts} restarts"
    );
}
