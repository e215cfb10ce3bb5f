//! From `process.args` to the program's first instruction.

use std::ffi::CString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::Process;
use rustix::fs::{Access, AtFlags, CWD, FileType};
use rustix::io::Errno;

use crate::failure::{Failure, reason_of};
use crate::sys;

/// Where programs are looked for when the process has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The most that is read of a container's `/etc/passwd`, in bytes.
const MAX_PASSWD: u64 = 1 << 20;

/// A program that has been found, ready to be executed.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
}

fn not_found(program: &str, reason: &str) -> Failure {
    Failure::ProgramNotFound {
        program: program.to_owned(),
        reason: reason.to_owned(),
    }
}

fn not_executable(program: &str, reason: &str) -> Failure {
    Failure::ProgramNotExecutable {
        program: program.to_owned(),
        reason: reason.to_owned(),
    }
}

impl Program {
    /// Finds the program inside the container, as the container's user: to be called when both are in place.
    pub(crate) fn find(process: &Process, env: &[String]) -> Result<Self, Failure> {
        let args = process.args().as_deref().unwrap_or_default();
        let Some(name) = args.first() else {
            return Err(not_found("", "no program is given"));
        };
        let path = if name.contains('/') {
            check(Path::new(name)).map_err(|error| refuse(name, error))?;
            PathBuf::from(name)
        } else {
            search(name, env)?
        };
        let text = |s: &str| CString::new(s).map_err(|_| not_found(name, "its arguments hold a NUL byte"));
        Ok(Self {
            name: name.clone(),
            path: text(&path.to_string_lossy())?,
            args: args.iter().map(|a| text(a)).collect::<Result<_, _>>()?,
            env: env.iter().map(|e| text(e)).collect::<Result<_, _>>()?,
        })
    }

    /// Executes the program; returns only to tell why not.
    pub(crate) fn execute(&self) -> Failure {
        let error = sys::execve(&self.path, &self.args, &self.env);
        match error.raw_os_error() {
            // The file was there a moment ago: what is missing is its interpreter.
            Some(libc::ENOENT) => not_found(&self.name, "no such file or directory"),
            _ => not_executable(&self.name, &reason_of(&error)),
        }
    }
}

/// Looks a program up in the PATH of its own environment.
fn search(name: &str, env: &[String]) -> Result<PathBuf, Failure> {
    let path = env
        .iter()
        .rev()
        .find_map(|e| e.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH);
    let mut denied = false;
    for directory in path.split(':') {
        let candidate = Path::new(if directory.is_empty() { "." } else { directory }).join(name);
        match check(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno::ACCESS) => denied = true,
            Err(_) => {}
        }
    }
    Err(if denied {
        not_executable(name, "permission denied")
    } else {
        not_found(name, "executable file not found in $PATH")
    })
}

/// Whether this process could execute the file.
fn check(path: &Path) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        // A filter older than faccessat2 answers so. Without flags it is the older call, which asks for the real user:
        // here that is the effective one.
        Err(Errno::PERM | Errno::NOSYS) => rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()),
        answer => answer,
    }
}

fn refuse(name: &str, error: Errno) -> Failure {
    match error {
        Errno::NOENT | Errno::NOTDIR => not_found(name, "no such file or directory"),
        other => not_executable(name, &reason_of(&other.into())),
    }
}

/// The process's environment: exactly the configuration's, with a HOME if it has none.
///
/// `inherited` are the variables of socket activation. HOME comes from the container's `/etc/passwd`, read as plain
/// text: the C library's lookup would load code the container's files name.
pub(crate) fn environment(process: &Process, inherited: &[String]) -> Vec<String> {
    let mut env = process.env().clone().unwrap_or_default();
    env.extend_from_slice(inherited);
    let has_home = env
        .iter()
        .rev()
        .find_map(|e| e.strip_prefix("HOME="))
        .is_some_and(|h| !h.is_empty());
    if !has_home {
        env.retain(|e| !e.starts_with("HOME="));
        let home = read_passwd().and_then(|text| home_of(&text, process.user().uid()));
        env.push(format!("HOME={}", home.as_deref().unwrap_or("/")));
    }
    env
}

fn read_passwd() -> Option<String> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open("/etc/passwd")
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_PASSWD).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The home directory of a uid in a passwd file.
fn home_of(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let matches = fields.get(2)?.parse() == Ok(uid);
        let home = fields.get(5)?;
        (matches && home.starts_with('/')).then(|| (*home).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[allow(clippy::unwrap_used)]
    fn process(program: &str) -> Process {
        let json = format!(r#"{{"cwd":"/","args":["{program}"],"user":{{"uid":7,"gid":7}}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[allow(clippy::unwrap_used)]
    fn failure(program: &str, path: &str) -> Failure {
        Program::find(&process(program), &[format!("PATH={path}")]).unwrap_err()
    }

    #[test]
    fn a_program_is_found_in_path_or_by_its_path() {
        assert!(Program::find(&process("sh"), &["PATH=/nowhere:/bin".into()]).is_ok());
        assert!(Program::find(&process("/bin/sh"), &[]).is_ok());
        assert_eq!(
            Program::find(&process("sh"), &[]).unwrap().args,
            [c"sh".to_owned()]
        );
    }

    #[test]
    fn missing_and_unusable_programs_are_told_apart_in_the_words_of_runc() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("plain");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let (dir, file) = (dir.path().to_str().unwrap(), file.to_str().unwrap());
        assert_eq!(
            failure("absent", dir),
            not_found("absent", "executable file not found in $PATH")
        );
        assert_eq!(
            failure("/absent", dir),
            not_found("/absent", "no such file or directory")
        );
        assert_eq!(
            failure("plain", dir),
            not_executable("plain", "permission denied")
        );
        assert_eq!(failure(file, dir), not_executable(file, "permission denied"));
        assert_eq!(failure("/bin", dir), not_executable("/bin", "is a directory"));
    }

    #[test]
    fn home_comes_from_passwd_only() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbroken\nweb:x:7:7::/srv:/bin/sh\n";
        assert_eq!(home_of(passwd, 7).as_deref(), Some("/srv"));
        assert_eq!(home_of(passwd, 8), None);
    }

    #[test]
    fn the_environment_is_the_configurations_and_home() {
        let mut process = process("sh");
        process.set_env(Some(vec!["B=2".into(), "HOME=/h".into(), "A=1".into()]));
        assert_eq!(environment(&process, &[]), ["B=2", "HOME=/h", "A=1"]);
        process.set_env(Some(vec!["HOME=".into()]));
        assert_eq!(environment(&process, &[]).len(), 1);
        assert_ne!(environment(&process, &[])[0], "HOME=");
    }
}
