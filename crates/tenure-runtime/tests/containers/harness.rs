//! Runs tests one after another and talks like the standard harness.

use std::panic::catch_unwind;
use std::sync::atomic::Ordering;

use crate::fixture::SYSTEMD;

/// A test: its name, a sentence, and what it does.
pub(crate) type Test = (&'static str, fn());

/// What stands before the name of a test that runs with the systemd cgroup driver.
pub(crate) const WITH_SYSTEMD: &str = "with_systemd::";

/// Runs the tests that the arguments select; understands the standard harness's ones. Returns the exit status.
pub(crate) fn run(tests: &[Test], args: &[String]) -> i32 {
    let flag = |name: &str| args.iter().any(|a| a == name);
    let mut words = Vec::new();
    let mut skipped = Vec::new();
    let mut args_left = args.iter();
    while let Some(arg) = args_left.next() {
        match arg.as_str() {
            "--skip" => skipped.extend(args_left.next()),
            "--format" | "--test-threads" | "--color" | "--logfile" => drop(args_left.next()),
            option if option.starts_with('-') => {}
            _ => words.push(arg),
        }
    }
    let matches = |name: &str, word: &str| {
        if flag("--exact") {
            name == word
        } else {
            name.contains(word)
        }
    };
    let selected: Vec<&Test> = tests
        .iter()
        .filter(|(name, _)| words.is_empty() || words.iter().any(|w| matches(name, w)))
        .filter(|(name, _)| !skipped.iter().any(|w| matches(name, w)))
        .collect();
    if flag("--list") {
        selected.iter().for_each(|(name, _)| println!("{name}: test"));
        return 0;
    }
    if std::env::var_os("TENURE_SKIP_ROOT").is_some() {
        println!(
            "test result: ok. 0 passed; 0 failed; {} ignored; left out by TENURE_SKIP_ROOT",
            selected.len()
        );
        return 0;
    }
    println!("\nrunning {} tests", selected.len());
    let mut failed = Vec::new();
    for (name, test) in &selected {
        SYSTEMD.store(name.starts_with(WITH_SYSTEMD), Ordering::Relaxed);
        let passed = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(*name);
        }
    }
    let (verdict, passed) = (
        if failed.is_empty() { "ok" } else { "FAILED" },
        selected.len() - failed.len(),
    );
    if !failed.is_empty() {
        println!("\nfailures:");
        failed.iter().for_each(|name| println!("    {name}"));
    }
    println!(
        "\ntest result: {verdict}. {passed} passed; {} failed; 0 ignored\n",
        failed.len()
    );
    if failed.is_empty() { 0 } else { 101 }
}
