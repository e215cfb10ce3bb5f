//! Feeds inputs that nobody meant to what reads configurations, and judges what comes of it.
//!
//! It does not know what a good configuration is: `tenure-runtime` does. It knows what must hold for every input:
//! no panic, no hang, errors of one line, nothing made outside the container's root.
//!
//! ```text
//! seeds/TARGET/*.json --> libFuzzer --> mutate (JSON as JSON, or bytes) --> config | process | resources
//!                                                                              |
//!                             tenure-runtime (feature "fuzz"): load, validate, decide
//! ```
//!
//! # Contract
//! - `scripts/fuzz TARGET` builds a target with coverage instrumentation on the stable toolchain and runs it.
//! - Without the feature `libfuzzer` this is an ordinary crate whose tests run every seed once.
//! - A target that panics has found a fault.

mod mutate;
mod place;

use std::cell::RefCell;

pub use mutate::mutate;

use place::Place;

thread_local! {
    /// Made once: a target is called a million times.
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// A `config.json`: loads and validates it in a bundle, and if it is good, takes every decision it leads to.
///
/// Returns whether it was accepted.
pub fn config(bytes: &[u8]) -> bool {
    PLACE.with_borrow_mut(|place| {
        let place = place.get_or_insert_with(Place::new);
        place.write_config(bytes);
        match tenure_runtime::load_config(&place.bundle()) {
            Ok(spec) => {
                place.prepare();
                tenure_runtime::fuzz::decide(&spec, place.root());
                place.check();
                true
            }
            Err(error) => {
                let text = error.to_string();
                assert!(
                    !text.chars().any(char::is_control),
                    "an error of one line: {text:?}"
                );
                false
            }
        }
    })
}

/// A `process.json` for exec. Returns whether it was accepted.
pub fn process(bytes: &[u8]) -> bool {
    PLACE.with_borrow_mut(|place| {
        let place = place.get_or_insert_with(Place::new);
        place.write_config(bytes);
        tenure_runtime::fuzz::process(&place.bundle().join("config.json"))
    })
}

/// The resources for `update`. Returns whether they were accepted.
pub fn resources(bytes: &[u8]) -> bool {
    tenure_runtime::fuzz::resources(bytes)
}
