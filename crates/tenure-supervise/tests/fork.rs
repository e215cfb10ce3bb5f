//! Processes that go on without executing a program. Each needs a process with a single thread, which the usual harness
//! is not.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use tenure_supervise::ProcessExit;
use tenure_supervise::fork::fork;

fn main() {
    its_code_is_what_its_life_returns();
    it_keeps_what_it_is_given_and_nothing_else();
    println!("test result: ok. 2 passed; 0 failed");
}

fn its_code_is_what_its_life_returns() {
    let child = fork(Vec::new(), |_| 7).unwrap();
    assert_eq!(child.pidfd.wait_blocking().unwrap(), ProcessExit::Code(7));
}

fn it_keeps_what_it_is_given_and_nothing_else() {
    let mut first = tempfile::tempfile().unwrap();
    let secret = tempfile::tempfile().unwrap();
    let secret_number = secret.as_raw_fd();
    let second = tempfile::tempfile().unwrap();
    // In the order opposite to their numbers.
    let kept: Vec<OwnedFd> = vec![second.into(), first.try_clone().unwrap().into()];
    let child = fork(kept, |kept| {
        let numbers: Vec<i32> = kept.iter().map(AsRawFd::as_raw_fd).collect();
        let open = |number: i32| std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok();
        let mut given = kept.into_iter().skip(1).map(File::from);
        let Some(mut file) = given.next() else { return 1 };
        let good = numbers == [3, 4] && (secret_number < 5 || !open(secret_number)) && !open(5);
        u8::from(!good || file.write_all(b"hello").is_err())
    });
    assert_eq!(
        child.unwrap().pidfd.wait_blocking().unwrap(),
        ProcessExit::Code(0)
    );
    let mut text = String::new();
    first.rewind().unwrap();
    first.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}
