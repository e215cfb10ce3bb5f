//! From errors to exit codes and to the one line that says what failed.
//!
//! ```text
//! library errors ──From──▶ CommandError { kind, error, hint }
//!                              │ kind × Class of the command ──▶ Code      (`cli.md`, Exit codes)
//!                              └ text ──▶ `tenure: error: …` on stderr, and a line in --log
//! ```

use std::fmt::{self, Write as _};
use std::process::ExitCode;

use tenure_lifecycle::ExitStatus;

use crate::telemetry::Log;

/// A process exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u8);

impl Code {
    /// All went well.
    pub(crate) const SUCCESS: Self = Self(0);
    /// The answer is no, and nothing went wrong.
    pub(crate) const NO: Self = Self(1);
    /// Wrong usage or an invalid manifest.
    pub(crate) const USAGE: Self = Self(2);

    /// A container's own code, or 128 + n when signal n ended it.
    pub(crate) const fn of(status: ExitStatus) -> Self {
        Self(status.shell_code())
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.0)
    }
}

/// How a command's failures become exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Every failure is 1.
    Plain,
    /// A container's own code passes through, so Tenure's failures are 125, 126 and 127.
    Run,
    /// As `Run`, with runc's 255 in place of 125: what callers of OCI runtimes expect of `exec`.
    Exec,
}

/// What went wrong, as far as the exit code goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The user's input cannot be used: wrong usage, an invalid manifest.
    Usage,
    /// The program does not exist in the container.
    ProgramNotFound,
    /// The program exists and cannot be executed.
    ProgramNotExecutable,
    /// Anything else.
    Failed,
}

impl Kind {
    /// The exit code of this kind of failure in a command of that class.
    pub(crate) const fn code(self, class: Class) -> Code {
        match (self, class) {
            (Self::Usage, _) => Code::USAGE,
            (_, Class::Plain) => Code(1),
            (Self::ProgramNotFound, Class::Run | Class::Exec) => Code(127),
            (Self::ProgramNotExecutable, Class::Run | Class::Exec) => Code(126),
            (Self::Failed, Class::Run) => Code(125),
            (Self::Failed, Class::Exec) => Code(255),
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: Kind,
    /// One or more errors, each told on its own line (a manifest can have many).
    errors: Vec<anyhow::Error>,
    hint: Option<String>,
}

impl CommandError {
    /// A failure without further qualities.
    pub(crate) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Kind::Failed, error)
    }

    /// The user's input cannot be used.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, anyhow::anyhow!("{message}"))
    }

    /// A failure that is only words.
    pub(crate) fn message(message: impl fmt::Display) -> Self {
        Self::failed(anyhow::anyhow!("{message}"))
    }

    /// Input with several faults, each worth its line.
    pub(crate) fn faults<T: fmt::Display>(faults: impl IntoIterator<Item = T>) -> Self {
        Self {
            kind: Kind::Usage,
            errors: faults
                .into_iter()
                .map(|fault| anyhow::anyhow!("{fault}"))
                .collect(),
            hint: None,
        }
    }

    /// A failure of a kind.
    pub(crate) fn new(kind: Kind, error: impl Into<anyhow::Error>) -> Self {
        Self {
            kind,
            errors: vec![error.into()],
            hint: None,
        }
    }

    /// The same with advice; it ends up in the same line.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code in a command of that class.
    pub(crate) const fn code(&self, class: Class) -> Code {
        self.kind.code(class)
    }

    /// The texts to show, one line each: causes joined by `: `, a cause that its parent's text already tells left out.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.errors.iter().map(one_line).collect();
        if let (Some(hint), Some(last)) = (&self.hint, lines.last_mut()) {
            let _ = write!(last, " ({hint})");
        }
        lines
    }
}

/// An error and its causes in one line.
fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.ends_with(cause.as_str()) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    flatten(&text)
}

/// `text` without line breaks and other control characters: a container's words must not drive a terminal.
pub(crate) fn flatten(text: &str) -> String {
    let mut flat = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '\n' => flat.push(' '),
            '\r' => {}
            '\t' => flat.push(' '),
            c if c.is_control() => {
                let _ = write!(flat, "\\x{:02x}", u32::from(c));
            }
            c => flat.push(c),
        }
    }
    flat
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(error)
    }
}

impl From<tenure_runtime::Error> for CommandError {
    fn from(error: tenure_runtime::Error) -> Self {
        use tenure_runtime::Error;
        let kind = match &error {
            Error::ProgramNotFound { .. } => Kind::ProgramNotFound,
            Error::ProgramNotExecutable { .. } => Kind::ProgramNotExecutable,
            _ => Kind::Failed,
        };
        Self::new(kind, error)
    }
}

impl From<tenure_engine::EngineError> for CommandError {
    fn from(error: tenure_engine::EngineError) -> Self {
        use tenure_engine::EngineError;
        let kind = match &error {
            EngineError::Start { code: 126, .. } => Kind::ProgramNotExecutable,
            EngineError::Start { code: 127, .. } => Kind::ProgramNotFound,
            _ => Kind::Failed,
        };
        Self::new(kind, error)
    }
}

