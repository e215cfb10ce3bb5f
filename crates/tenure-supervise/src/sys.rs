//! The system calls that neither nix nor rustix wraps.
#![allow(unsafe_code)]
