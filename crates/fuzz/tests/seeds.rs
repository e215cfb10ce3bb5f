//! Every seed goes through its target once, and those called valid are accepted.

use std::fs;
use std::path::Path;

#[allow(clippy::unwrap_used)]
fn run(target: &str, judge: fn(&[u8]) -> bool) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(judge(&bytes), name.starts_with("valid"), "{}", path.display());
        for seed in 0..200 {
            if let Some(changed) = tenure_fuzz::mutate(&bytes, seed, 65536) {
                judge(&changed);
            }
        }
        count += 1;
    }
    assert!(count > 1, "no seeds in {}", directory.display());
}

#[test]
fn configurations_are_judged_and_nothing_breaks() {
    run("config", tenure_fuzz::config);
}

#[test]
fn processes_are_judged_and_nothing_breaks() {
    run("process", tenure_fuzz::process);
}

#[test]
fn resources_are_judged_and_nothing_breaks() {
    run("resources", tenure_fuzz::resources);
}
