//! The 65 signal names of Kubernetes' `stopSignal` on Linux (`lifecycle-semantics 3.31`).

/// The names with fixed numbers, in both spellings where Linux has two.
const NAMES: [(&str, u8); 34] = [
    ("SIGABRT", 6),
    ("SIGALRM", 14),
    ("SIGBUS", 7),
    ("SIGCHLD", 17),
    ("SIGCLD", 17),
    ("SIGCONT", 18),
    ("SIGFPE", 8),
    ("SIGHUP", 1),
    ("SIGILL", 4),
    ("SIGINT", 2),
    ("SIGIO", 29),
    ("SIGIOT", 6),
    ("SIGKILL", 9),
    ("SIGPIPE", 13),
    ("SIGPOLL", 29),
    ("SIGPROF", 27),
    ("SIGPWR", 30),
    ("SIGQUIT", 3),
    ("SIGSEGV", 11),
    ("SIGSTKFLT", 16),
    ("SIGSTOP", 19),
    ("SIGSYS", 31),
    ("SIGTERM", 15),
    ("SIGTRAP", 5),
    ("SIGTSTP", 20),
    ("SIGTTIN", 21),
    ("SIGTTOU", 22),
    ("SIGURG", 23),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGVTALRM", 26),
    ("SIGWINCH", 28),
    ("SIGXCPU", 24),
    ("SIGXFSZ", 25),
];

const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

/// The number of a signal by its full name, e.g. `SIGTERM` or `SIGRTMIN+3`; `None` when it is none of the 65.
pub fn number(name: &str) -> Option<u8> {
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let step = |text: &str| text.parse::<u8>().ok().filter(|_| !text.starts_with(['0', '+']));
    match name {
        "SIGRTMIN" => Some(RTMIN),
        "SIGRTMAX" => Some(RTMAX),
        _ => {
            if let Some(up) = name.strip_prefix("SIGRTMIN+") {
                return step(up).filter(|up| (1..=15).contains(up)).map(|up| RTMIN + up);
            }
            let down = name.strip_prefix("SIGRTMAX-")?;
            step(down)
                .filter(|down| (1..=14).contains(down))
                .map(|down| RTMAX - down)
        }
    }
}

/// The full name of a signal as image tools write it: `SIGTERM`, `TERM`, `term`, `RTMIN+3` or a number.
pub fn canonical(text: &str) -> Option<String> {
    if let Ok(wanted) = text.parse::<u8>() {
        if let Some((name, _)) = NAMES.iter().find(|(_, number)| *number == wanted) {
            return Some((*name).to_owned());
        }
        return match wanted {
            RTMIN => Some("SIGRTMIN".into()),
            RTMAX => Some("SIGRTMAX".into()),
            35..=49 => Some(format!("SIGRTMIN+{}", wanted - RTMIN)),
            50..=63 => Some(format!("SIGRTMAX-{}", RTMAX - wanted)),
            _ => None,
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") {
        upper
    } else {
        format!("SIG{upper}")
    };
    number(&name).is_some().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{NAMES, canonical, number};

    #[test]
    fn there_are_sixty_five_names() {
        let real_time = (1..=15)
            .map(|n| format!("SIGRTMIN+{n}"))
            .chain((1..=14).map(|n| format!("SIGRTMAX-{n}")));
        let count = NAMES.len()
            + 2
            + real_time
                .inspect(|name| assert!(number(name).is_some(), "{name}"))
                .count();
        assert_eq!(count, 65);
        assert_eq!(number("SIGRTMIN+15"), Some(49));
        assert_eq!(number("SIGRTMAX-14"), Some(50));
        for wrong in [
            "TERM",
            "sigterm",
            "SIGRTMIN+0",
            "SIGRTMIN+16",
            "SIGRTMAX-15",
            "SIGRTMIN+01",
            "SIGFOO",
            "",
        ] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn image_spellings_are_understood() {
        for (text, name) in [
            ("SIGQUIT", Some("SIGQUIT")),
            ("quit", Some("SIGQUIT")),
            ("3", Some("SIGQUIT")),
            ("RTMIN+3", Some("SIGRTMIN+3")),
            ("37", Some("SIGRTMIN+3")),
            ("64", Some("SIGRTMAX")),
            ("0", None),
            ("32", None),
            ("65", None),
            ("", None),
            ("SIG", None),
        ] {
            assert_eq!(canonical(text).as_deref(), name, "{text}");
        }
    }
}
