//! What a command line lets one see of how its program behaves.

use std::time::Duration;

/// What is seen. `None`: nothing can be said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// How long it runs; `Some(None)`: for ever.
    pub(super) runs: Option<Option<Duration>>,
    /// The code it ends with.
    pub(super) exit: Option<u8>,
    /// It has no handler for its stop signal, and why; as process 1 it takes no notice of it.
    pub(super) deaf: Option<&'static str>,
}

/// Programs that do one thing and handle no signal.
const DEAF: [&str; 4] = ["sleep", "tail", "cat", "yes"];
/// Shells.
const SHELLS: [&str; 6] = ["sh", "ash", "dash", "bash", "zsh", "busybox"];

/// The text of a script in the container's root file system, if it can be read.
pub(super) type Read<'r> = &'r dyn Fn(&str) -> Option<String>;

/// Looks at an argv.
pub(super) fn look(argv: &[String], read: Read<'_>) -> Seen {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let Some((program, rest)) = words.split_first() else {
        return Seen::default();
    };
    let script = |path: &str| {
        read(path)
            .filter(|text| !text.contains('\0'))
            .map_or_else(Seen::default, |text| look_at_script(&text))
    };
    match (name(program), rest) {
        ("busybox", rest) if !rest.is_empty() => look(&argv[1..], read),
        (shell, [path, ..]) if SHELLS.contains(&shell) && path.starts_with('/') => script(path),
        (shell, [options, script, ..]) if SHELLS.contains(&shell) && is_command_option(options) => {
            look_at_script(script)
        }
        (name, rest) => match look_at_command(name, rest) {
            seen if seen != Seen::default() => seen,
            _ if program.starts_with('/') && is_shell_script(program, read) => script(program),
            seen => seen,
        },
    }
}

/// `#!/bin/sh` and its like.
fn is_shell_script(path: &str, read: Read<'_>) -> bool {
    let first = read(path).and_then(|text| text.lines().next().map(String::from));
    first
        .and_then(|line| line.strip_prefix("#!").map(String::from))
        .is_some_and(|line| line.split_whitespace().any(|word| SHELLS.contains(&name(word))))
}

fn name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// `-c`, `-ec`, `-euxc`.
fn is_command_option(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|letters| {
        letters.ends_with('c') && letters.bytes().all(|letter| letter.is_ascii_alphabetic())
    })
}

/// One simple command.
fn look_at_command(program: &str, arguments: &[&str]) -> Seen {
    let ended = |exit| Seen {
        runs: Some(Some(Duration::ZERO)),
        exit: Some(exit),
        deaf: None,
    };
    match (program, arguments) {
        ("true" | ":" | "echo" | "printf", _) => ended(0),
        ("false", _) => ended(1),
        ("exit", [code]) => code.parse().map_or_else(|_| Seen::default(), ended),
        ("sleep", [length]) => match (*length, seconds(length)) {
            ("infinity" | "inf", _) => Seen {
                runs: Some(None),
                exit: None,
                deaf: Some("sleep handles no signal"),
            },
            (_, Some(length)) => Seen {
                runs: Some(Some(length)),
                exit: Some(0),
                deaf: Some("sleep handles no signal"),
            },
            (_, None) => Seen::default(),
        },
        ("tail", arguments) if arguments.iter().any(|word| matches!(*word, "-f" | "-F")) => Seen {
            runs: Some(None),
            exit: None,
            deaf: Some("tail handles no signal"),
        },
        (program, _) if DEAF.contains(&program) => Seen {
            deaf: Some("it handles no signal"),
            ..Seen::default()
        },
        _ => Seen::default(),
    }
}

/// A script given to `sh -c`, or one that is a file.
fn look_at_script(text: &str) -> Seen {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let script = lines.collect::<Vec<_>>().join("\n");
    let script = script.trim();
    let words: Vec<&str> = script
        .split(|letter: char| letter.is_whitespace() || ";&|(){}".contains(letter))
        .filter(|word| !word.is_empty())
        .collect();
    let has = |word: &str| words.contains(&word);
    let is_simple = !script.contains([';', '&', '|', '\n', '$', '`', '<', '>', '(', '{']);
    if is_simple && !SHELLS.iter().any(|shell| has(shell)) {
        // Shells execute a lone command in their own place.
        let argv: Vec<&str> = script
            .split_whitespace()
            .skip_while(|word| *word == "exec")
            .collect();
        return argv.split_first().map_or_else(Seen::default, |(program, rest)| {
            look_at_command(name(program), rest)
        });
    }
    let sleeps = words.windows(2).filter(|pair| pair[0] == "sleep");
    let lengths: Vec<Option<Duration>> = sleeps.map(|pair| seconds(pair[1])).collect();
    let is_endless = ["while :", "while true", "until false", "sleep infinity"]
        .iter()
        .any(|phrase| script.contains(phrase));
    let loops = ["while", "until", "for"].iter().any(|word| has(word));
    // In a trap or after a condition nobody can tell what is run.
    let is_plain = !loops
        && !["trap", "if", "case", "exec", "wait"]
            .iter()
            .any(|word| has(word));
    let is_known = |word: &&str| ["sleep", "exit", "echo", "true", "false", ":"].contains(word);
    let runs = match (is_endless, is_plain, lengths.is_empty()) {
        (true, _, _) => Some(None),
        (false, true, false) => lengths.into_iter().sum::<Option<Duration>>().map(Some),
        (false, true, true)
            if script.split([';', '\n']).all(|part| {
                part.split_whitespace()
                    .next()
                    .is_none_or(|first| is_known(&first))
            }) =>
        {
            Some(Some(Duration::ZERO))
        }
        _ => None,
    };
    let exit = words
        .windows(2)
        .filter(|pair| pair[0] == "exit" && is_plain)
        .filter_map(|pair| pair[1].parse().ok())
        .next_back();
    Seen {
        runs,
        exit,
        deaf: deaf(script, has("trap") || has("exec")),
    }
}

