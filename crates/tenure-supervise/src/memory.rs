//! Memory that a process at rest need not hold.

use std::io;

use crate::sys;

/// Gives back the pages of this program's code and constants, which come again from the page cache when they are used:
/// start-up has gone through far more of them than what follows. Not a lasting limit, and nothing is lost.
pub fn release_code() -> io::Result<()> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let program = std::fs::read_link("/proc/self/exe")?;
    let program = program.to_string_lossy();
    for line in maps.lines() {
        if let Some((from, to)) = clean(line, &program) {
            sys::forget_pages(from, to)?;
        }
    }
    Ok(())
}

/// The range of a mapping of the program's file that cannot have been written to.
fn clean(line: &str, program: &str) -> Option<(usize, usize)> {
    // 7f51b7961000-7f51b8010000 r-xp 00160000 fe:00 11599897   /usr/bin/tenure
    let mut fields = line.split_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?;
    let file = fields.nth(3)?;
    // Relocated constants are read-only by now and were written before: only executable code is surely clean.
    if permissions != "r-xp" || file != program {
        return None;
    }
    Some((
        usize::from_str_radix(from, 16).ok()?,
        usize::from_str_radix(to, 16).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_own_code_is_given_back() {
        let line = |permissions: &str, file: &str| {
            format!("7f0000001000-7f0000003000 {permissions} 00160000 fe:00 1159   {file}")
        };
        let range = Some((0x7f00_0000_1000, 0x7f00_0000_3000));
        assert_eq!(clean(&line("r-xp", "/bin/x"), "/bin/x"), range);
        assert_eq!(clean(&line("rw-p", "/bin/x"), "/bin/x"), None);
        assert_eq!(clean(&line("r--p", "/bin/x"), "/bin/x"), None);
        assert_eq!(clean(&line("r-xp", "/lib/y"), "/bin/x"), None);
        assert_eq!(
            clean("7f0000001000-7f0000003000 rw-p 00000000 00:00 0", "/bin/x"),
            None
        );
    }

    #[test]
    fn the_program_goes_on_without_its_pages() {
        release_code().unwrap();
        assert_eq!((0..1_000).sum::<u64>(), 499_500);
    }
}
