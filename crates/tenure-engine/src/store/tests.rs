use super::*;

#[test]
fn a_claimed_name_is_refused_to_others_and_free_after_its_holder() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::new(root.path());
    let claim = store.claim("web").unwrap();
    assert!(claim.dir().is_supervised().unwrap());
    let error = store.claim("web").unwrap_err();
    assert_eq!(error.to_string(), "pod web is running");
    let dir = claim.dir().clone();
    drop(claim);
    assert!(!dir.is_supervised().unwrap());
    store.claim("web").unwrap();
}

#[test]
fn names_are_listed_sorted_and_strange_entries_are_not_pods() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::new(root.path());
    assert!(store.list().unwrap().is_empty());
    drop(store.claim("web").unwrap());
    drop(store.claim("db").unwrap());
    fs::create_dir(root.path().join("pods/.hidden")).unwrap();
    assert_eq!(store.list().unwrap(), ["db", "web"]);
}

#[test]
fn a_name_with_a_path_in_it_reaches_no_file() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::new(root.path());
    for name in ["../x", "a/b", "", "."] {
        assert!(matches!(store.claim(name), Err(EngineError::BadName { .. })));
        assert!(matches!(store.open(name), Err(EngineError::BadName { .. })));
    }
}

#[test]
fn removing_leaves_nothing_and_clearing_leaves_the_lock() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::new(root.path());
    let claim = store.claim("web").unwrap();
    let dir = claim.dir().path().to_path_buf();
    fs::create_dir_all(dir.join("logs/web")).unwrap();
    fs::write(dir.join("status.json"), "x").unwrap();
    std::os::unix::fs::symlink("/etc", dir.join("link")).unwrap();
    claim.clear().unwrap();
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    claim.remove().unwrap();
    assert!(!dir.exists());
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn torn_files_are_errors_and_absent_ones_are_not() {
    let root = tempfile::tempdir().unwrap();
    let claim = Store::new(root.path()).claim("web").unwrap();
    let dir = claim.dir();
    assert!(dir.read_record().unwrap().is_none());
    assert!(dir.read_events().unwrap().is_empty());
    fs::write(dir.record(), "{\"boot_id\":").unwrap();
    assert!(matches!(dir.read_record(), Err(EngineError::Content { .. })));
}

#[test]
fn a_record_survives_the_disk() {
    let root = tempfile::tempdir().unwrap();
    let claim = Store::new(root.path()).claim("web").unwrap();
    let process = ProcessId {
        pid: 7,
        start_time: 9,
    };
    let record = Record {
        boot_id: boot_id(),
        supervisor: process,
        cgroup: claim.dir().cgroup(),
        sandbox: SandboxStage::Present,
        pod_init: None,
        containers: [(
            1,
            ContainerRecord {
                id: claim.dir().container_id("web", 2),
                restart_count: 2,
                stage: ContainerStage::Started,
                init: Some(process),
                own_pid_namespace: true,
            },
        )]
        .into(),
    };
    write_json(&claim.dir().record(), &record).unwrap();
    assert_eq!(claim.dir().read_record().unwrap(), Some(record));
}
