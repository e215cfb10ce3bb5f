//! Faults 6 and 9: the root file system.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use serde_json::json;

use crate::fixture::World;
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    ("fault_06_every_kind_of_root_propagation_is_taken", propagation),
    ("fault_09_dev_can_be_read_only", read_only_dev),
    ("fault_09_a_tmpfs_copies_up_and_inherits_its_mode", tmpfs),
    (
        "fault_09_a_source_may_be_inside_the_containers_own_mounts",
        source_in_own_mounts,
    ),
    (
        "fault_09_a_destination_behind_a_dangling_link_is_made_inside",
        dangling_link,
    ),
    ("fault_09_a_path_may_be_masked_twice", masked_twice),
    ("fault_09_ids_are_mapped_by_the_mounts_own_mappings", id_mapped),
    (
        "fault_09_ids_are_mapped_by_the_containers_mappings",
        id_mapped_as_container,
    ),
    (
        "fault_09_sources_are_opened_with_the_runtimes_rights",
        source_of_root,
    ),
    (
        "fault_09_masked_and_read_only_paths_do_not_follow_links_out",
        restricted_by_descriptor,
    ),
];

fn output(command: &str, change: impl FnOnce(&mut World)) -> String {
    let mut world = World::new(command);
    change(&mut world);
    world.op("run", &[]).ok()
}

/// The library refuses `rprivate`, Docker's and Podman's usual one, and the rare ones.
fn propagation() {
    let kinds = [
        "private",
        "rprivate",
        "slave",
        "rslave",
        "shared",
        "rshared",
        "unbindable",
        "runbindable",
    ];
    for kind in kinds {
        let told = output("grep ' / / ' /proc/self/mountinfo; echo ran", |w| {
            w.set("/linux/rootfsPropagation", json!(kind));
        });
        assert!(told.ends_with("ran\n"), "{kind}: {told}");
    }
}

/// The library drops `ro` of /dev.
fn read_only_dev() {
    let script =
        "touch /dev/x 2>/dev/null || echo denied; echo x >/dev/null && touch /dev/shm/x && echo allowed";
    let told = output(script, |w| {
        w.set("/mounts/1/options", json!(["nosuid", "mode=755", "ro"]))
    });
    assert_eq!(told, "denied\nallowed\n");
}

/// The library passes `tmpcopyup` to the kernel, which refuses it, and gives every tmpfs the mode 1777.
fn tmpfs() {
    let told = output(
        "stat -c %a /t; cat /c/d/f; stat -c '%a %u %N' /c/d/f /c/l; touch /c/x 2>/dev/null || echo read-only",
        |w| {
            for name in ["t", "c/d"] {
                fs::create_dir_all(w.rootfs().join(name)).unwrap();
            }
            fs::set_permissions(w.rootfs().join("t"), fs::Permissions::from_mode(0o1750)).unwrap();
            let file = w.rootfs().join("c/d/f");
            fs::write(&file, "copied\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            chown(&file, Some(7), Some(7)).unwrap();
            symlink("/etc/shadow", w.rootfs().join("c/l")).unwrap();
            w.mount(json!({"destination": "/t", "type": "tmpfs", "source": "tmpfs"}));
            w.mount(json!({"destination": "/c", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "ro"]}));
        },
    );
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[..3], ["1750", "copied", "644 7 /c/d/f"], "{told}");
    assert!(
        lines[3].contains("/etc/shadow") && lines.contains(&"read-only"),
        "{told}"
    );
}

/// The library opens sources before its first mount: it would show what is under the mount, or find nothing.
fn source_in_own_mounts() {
    for mapped in [false, true] {
        let told = output("cat /again/f", |w| {
            let volume = w.path("volume");
            fs::create_dir_all(volume.join("inner")).unwrap();
            fs::write(volume.join("inner/f"), "from the volume\n").unwrap();
            fs::create_dir(w.rootfs().join("data")).unwrap();
            if mapped {
                w.map_users();
                w.give_image_to(100_000);
                for directory in ["bundle", "volume", "volume/inner", "bundle/rootfs/data"] {
                    fs::set_permissions(w.path(directory), fs::Permissions::from_mode(0o755)).unwrap();
                }
            }
            w.mount(json!({"destination": "/data", "source": volume, "options": ["bind"]}));
            w.mount(json!({"destination": "/again", "source": w.rootfs().join("data/inner"), "options": ["bind"]}));
        });
        assert_eq!(
            told.lines().next(),
            Some("from the volume"),
            "mapped: {mapped}: {told}"
        );
    }
}

