//! Every command in the README works as it is written there.
//!
//! Blocks marked `sh` are run in order by one shell each, in the repository, with the binary under test as `tenure`. A
//! block of `text` that follows says what the commands print. Only what would install things is left out, by a
//! comment before the block, and which blocks those are is checked here. What needs systemd is run where it is process 1,
//! as in the machine of `scripts/vm-test`. Blocks for an engine are run by
//! `scripts/engine-test`, which has a daemon for them.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tenure_integration::{host, run};

const MARK: &str = "<!-- not run by the test -->";

/// What stands before a block that `scripts/engine-test` runs, around the name of the engine.
const ENGINE_MARK: (&str, &str) = ("<!-- run by scripts/engine-test ", " -->");

/// What stands before a block that needs systemd, which the machine of `scripts/vm-test` has.
const SYSTEMD_MARK: &str = "<!-- run where systemd is process 1 -->";

/// The only blocks that may carry the mark.
const NOT_RUN: [&str; 3] = [
    "scripts/demo\n",
    "scripts/test\n",
    "scripts/setup\nscripts/build\ninstall -m 0755 target/tenure /usr/local/bin/tenure\n",
];

/// A block of the README.
#[derive(Debug, Default, PartialEq)]
struct Block {
    language: String,
    text: String,
    is_marked: bool,
    needs_systemd: bool,
    engine: Option<String>,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut before = "";
    for line in markdown.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => block.text.push_str(&format!("{line}\n")),
            (None, Some(language)) => {
                open = Some(Block {
                    language: language.to_owned(),
                    is_marked: before == MARK,
                    needs_systemd: before == SYSTEMD_MARK,
                    engine: before
                        .strip_prefix(ENGINE_MARK.0)
                        .and_then(|rest| rest.strip_suffix(ENGINE_MARK.1))
                        .map(str::to_owned),
                    ..Block::default()
                });
            }
            (None, None) => {}
        }
        before = line;
    }
    assert_eq!(open, None, "a block is not closed");
    blocks
}

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap()
}

#[test]
fn only_what_installs_things_is_not_run() {
    let markdown = readme();
    let marked: Vec<String> = blocks(&markdown)
        .into_iter()
        .filter(|block| block.is_marked)
        .map(|block| block.text)
        .collect();
    assert_eq!(marked, NOT_RUN);
    let needing = blocks(&markdown)
        .iter()
        .filter(|block| block.needs_systemd)
        .count();
    assert_eq!(markdown.matches(SYSTEMD_MARK).count(), needing);
    assert_eq!(
        markdown.matches(MARK).count(),
        NOT_RUN.len(),
        "each mark stands right before a block"
    );
    let indented = markdown
        .lines()
        .any(|line| line.trim_start() != line && line.trim_start().starts_with("```"));
    assert!(!indented, "an indented block would not be found");
    for block in blocks(&markdown) {
        assert!(
            ["sh", "text", ""].contains(&block.language.as_str()),
            "no rule for {:?}",
            block.language
        );
    }
}

#[test]
fn each_engines_commands_are_run_by_its_own_test() {
    let markdown = readme();
    let engines: Vec<String> = blocks(&markdown)
        .into_iter()
        .filter_map(|block| block.engine)
        .collect();
    assert_eq!(engines, ["podman", "docker", "containerd", "shim"]);
    assert_eq!(markdown.matches(ENGINE_MARK.0).count(), engines.len());
    for engine in engines {
        let engines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/engines");
        // An engine's checks are one file, which may read others from a folder of the engine's name.
        let folder = fs::read_dir(engines.join(&engine)).into_iter().flatten();
        let parts = folder.map(|entry| entry.unwrap().path());
        let is_followed = parts.chain([engines.join(format!("{engine}.sh"))]).any(|path| {
            let checks = fs::read_to_string(path).unwrap();
            checks.contains(&format!("follow_readme {engine}"))
        });
        assert!(is_followed, "{engine}'s commands are run by nobody");
    }
}

#[test]
fn every_command_works() {
    let Some(host) = host("readme") else { return };
    let programs = host.directory().join("programs");
    fs::create_dir(&programs).unwrap();
    symlink(host.tenure(&[]).get_program(), programs.join("tenure")).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for pod in ["init-sequence", "web"] {
        host.remember(pod);
    }
    let all = blocks(&readme());
    let has_systemd = Path::new("/run/systemd/system").is_dir();
    let mut ran = 0;
    for (index, block) in all.iter().enumerate() {
        if block.language != "sh" || block.is_marked || block.engine.is_some() {
            continue;
        }
        if block.needs_systemd && !has_systemd {
            continue;
        }
        let mut shell = Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", &block.text])
            .current_dir(&repository);
        shell.env("PATH", &path).env("TENURE_ROOT", host.root());
        let outcome = run(&mut shell, Duration::from_secs(60)).ok();
        if let Some(expected) = all.get(index + 1).filter(|block| block.language == "text") {
            assert_eq!(outcome.stdout, expected.text, "{outcome}");
        }
        ran += 1;
    }
    assert!(ran >= 7, "{ran} blocks only");
}
