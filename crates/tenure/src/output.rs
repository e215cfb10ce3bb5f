//! Writing to stdout and stderr without ever panicking on it.

use std::io::{self, Write};

use crate::exit::{Code, CommandError};

/// Writes `text` to stdout. A reader that went away is no failure: it has seen enough.
///
/// # Errors
/// When stdout cannot be written for another reason, e.g. a full disk.
pub(crate) fn print(text: &str) -> Result<Code, CommandError> {
    let mut stdout = io::stdout().lock();
    settle(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))?;
    Ok(Code::SUCCESS)
}

/// Turns the end of a pipe into success.
///
/// # Errors
/// Any other failure of writing to stdout.
pub(crate) fn settle(result: io::Result<()>) -> Result<(), CommandError> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("cannot write to stdout").into())
        }
        _ => Ok(()),
    }
}

/// One line on stderr in one write, `tenure: ` before it.
pub(crate) fn complain(line: &str) {
    say(&format!("tenure: {line}"));
}

/// One line on stderr in one write. Nobody can be told when that fails.
pub(crate) fn say(line: &str) {
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Columns padded to their widest cell, two spaces apart, the last one not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        })
        .map(|width| width.unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            let width = widths.get(column).copied().unwrap_or(0);
            let padding = width.saturating_sub(cell.chars().count()).saturating_add(2);
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_trailing_spaces() {
        let rows = [
            vec!["NAME".into(), "X".into()],
            vec!["a".into(), "long".into()],
            vec!["b".into()],
        ];
        assert_eq!(table(&rows), "NAME  X\na     long\nb\n");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        assert!(settle(Err(io::ErrorKind::BrokenPipe.into())).is_ok());
        assert!(settle(Err(io::ErrorKind::StorageFull.into())).is_err());
    }
}
