//! The shim's command line, in the manner of Go's flags: `-id x`, `-id=x` and `--id x` are the same.

use std::path::PathBuf;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Start,
    Delete,
    Version,
    Info,
}

/// How containerd executes a shim.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) command: Command,
    pub(crate) namespace: String,
    /// The container.
    pub(crate) id: String,
    /// containerd's socket.
    pub(crate) address: String,
    /// The bundle; the working directory where it is not given.
    pub(crate) bundle: Option<PathBuf>,
    pub(crate) debug: bool,
}

impl Arguments {
    /// Reads the arguments behind the program's name.
    ///
    /// # Errors
    /// One line about the first that is wrong.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            command: Command::Version,
            namespace: String::new(),
            id: String::new(),
            address: String::new(),
            bundle: None,
            debug: false,
        };
        let mut command = None;
        let mut words = words;
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").or(word.strip_prefix('-')) else {
                if command.is_some() {
                    return Err(format!("unexpected argument {word:?}"));
                }
                command = Some(match word.as_str() {
                    "start" => Command::Start,
                    "delete" => Command::Delete,
                    _ => return Err(format!("unknown command {word:?} (known: start, delete)")),
                });
                continue;
            };
            let (name, given) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            match name {
                "v" | "version" => command = Some(Command::Version),
                "info" => command = Some(Command::Info),
                "debug" => arguments.debug = given.as_deref() != Some("false"),
                _ => {
                    let value = given
                        .or_else(|| words.next())
                        .ok_or_else(|| format!("-{name} needs a value"))?;
                    arguments.set(name, value)?;
                }
            }
        }
        arguments.command = command.ok_or_else(usage)?;
        arguments.check()
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "namespace" => self.namespace = value,
            "id" => self.id = value,
            "address" => self.address = value,
            "bundle" => self.bundle = Some(value.into()),
            // Events go over a socket; this is how they went before.
            "publish-binary" | "socket" => {}
            _ => return Err(format!("unknown flag -{name}")),
        }
        Ok(())
    }

    fn check(self) -> Result<Self, String> {
        let needs = matches!(self.command, Command::Start | Command::Delete);
        for (name, value) in [("namespace", &self.namespace), ("id", &self.id)] {
            if needs && value.is_empty() {
                return Err(format!("-{name} is needed"));
            }
            // Both are names of folders.
            if value.contains('/') || value == "." || value == ".." {
                return Err(format!("-{name} {value:?} is no name"));
            }
        }
        Ok(self)
    }
}

fn usage() -> String {
    format!(
        "no command. containerd executes this program for the runtime type io.containerd.tenure.v1; by hand: {} -v, -info",
        crate::NAME
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned))
    }

    #[test]
    fn flags_are_written_as_in_go() {
        let expected = Arguments {
            command: Command::Start,
            namespace: "default".to_owned(),
            id: "a".to_owned(),
            address: "/run/c.sock".to_owned(),
            bundle: Some("/b".into()),
            debug: true,
        };
        let one =
            "-namespace default -address /run/c.sock -publish-binary /bin/c -id a -bundle /b -debug start";
        let other = "--namespace=default --address=/run/c.sock --id=a --bundle=/b -debug=true start";
        assert_eq!(parse(one), Ok(expected));
        assert_eq!(parse(other), parse(one));
        assert_eq!(parse("-v").unwrap().command, Command::Version);
        assert_eq!(parse("-info").unwrap().command, Command::Info);
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line() {
        for (line, part) in [
            ("", "no command"),
            ("-id a start", "-namespace is needed"),
            ("-namespace n -id ../x start", "no name"),
            ("-namespace n -id a stop", "unknown command \"stop\""),
            ("-namespace n -id", "-id needs a value"),
            ("-colour red start", "unknown flag -colour"),
            ("-namespace n -id a start now", "unexpected argument \"now\""),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part) && !error.contains('\n'), "{line}: {error}");
        }
    }
}
