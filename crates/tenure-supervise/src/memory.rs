//! Memory that a process at rest need not hold.

use std::io;

use crate::sys;

/// Gives back the pages of this program's code and constants, which come again from the page cache when they are used:
/// start-up has gone through far more of them than what follows. Not a lasting limit, and nothing is lost.
pub fn release_code() -> io::Result<()> {
    let maps = std::fs::read_to_string("/proc/self/smaps")?;
    let program = std::fs::read_link("/proc/self/exe")?;
    for (from, to) in clean(&maps, &program.to_string_lossy()) {
        sys::forget_pages(from, to)?;
    }
    Ok(())
}

/// The mappings of the program's file that have never been written to, as `smaps` tells.
fn clean(maps: &str, program: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in maps.lines() {
        if let Some(kilobytes) = line.strip_prefix("Anonymous:") {
            // Not even before it became read-only, as relocated constants are: no page of it is a copy.
            if kilobytes.trim() == "0 kB" {
                found.extend(candidate.take());
            }
        } else if let Some(mapping) = mapping(line) {
            let (range, permissions, file) = mapping;
            candidate = (file == program && permissions.ends_with('p') && !permissions.contains('w'))
                .then_some(range);
        }
    }
    found
}

/// Range, permissions and file of a mapping's first line, e.g.
/// `7f51b7961000-7f51b8010000 r-xp 00160000 fe:00 11599897   /usr/bin/tenure`.
fn mapping(line: &str) -> Option<((usize, usize), &str, &str)> {
    let mut fields = line.split_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let range = (
        usize::from_str_radix(from, 16).ok()?,
        usize::from_str_radix(to, 16).ok()?,
    );
    let permissions = fields.next()?;
    Some((range, permissions, fields.nth(3).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_written_of_the_program_is_given_back() {
        let entry = |from: &str, permissions: &str, file: &str, anonymous: &str| {
            format!(
                "{from}-7f0000009000 {permissions} 00160000 fe:00 1159   {file}\nRss: 8 kB\nAnonymous:  {anonymous} kB\n"
            )
        };
        let maps = [
            entry("7f0000001000", "r--p", "/bin/x", "0"),
            entry("7f0000002000", "r-xp", "/bin/x", "0"),
            entry("7f0000003000", "r--p", "/bin/x", "232"),
            entry("7f0000004000", "rw-p", "/bin/x", "0"),
            entry("7f0000005000", "r-xp", "/lib/y", "0"),
            entry("7f0000006000", "rw-p", "", "8"),
            entry("7f0000007000", "r-xs", "/bin/x", "0"),
        ];
        let end = 0x7f00_0000_9000;
        let expected = [(0x7f00_0000_1000, end), (0x7f00_0000_2000, end)];
        assert_eq!(clean(&maps.concat(), "/bin/x"), expected);
    }

    #[test]
    fn the_program_goes_on_without_its_pages() {
        release_code().unwrap();
        assert_eq!((0..1_000).sum::<u64>(), 499_500);
    }
}