/// Why a shell takes no notice of its stop signal.
fn deaf(script: &str, may_hear: bool) -> Option<&'static str> {
    let ignores = script
        .lines()
        .flat_map(|line| line.split(';'))
        .map(str::trim)
        .any(|command| {
            let rest = command
                .strip_prefix("trap '' ")
                .or_else(|| command.strip_prefix("trap \"\" "));
            rest.is_some_and(|signals| {
                signals
                    .split_whitespace()
                    .any(|signal| matches!(signal, "TERM" | "SIGTERM" | "15"))
            })
        });
    match (ignores, may_hear) {
        (true, _) => Some("it ignores the signal by a trap"),
        (false, true) => None,
        (false, false) => Some("a shell handles no signal without a trap"),
    }
}

/// The argument of `sleep`.
fn seconds(word: &str) -> Option<Duration> {
    let (number, unit) = match word.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, word.chars().next_back()?),
        None => (word, 's'),
    };
    let factor = match unit {
        'm' => 60.0,
        'h' => 3600.0,
        'd' => 86_400.0,
        _ => 1.0,
    };
    let length = number
        .parse::<f64>()
        .ok()
        .filter(|length| length.is_finite() && *length >= 0.0)?;
    Duration::try_from_secs_f64(length * factor).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(argv: &[&str]) -> Seen {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        look(&argv, &|path| match path {
            "/run.sh" => {
                Some("#!/bin/sh\n# Runs for ever.\ntrap '' TERM\nwhile :; do sleep 1; done\n".into())
            }
            "/once.sh" => Some("#!/usr/bin/env bash\nsleep 3\nexit 4\n".into()),
            "/server" => Some("\u{7f}ELF\0".into()),
            _ => None,
        })
    }

    fn secs(seconds: f64) -> Option<Option<Duration>> {
        Some(Some(Duration::from_secs_f64(seconds)))
    }

    #[test]
    fn sleeps_and_exits_are_seen() {
        assert_eq!(seen(&["sleep", "1.5"]).runs, secs(1.5));
        assert_eq!(
            seen(&["/bin/sh", "-c", "sleep 2; sleep 1m; exit 3"]).runs,
            secs(62.0)
        );
        assert_eq!(
            seen(&["/bin/sh", "-c", "sleep 2; sleep 1m; exit 3"]).exit,
            Some(3)
        );
        assert_eq!(seen(&["sh", "-ec", "echo ready; exit 1"]).runs, secs(0.0));
        assert_eq!(seen(&["false"]).exit, Some(1));
        assert_eq!(seen(&["busybox", "sh", "-c", "sleep 4"]).runs, secs(4.0));
    }

    #[test]
    fn what_never_ends_is_seen() {
        for argv in [
            &["sleep", "infinity"][..],
            &["tail", "-f", "/dev/null"],
            &["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"],
            &["sh", "-c", "while true; do date; done"],
        ] {
            assert_eq!(seen(argv).runs, Some(None), "{argv:?}");
        }
    }

    #[test]
    fn what_takes_no_notice_of_a_signal_is_seen() {
        assert!(seen(&["sh", "-c", "while :; do sleep 1; done"]).deaf.is_some());
        assert!(seen(&["sleep", "5"]).deaf.is_some());
        assert!(
            seen(&["sh", "-c", "sleep 5"]).deaf.is_some(),
            "the shell becomes sleep"
        );
        assert!(
            seen(&["sh", "-c", "trap 'exit 0' TERM; sleep 5 & wait"])
                .deaf
                .is_none()
        );
        assert!(seen(&["sh", "-c", "sleep 1; exec server"]).deaf.is_none());
        assert!(seen(&["/server"]).deaf.is_none());
    }

    #[test]
    fn scripts_that_are_files_are_read() {
        for argv in [&["sh", "/run.sh"][..], &["/run.sh"]] {
            assert_eq!(seen(argv).runs, Some(None), "{argv:?}");
            assert_eq!(
                seen(argv).deaf,
                Some("it ignores the signal by a trap"),
                "{argv:?}"
            );
        }
        assert_eq!(
            (seen(&["/once.sh"]).runs, seen(&["/once.sh"]).exit),
            (secs(3.0), Some(4))
        );
    }

    #[test]
    fn nothing_is_said_of_what_cannot_be_known() {
        for argv in [
            &["/server", "--port", "80"][..],
            &["sh", "/entry.sh"],
            &["sh", "-c", "until test -e /ready; do sleep 1; done"],
            &["sh", "-c", "make install; echo done"],
            &["sleep", "$TIME"],
            &[],
        ] {
            assert_eq!(seen(argv).runs, None, "{argv:?}");
        }
    }
}