/// Tells why a command failed and gives its exit code.
///
/// The line has the word "error" in it, by which some callers tell failures from other output.
///
/// With `TENURE_ERRORS=log` what is in the log is not told on stderr, too: a pod's engine says so where this process's
/// stderr is the container's.
pub(crate) fn report(error: &CommandError, class: Class, log: &Log) -> Code {
    let only_log = std::env::var_os("TENURE_ERRORS").is_some_and(|value| value == "log");
    for line in error.lines() {
        let is_logged = log.error(&line);
        if !(is_logged && only_log) {
            crate::output::complain(&format!("error: {line}"));
        }
    }
    error.code(class)
}

/// Shows what clap has to say: help goes to stdout with code 0, a command line without command gets its help on stderr,
/// and wrong usage one line, there and in the log; the latter two with code 2.
pub(crate) fn usage(error: &clap::Error, log: &Log) -> Code {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            Code::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Code::USAGE
        }
        _ => {
            let line = usage_line(&error.render().to_string());
            log.error(&line);
            crate::output::complain(&format!("error: {line}"));
            Code::USAGE
        }
    }
}

/// What clap says of wrong usage, in one line.
fn usage_line(text: &str) -> String {
    let mut said: Vec<&str> = Vec::new();
    let mut usage = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(form) = line.strip_prefix("Usage: ") {
            usage = format!(" (usage: {form})");
        } else if !line.starts_with("For more information") {
            said.push(line.strip_prefix("error: ").unwrap_or(line));
        }
    }
    format!("{}{usage}", flatten(&said.join("; ")).replace(":; ", ": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_code_in_every_class() {
        let table = [
            (Kind::Usage, [2, 2, 2]),
            (Kind::ProgramNotFound, [1, 127, 127]),
            (Kind::ProgramNotExecutable, [1, 126, 126]),
            (Kind::Failed, [1, 125, 255]),
        ];
        for (kind, codes) in table {
            for (class, code) in [Class::Plain, Class::Run, Class::Exec].into_iter().zip(codes) {
                assert_eq!(kind.code(class), Code(code), "{kind:?} in {class:?}");
            }
        }
    }

    #[test]
    fn a_signal_becomes_128_plus_its_number_and_a_code_stays() {
        assert_eq!(Code::of(ExitStatus::Signal(9)), Code(137));
        assert_eq!(Code::of(ExitStatus::Signal(15)), Code(143));
        assert_eq!(Code::of(ExitStatus::Code(42)), Code(42));
        assert_eq!(Code::of(ExitStatus::Unknown), Code(137));
    }

    #[test]
    fn causes_and_hint_share_one_line() {
        let error = anyhow::anyhow!("no such\nfile").context("cannot open /x");
        let error = CommandError::failed(error).hint("is it mounted?");
        assert_eq!(error.lines(), ["cannot open /x: no such file (is it mounted?)"]);
    }

    #[test]
    fn a_cause_that_is_told_already_is_not_told_twice() {
        let error = anyhow::anyhow!("refused").context("connect: refused");
        assert_eq!(CommandError::failed(error).lines(), ["connect: refused"]);
    }

    #[test]
    fn escape_sequences_in_an_error_do_not_reach_the_terminal() {
        assert_eq!(CommandError::message("a\x1b[2Jb\rc").lines(), ["a\\x1b[2Jbc"]);
    }

    #[test]
    fn wrong_usage_is_one_line_with_the_right_form() {
        let text = "error: unexpected argument '--rot' found\n\n  tip: a similar argument exists: '--root'\n\n\
                    Usage: tenure --root <DIR> <COMMAND>\n\nFor more information, try '--help'.\n";
        assert_eq!(
            usage_line(text),
            "unexpected argument '--rot' found; tip: a similar argument exists: '--root' \
             (usage: tenure --root <DIR> <COMMAND>)"
        );
        let text = "error: the following required arguments were not provided:\n  <ID>\n\nUsage: tenure state <ID>\n";
        assert_eq!(
            usage_line(text),
            "the following required arguments were not provided: <ID> (usage: tenure state <ID>)"
        );
    }

    #[test]
    fn every_fault_of_a_manifest_has_its_own_line_and_code_2() {
        let error = CommandError::faults(["one", "two"]);
        assert_eq!(error.lines(), ["one", "two"]);
        assert_eq!(error.code(Class::Run), Code(2));
    }

    #[test]
    fn a_missing_program_is_127_and_an_unusable_one_126() {
        let missing = tenure_runtime::Error::ProgramNotFound {
            program: "nope".into(),
            reason: "executable file not found in $PATH".into(),
        };
        let error = CommandError::from(missing);
        assert_eq!(error.code(Class::Run), Code(127));
        assert_eq!(
            error.lines(),
            ["exec: \"nope\": executable file not found in $PATH"]
        );
        let unusable = tenure_runtime::Error::ProgramNotExecutable {
            program: "/etc".into(),
            reason: "is a directory".into(),
        };
        assert_eq!(CommandError::from(unusable).code(Class::Exec), Code(126));
    }
}
