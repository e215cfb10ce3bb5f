//! The commands that are looked at: a container's life, plain and with all that engines ask for.

use std::path::Path;

use serde_json::json;
use tenure_integration::Bundle;

/// The arguments of every command, in an order in which they succeed. What they need is made in `directory`.
pub(crate) fn all(directory: &Path) -> Vec<Vec<String>> {
    let bundle = |name: &str, args: &[&str]| Bundle::create(&directory.join(name), "touched", args);
    let path = |bundle: &Bundle| bundle.path.display().to_string();
    let short = path(&bundle("short", &["/bin/true"]));
    let long = path(&bundle("long", &["/bin/sleep", "1000"]));
    let full = path(&full(bundle("full", &["/bin/true"])));
    let root = directory.join("root").display().to_string();
    let id = format!("touched-{}", std::process::id());
    let lines = [
        format!("run --bundle {short} {id}"),
        format!("run --bundle {full} {id}"),
        // Once more: the filter comes out of the cache.
        format!("run --bundle {full} {id}"),
        format!("create --bundle {long} {id}"),
        format!("start {id}"),
        format!("state {id}"),
        format!("exec {id} /bin/true"),
        "list".to_owned(),
        format!("ps {id}"),
        format!("pause {id}"),
        format!("resume {id}"),
        format!("update --pids-limit 50 {id}"),
        format!("events --stats {id}"),
        format!("kill {id} KILL"),
        format!("delete {id}"),
        format!("create --bundle {full} {id}"),
        format!("delete --force {id}"),
        "features".to_owned(),
    ];
    lines
        .iter()
        .map(|line| {
            format!("--root {root} {line}")
                .split(' ')
                .map(str::to_owned)
                .collect()
        })
        .collect()
}

/// With limits, device rules, a filter and a root that cannot be written.
fn full(mut full: Bundle) -> Bundle {
    full.set("/root/readonly", json!(true));
    full.set("/process/oomScoreAdj", json!(100));
    full.set(
        "/process/rlimits",
        json!([{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }]),
    );
    full.set(
        "/linux/resources",
        json!({
            "devices": [
                { "allow": false, "access": "rwm" },
                { "allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm" },
            ],
            "memory": { "limit": 67_108_864 },
            "cpu": { "shares": 512, "quota": 50_000, "period": 100_000 },
            "pids": { "limit": 100 },
        }),
    );
    full.set(
        "/linux/seccomp",
        json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{ "names": ["swapon", "reboot"], "action": "SCMP_ACT_ERRNO" }],
        }),
    );
    full
}
