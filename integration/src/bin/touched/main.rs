//! Tells which functions of a runtime run in a container's life, in an order in which the linker can lay those side by
//! side that are needed together (`scripts/order`).
//!
//! `touched PROGRAM`: every OCI command is run with a breakpoint at every function of PROGRAM, in all processes that
//! come of it. Functions that more commands need come first. On standard error: what each command called.

use std::collections::BTreeMap;
use std::{env, fs};

use anyhow::{Context, Result, bail};

mod commands;
mod symbols;
#[cfg(target_arch = "x86_64")]
mod trace;

#[cfg(not(target_arch = "x86_64"))]
fn main() -> Result<()> {
    bail!("the breakpoints are those of x86_64");
}

#[cfg(target_arch = "x86_64")]
fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    let (Some(program), None) = (arguments.next(), arguments.next()) else {
        bail!("usage: touched PROGRAM");
    };
    let program = fs::canonicalize(&program).with_context(|| format!("no program {}", program.display()))?;
    let symbols = symbols::read(&program)?;
    let directory = tempfile::tempdir()?;
    let tracer = trace::Tracer::new(&program, symbols.keys().copied().collect())?;
    let mut calls: BTreeMap<u64, Calls> = BTreeMap::new();
    for (number, words) in commands::all(directory.path()).iter().enumerate() {
        let line = words.join(" ");
        let (called, ended) = tracer.run(words).with_context(|| line.clone())?;
        eprintln!("{:6} functions, {ended}: {line}", called.len());
        for address in called {
            let first = calls.len();
            let commands = Vec::new();
            let entry = calls.entry(address).or_insert(Calls { first, commands });
            entry.commands.push(number);
        }
    }
    print_order(&symbols, calls);
    Ok(())
}

/// How one function was called.
struct Calls {
    /// Its place in the order of first calls, over all commands.
    first: usize,
    /// The commands that called it.
    commands: Vec<usize>,
}

/// Those that most commands need first; of as many, those that the same commands need beside each other.
fn print_order(symbols: &BTreeMap<u64, Vec<String>>, calls: BTreeMap<u64, Calls>) {
    let mut order: Vec<(u64, Calls)> = calls.into_iter().collect();
    order.sort_by(|(_, a), (_, b)| {
        let key = |c: &Calls| (usize::MAX - c.commands.len(), c.commands.clone(), c.first);
        key(a).cmp(&key(b))
    });
    for (address, _) in order {
        for name in &symbols[&address] {
            println!("{name}");
        }
    }
}
