//! Numbers of signals by the names that manifests and images use.

use std::str::FromStr;

use nix::libc;
use nix::sys::signal::Signal;

/// `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`, `SIGRTMAX-1` as a number; `None` when there is no such signal.
pub(crate) fn number(name: &str) -> Option<i32> {
    let upper = name.to_ascii_uppercase();
    if let Ok(number) = upper.parse::<i32>() {
        return (1..=libc::SIGRTMAX()).contains(&number).then_some(number);
    }
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(rest) = bare.strip_prefix("RTMIN") {
        return real_time(libc::SIGRTMIN(), rest);
    }
    if let Some(rest) = bare.strip_prefix("RTMAX") {
        return real_time(libc::SIGRTMAX(), rest);
    }
    Signal::from_str(&format!("SIG{bare}"))
        .ok()
        .map(|signal| signal as i32)
}

fn real_time(from: i32, offset: &str) -> Option<i32> {
    let offset: i32 = if offset.is_empty() {
        0
    } else if offset.starts_with(['+', '-']) {
        offset.parse().ok()?
    } else {
        return None;
    };
    let number = from.checked_add(offset)?;
    (libc::SIGRTMIN()..=libc::SIGRTMAX())
        .contains(&number)
        .then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_real_time_signals_are_known() {
        assert_eq!(number("SIGTERM"), Some(15));
        assert_eq!(number("usr1"), Some(10));
        assert_eq!(number("9"), Some(9));
        assert_eq!(number("SIGRTMIN"), Some(libc::SIGRTMIN()));
        assert_eq!(number("SIGRTMIN+3"), Some(libc::SIGRTMIN() + 3));
        assert_eq!(number("SIGRTMAX-1"), Some(libc::SIGRTMAX() - 1));
        for bad in ["", "SIG", "SIGNOPE", "0", "-1", "999", "SIGRTMIN+99", "RTMIN3"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