/// The library fails on it.
fn dangling_link() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("made");
    let told = output("cat /link/f; ls -d /deep/target", |w| {
        symlink(&target, w.rootfs().join("link")).unwrap();
        symlink("../deep/target", w.rootfs().join("etc/other")).unwrap();
        let source = w.path("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("f"), "mounted\n").unwrap();
        w.mount(json!({"destination": "/link", "source": source, "options": ["bind"]}));
        w.mount(json!({"destination": "/etc/other", "type": "tmpfs", "source": "tmpfs"}));
    });
    assert_eq!(told, "mounted\n/deep/target\n");
    assert!(!target.exists(), "nothing is made on the host");
}

/// The library's second mount finds a file where it wants a directory, or the other way round, and fails.
fn masked_twice() {
    let told = output("ls /secret; head -c 1 /etc/key; echo end", |w| {
        fs::create_dir(w.rootfs().join("secret")).unwrap();
        fs::write(w.rootfs().join("secret/f"), "x").unwrap();
        fs::write(w.rootfs().join("etc/key"), "x").unwrap();
        let twice = [
            "/secret",
            "/etc/key",
            "/secret",
            "/etc/key",
            "/secret/f",
            "/absent",
        ];
        w.set("/linux/maskedPaths", json!(twice));
        w.set(
            "/linux/readonlyPaths",
            json!(["/secret", "/etc", "/etc", "/etc/key"]),
        );
    });
    assert_eq!(told, "end\n");
}

/// Whether files of the temporary directory can be id-mapped: not all file systems can.
fn mapped_or_unsupported(outcome: crate::fixture::Outcome) -> Option<String> {
    if outcome.code == 125
        && outcome.stderr.contains("map the ids")
        && outcome.stderr.contains("invalid argument")
    {
        eprintln!("not shown: this file system does not map ids");
        return None;
    }
    Some(outcome.ok())
}

/// The library knows the words and maps nothing.
fn id_mapped() {
    let mut world = World::new("stat -c '%u %g' /plain /mapped /mapped/f; touch /mapped/made && echo made");
    let source = world.path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("f"), "").unwrap();
    for path in [source.clone(), source.join("f")] {
        chown(path, Some(5000), Some(6000)).unwrap();
    }
    let line = |from: u32| json!([{"containerID": from, "hostID": 0, "size": 10}]);
    world.mount(json!({"destination": "/plain", "source": source, "options": ["bind"]}));
    world.mount(
        json!({"destination": "/mapped", "source": source, "options": ["bind", "idmap"],
        "uidMappings": line(5000), "gidMappings": line(6000)}),
    );
    let Some(told) = mapped_or_unsupported(world.op("run", &[])) else {
        return;
    };
    assert_eq!(told, "5000 6000\n0 0\n0 0\nmade\n");
    let made = fs::metadata(source.join("made")).unwrap();
    assert_eq!(
        (made.uid(), made.gid()),
        (5000, 6000),
        "on disk it is the owner's"
    );
}

/// Without mappings of its own, a mount has the container's: root in the container owns what root owns on disk.
fn id_mapped_as_container() {
    let mut world = World::new("stat -c '%u' /plain /mapped; touch /mapped/made && echo made");
    world.map_users();
    let source = world.path("source");
    fs::create_dir(&source).unwrap();
    world.mount(json!({"destination": "/plain", "source": source, "options": ["bind"]}));
    world.mount(json!({"destination": "/mapped", "source": source, "options": ["rbind", "ridmap"]}));
    let Some(told) = mapped_or_unsupported(world.op("run", &[])) else {
        return;
    };
    assert_eq!(told, "65534\n0\nmade\n");
    assert_eq!(fs::metadata(source.join("made")).unwrap().uid(), 0);
}

/// The library opens them as the user namespace's root, who may not look into the directory.
fn source_of_root() {
    let told = output("cat /f", |w| {
        w.map_users();
        let closed = w.path("closed");
        fs::create_dir(&closed).unwrap();
        fs::write(closed.join("f"), "reached\n").unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        w.mount(json!({"destination": "/f", "source": closed.join("f"), "options": ["bind", "ro"]}));
    });
    assert_eq!(told, "reached\n");
}

/// The library mounts over the path as it is after the pivot, through whatever links the image has.
fn restricted_by_descriptor() {
    let told = output(
        "cat /etc/real; echo x 2>/dev/null >/data/f || echo denied; ls /proc/1/stat",
        |w| {
            fs::write(w.rootfs().join("etc/real"), "hidden\n").unwrap();
            fs::create_dir(w.rootfs().join("data")).unwrap();
            symlink("/etc/real", w.rootfs().join("mask")).unwrap();
            symlink("../../../../../data", w.rootfs().join("etc/ro")).unwrap();
            w.set("/linux/maskedPaths", json!(["/mask"]));
            w.set("/linux/readonlyPaths", json!(["/etc/ro"]));
        },
    );
    assert_eq!(told, "denied\n/proc/1/stat\n");
}
