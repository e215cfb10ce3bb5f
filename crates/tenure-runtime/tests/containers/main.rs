//! Containers for real: every operation in a process of its own, with one thread, as the library wants it.
//!
//! The executable is its own driver: `containers operate ROOT COMMAND ...` performs one operation. Needs root; without
//! it the tests fail, unless `TENURE_SKIP_ROOT=1` leaves them out. Where systemd is process 1, those that meet cgroups
//! run a second time with its cgroup driver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::exit)]

mod attack;
mod exec;
mod faults;
mod fixture;
mod harness;
mod hooks;
mod hostile;
mod isolation;
mod life;
mod operable;
mod operate;
mod refusal;
mod resources;
mod systemd;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|a| a == "operate") {
        std::process::exit(operate::operate(&args[1..]));
    }
    let groups = [
        life::TESTS,
        refusal::TESTS,
        exec::TESTS,
        hooks::TESTS,
        isolation::TESTS,
        resources::TESTS,
        operable::TESTS,
        attack::TESTS,
        hostile::TESTS,
        faults::process::TESTS,
        faults::mounts::TESTS,
        faults::cgroups::TESTS,
        faults::state::TESTS,
        faults::library::TESTS,
        systemd::TESTS,
    ];
    let mut tests = groups.concat();
    if systemd::is_booted() || std::env::var_os("TENURE_VM").is_some() {
        tests.extend_from_slice(systemd::BOOTED);
        let again = [life::TESTS, exec::TESTS, operable::TESTS, resources::TESTS].concat();
        tests.extend(again.into_iter().map(systemd::with_driver));
    }
    std::process::exit(harness::run(&tests, &args));
}
