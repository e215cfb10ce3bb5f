//! A configuration of a bundle.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    tenure_fuzz::config(bytes);
});

// Three times of four JSON is changed as JSON: changed bytes seldom get past the parser.
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    let changed = if seed.is_multiple_of(4) {
        None
    } else {
        tenure_fuzz::mutate(&data[..size], seed, max.min(data.len()))
    };
    match changed {
        Some(bytes) => {
            data[..bytes.len()].copy_from_slice(&bytes);
            bytes.len()
        }
        None => libfuzzer_sys::fuzzer_mutate(data, size, max),
    }
});
