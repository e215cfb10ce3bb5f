use std::cell::Cell;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use serde_json::json;

use super::*;
use crate::seccomp::compile::compile;

/// A profile that forbids one call.
#[allow(clippy::unwrap_used)]
fn forbidding(call: &str) -> LinuxSeccomp {
    let rule = json!({"names": [call, "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 42});
    serde_json::from_value(json!({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NATIVE"], "syscalls": [rule],
    }))
    .unwrap()
}

/// Asks the cache; tells the program and whether it had to be compiled.
#[allow(clippy::unwrap_used)]
fn ask(cache: &Cache, profile: &LinuxSeccomp) -> (Vec<u8>, bool) {
    let compiled = Cell::new(false);
    let program = cache.get_or_compile(profile, |profile| {
        compiled.set(true);
        compile(profile)
    });
    (program.unwrap(), compiled.get())
}

/// The files of a cache.
#[allow(clippy::unwrap_used)]
fn files(cache: &Cache) -> Vec<PathBuf> {
    let entries = fs::read_dir(&cache.directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// A cache with the filter of one profile.
#[allow(clippy::unwrap_used)]
fn filled() -> (tempfile::TempDir, Cache, LinuxSeccomp, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::new(&root.path().join("not/there/yet"));
    let profile = forbidding("mkdir");
    assert!(ask(&cache, &profile).1);
    let file = files(&cache).pop().unwrap();
    (root, cache, profile, file)
}

#[test]
fn the_kept_filter_is_the_compiled_one() {
    let (_root, cache, profile, file) = filled();
    let fresh = compile(&profile).unwrap();
    assert_eq!(ask(&cache, &profile), (fresh, false));
    let meta = fs::metadata(&file).unwrap();
    let directory = fs::metadata(&cache.directory).unwrap();
    assert_eq!((meta.mode() & 0o7777, directory.mode() & 0o7777), (0o600, 0o700));
}

#[test]
fn another_profile_is_another_filter_also_under_the_same_name() {
    let (_root, cache, profile, file) = filled();
    let other = forbidding("rmdir");
    assert_ne!(key(&profile), key(&other));
    let (program, compiled) = ask(&cache, &other);
    assert!(compiled);
    assert_ne!(program, ask(&cache, &profile).0);
    // As if both names were the same.
    let second = files(&cache).into_iter().find(|f| *f != file).unwrap();
    fs::copy(&file, &second).unwrap();
    assert_eq!(ask(&cache, &other), (program.clone(), true));
    assert_eq!(ask(&cache, &other), (program, false), "and was written anew");
}

#[test]
fn a_file_that_is_broken_anywhere_is_replaced() {
    let (_root, cache, profile, file) = filled();
    let whole = fs::read(&file).unwrap();
    let program = ask(&cache, &profile).0;
    for length in [
        0,
        1,
        HEADER - 1,
        HEADER,
        HEADER + 5,
        whole.len() - 8,
        whole.len() - 1,
    ] {
        fs::write(&file, &whole[..length]).unwrap();
        assert_eq!(ask(&cache, &profile), (program.clone(), true), "cut at {length}");
    }
    for at in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        assert_eq!(ask(&cache, &profile), (program.clone(), true), "byte {at}");
    }
    fs::write(&file, [&whole[..], &[0; 8]].concat()).unwrap();
    assert_eq!(ask(&cache, &profile), (program.clone(), true), "longer");
    assert_eq!(ask(&cache, &profile), (program, false));
    assert_eq!(files(&cache), [file]);
}

#[test]
fn a_file_that_others_could_have_written_is_replaced() {
    let (root, cache, profile, file) = filled();
    let kept = root.path().join("kept");
    let replaced = |what: &str| {
        assert!(ask(&cache, &profile).1, "{what} is used");
        assert!(!ask(&cache, &profile).1, "{what} is not replaced");
    };
    fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).unwrap();
    replaced("one that others can write");
    fs::rename(&file, &kept).unwrap();
    symlink(&kept, &file).unwrap();
    replaced("a link");
    fs::remove_file(&file).unwrap();
    fs::create_dir_all(file.join("x")).unwrap();
    replaced("a directory");
    fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &file,
        FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    replaced("a fifo");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&file, Some(7), None).unwrap();
        replaced("another user's");
    }
}

#[test]
fn a_directory_that_others_could_have_filled_is_not_used() {
    let (root, cache, profile, _) = filled();
    fs::set_permissions(&cache.directory, fs::Permissions::from_mode(0o770)).unwrap();
    assert!(ask(&cache, &profile).1 && ask(&cache, &profile).1);
    fs::set_permissions(&cache.directory, fs::Permissions::from_mode(0o700)).unwrap();
    let moved = root.path().join("moved");
    fs::rename(&cache.directory, &moved).unwrap();
    symlink(&moved, &cache.directory).unwrap();
    assert!(ask(&cache, &profile).1 && ask(&cache, &profile).1);
}

#[test]
fn a_cache_that_cannot_be_is_no_error() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("seccomp"), "").unwrap();
    let cache = Cache::new(root.path());
    assert!(ask(&cache, &forbidding("mkdir")).1);
}

#[test]
fn creators_at_the_same_time_all_get_the_filter() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::new(root.path());
    let profile = forbidding("mkdir");
    let fresh = compile(&profile).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(ask(&cache, &profile).0, fresh));
        }
    });
    assert_eq!(ask(&cache, &profile), (fresh, false));
    assert_eq!(files(&cache).len(), 1);
}

#[test]
fn only_the_newest_filters_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::new(root.path());
    let calls = ["mkdir", "rmdir", "unlink", "rename", "link", "symlink", "chmod"];
    let profiles: Vec<LinuxSeccomp> = (0..MAX_FILES + 3)
        .map(|i| {
            let mut profile = forbidding(calls[i % calls.len()]);
            profile.set_default_errno_ret(u32::try_from(i).ok());
            profile
        })
        .collect();
    for (i, profile) in profiles.iter().enumerate() {
        ask(&cache, profile);
        let newest = files(&cache)
            .into_iter()
            .max_by_key(|f| fs::metadata(f).unwrap().modified().unwrap());
        let age = std::time::Duration::from_secs(u64::try_from(1000 - i).unwrap());
        let file = File::options().write(true).open(newest.unwrap()).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    assert_eq!(files(&cache).len(), MAX_FILES);
    assert!(!ask(&cache, profiles.last().unwrap()).1);
    assert!(ask(&cache, &profiles[0]).1);
}
