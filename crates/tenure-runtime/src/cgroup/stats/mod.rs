//! Reading what the controllers count.

mod v1;
mod v2;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::{Cgroups, cgroup_error};
use crate::Error;
use crate::stats::{Pressure, PressureLine, Stats};

impl Cgroups {
    /// What the controllers have counted so far. A controller that this host lacks leaves its figures at zero.
    pub(crate) fn stats(&self) -> Result<Stats, Error> {
        match &self.unified {
            Some(unified) if self.v1.is_empty() => v2::stats(Files(unified)),
            _ => v1::stats(&self.v1),
        }
    }
}

/// The files of a cgroup.
#[derive(Clone, Copy)]
struct Files<'a>(&'a Path);

impl Files<'_> {
    /// A file's content; nothing if this kernel has no such file, or cannot answer for this cgroup.
    fn text(self, name: &str) -> Result<Option<String>, Error> {
        let path = self.0.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    || matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EOPNOTSUPP)) =>
            {
                Ok(None)
            }
            Err(error) => Err(cgroup_error("read", &path)(error)),
        }
    }

    /// A number, `max` being the largest; 0 without the file.
    fn number(self, name: &str) -> Result<u64, Error> {
        Ok(self.text(name)?.map_or(0, |text| parse_number(&text)))
    }

    /// Lines of a name and a number.
    fn keyed(self, name: &str) -> Result<BTreeMap<String, u64>, Error> {
        Ok(self
            .text(name)?
            .map_or_else(BTreeMap::new, |text| parse_keyed(&text)))
    }

    /// A list of numbers and ranges.
    fn list(self, name: &str) -> Result<Vec<u16>, Error> {
        Ok(self.text(name)?.map_or_else(Vec::new, |text| parse_list(&text)))
    }

    /// Pressure stall information.
    fn pressure(self, name: &str) -> Result<Option<Pressure>, Error> {
        Ok(self.text(name)?.as_deref().map(parse_pressure))
    }
}

fn parse_number(text: &str) -> u64 {
    match text.trim() {
        "max" => u64::MAX,
        number => number.parse().unwrap_or(0),
    }
}

fn parse_keyed(text: &str) -> BTreeMap<String, u64> {
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// `0-2,7` as 0, 1, 2, 7.
fn parse_list(text: &str) -> Vec<u16> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and the same for `full`.
fn parse_pressure(text: &str) -> Pressure {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let mut found = PressureLine::default();
        for (key, value) in line.split(' ').filter_map(|word| word.split_once('=')) {
            match key {
                "avg10" => found.avg10 = value.parse().unwrap_or_default(),
                "avg60" => found.avg60 = value.parse().unwrap_or_default(),
                "avg300" => found.avg300 = value.parse().unwrap_or_default(),
                "total" => found.total = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
        if line.starts_with("some ") {
            pressure.some = found;
        } else if line.starts_with("full ") {
            pressure.full = found;
        }
    }
    pressure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_understood() {
        assert_eq!(parse_number("max\n"), u64::MAX);
        assert_eq!(parse_number("42\n"), 42);
        assert_eq!(parse_list("0-2,7\n"), [0, 1, 2, 7]);
        assert!(parse_list("\n").is_empty());
        assert_eq!(
            parse_keyed("a 1\nb 2\nno\n"),
            BTreeMap::from([("a".into(), 1), ("b".into(), 2)])
        );
        let pressure = parse_pressure(
            "some avg10=1.50 avg60=0.25 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n",
        );
        assert_eq!((pressure.some.avg10, pressure.some.total), (1.5, 77));
        assert_eq!(pressure.full.total, 5);
    }
}
