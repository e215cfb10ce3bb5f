//! `tenure`: a container runtime with a managed lifecycle.

fn main() {}
