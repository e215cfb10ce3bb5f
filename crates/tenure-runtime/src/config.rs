//! Reading a configuration, and building further processes from it.

use std::fs;
use std::io::Read;
use std::path::Path;

use libcontainer::oci_spec::runtime::{Capabilities, LinuxCapabilities, Process, Spec, User};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::lenient::{self, Reading};
use crate::validate::{validate, validate_process};
use crate::{Error, ProcessOverrides};

/// The configuration's file name in a bundle.
const CONFIG: &str = "config.json";
/// The largest configuration read, in bytes. Real ones stay below 100 KiB.
const MAX_SIZE: u64 = 16 << 20;

/// A configuration and the bytes it was read from.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) spec: Spec,
    pub(crate) bytes: Vec<u8>,
}

/// Reads and validates `config.json` of a bundle.
///
/// Unknown properties are ignored, as the OCI specification asks; an unknown capability is a warning. An error names
/// the file, the JSON path and the reason in one line.
pub fn load_config(bundle: &Path) -> Result<Spec, Error> {
    read(bundle).map(|config| config.spec)
}

/// Reads and validates the configuration of a bundle.
pub(crate) fn read(bundle: &Path) -> Result<Config, Error> {
    let path = bundle.join(CONFIG);
    let kind = fs::metadata(bundle).map_err(Error::file("open bundle", bundle))?;
    if !kind.is_dir() {
        return Err(Error::file("open bundle", bundle)(
            std::io::ErrorKind::NotADirectory.into(),
        ));
    }
    let bytes = read_bytes(&path)?;
    let spec = parse(&path, &bytes)?;
    validate(&spec, bundle).map_err(|(at, reason)| Error::config(path, &at, &reason))?;
    Ok(Config { spec, bytes })
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, Error> {
    use std::os::unix::fs::OpenOptionsExt;
    // A bundle may hold anything under this name: a fifo must not block us.
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(Error::file("open", path))?;
    let meta = file.metadata().map_err(Error::file("stat", path))?;
    let invalid = |reason: &str| Error::config(path, ".", reason);
    if !meta.is_file() {
        return Err(invalid("is not a regular file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len().min(MAX_SIZE)).unwrap_or(0) + 1);
    file.take(MAX_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::file("read", path))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(invalid("is larger than 16 MiB"));
    }
    Ok(bytes)
}

/// Parses a configuration without judging its values.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Spec, Error> {
    read_as(path, bytes, lenient::spec)
}

/// Reads and validates a `process.json` for exec.
///
/// An error names the file, the JSON path and the reason in one line.
pub fn load_process(path: &Path) -> Result<Process, Error> {
    let bytes = read_bytes(path)?;
    let process = read_as(path, &bytes, lenient::process)?;
    validate_process(&process).map_err(|(at, reason)| Error::config(path, &at, &reason))?;
    Ok(process)
}

/// Reads and validates a process for exec that a caller passes as JSON.
///
/// # Errors
/// `InvalidConfig`, naming `process`, the JSON path and the reason in one line.
pub fn parse_process(bytes: &[u8]) -> Result<Process, Error> {
    let name = Path::new("process");
    let process = read_as(name, bytes, lenient::process)?;
    validate_process(&process).map_err(|(at, reason)| Error::config(name, &at, &reason))?;
    Ok(process)
}

/// Reads a document, a second time if the first one fails.
fn read_as<T: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
    again: impl FnOnce(&[u8]) -> Reading<T>,
) -> Result<T, Error> {
    // Keeping track of the path costs time with every value: that is for when there is an error to place.
    if let Ok(document) = serde_json::from_slice(bytes) {
        return Ok(document);
    }
    let deserializer = &mut serde_json::Deserializer::from_slice(bytes);
    let error = match serde_path_to_error::deserialize(deserializer) {
        Ok(document) => return Ok(document),
        Err(error) => error,
    };
    let first = error.path().to_string();
    match again(bytes) {
        Reading::Good(document) => Ok(document),
        Reading::Bad(at, reason) if at != first => Err(Error::config(path, &at, &reason)),
        // The first reading knows the line besides.
        Reading::Bad(..) | Reading::NoHelp => {
            Err(Error::config(path, &first, &error.into_inner().to_string()))
        }
    }
}

/// The process for `exec`: the container's own with `overrides` on top.
///
/// Its terminal, working directory, user and capabilities are the container's unless overridden. Fails without a
/// command, and on an unknown capability.
pub fn exec_process(config: &Spec, overrides: &ProcessOverrides) -> Result<Process, Error> {
    let missing = Error::process;
    if overrides.args.is_empty() {
        return Err(missing("args", "a command is required"));
    }
    let mut process = config
        .process()
        .clone()
        .ok_or_else(|| missing("process", "the container has no process"))?;
    process.set_args(Some(overrides.args.clone()));
    process.set_terminal(Some(overrides.terminal));
    let mut env = process.env().clone().unwrap_or_default();
    for variable in &overrides.env {
        let name = variable.split('=').next().unwrap_or_default();
        env.retain(|e| e.split('=').next() != Some(name));
        env.push(variable.clone());
    }
    process.set_env(Some(env));
    if let Some(cwd) = &overrides.cwd {
        process.set_cwd(cwd.clone());
    }
    override_user(&mut process, overrides);
    override_capabilities(&mut process, overrides)?;
    if let Some(no_new_privileges) = overrides.no_new_privileges {
        process.set_no_new_privileges(Some(no_new_privileges));
    }
    if let Some(profile) = &overrides.apparmor_profile {
        process.set_apparmor_profile(Some(profile.clone()));
    }
    if let Some(label) = &overrides.selinux_label {
        process.set_selinux_label(Some(label.clone()));
    }
    Ok(process)
}

fn override_user(process: &mut Process, overrides: &ProcessOverrides) {
    let user: &mut User = process.user_mut();
    if let Some((uid, gid)) = overrides.user {
        user.set_uid(uid);
        user.set_gid(gid.unwrap_or_else(|| user.gid()));
    }
    if !overrides.additional_gids.is_empty() {
        let mut gids = user.additional_gids().clone().unwrap_or_default();
        gids.extend(&overrides.additional_gids);
        user.set_additional_gids(Some(gids));
    }
}

/// Adds capabilities to the bounding, effective and permitted sets, and to the ambient one what is inheritable already,
/// as runc does. Nothing becomes inheritable by it: a program could hand it to what it executes (CVE-2022-29162).
fn override_capabilities(process: &mut Process, overrides: &ProcessOverrides) -> Result<(), Error> {
    if overrides.capabilities.is_empty() {
        return Ok(());
    }
    let mut added = Capabilities::new();
    for name in &overrides.capabilities {
        let upper = name.to_ascii_uppercase();
        let full = if upper.starts_with("CAP_") {
            upper
        } else {
            format!("CAP_{upper}")
        };
        let capability = serde_json::from_value(Value::String(full))
            .map_err(|_| Error::process("capabilities", &format!("unknown capability \"{name}\"")))?;
        added.insert(capability);
    }
    let mut sets = process.capabilities().clone().unwrap_or_else(no_capabilities);
    let with = |set: &Option<Capabilities>| Some(set.iter().flatten().chain(&added).copied().collect());
    sets.set_bounding(with(sets.bounding()));
    sets.set_effective(with(sets.effective()));
    sets.set_permitted(with(sets.permitted()));
    if let Some(inheritable) = sets.inheritable() {
        let raised = added.iter().filter(|c| inheritable.contains(c));
        let ambient = sets.ambient().iter().flatten().chain(raised).copied().collect();
        sets.set_ambient(Some(ambient));
    }
    process.set_capabilities(Some(sets));
    Ok(())
}

fn no_capabilities() -> LinuxCapabilities {
    let mut sets = LinuxCapabilities::default();
    for set in [
        LinuxCapabilities::set_bounding,
        LinuxCapabilities::set_effective,
        LinuxCapabilities::set_permitted,
        LinuxCapabilities::set_inheritable,
        LinuxCapabilities::set_ambient,
    ] {
        set(&mut sets, None);
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"{"ociVersion":"1.0.2","root":{"path":"rootfs"},"process":{"cwd":"/","args":["a"],
        "user":{"uid":1,"gid":2},"env":["A=1","B=2"],"capabilities":{"bounding":["CAP_KILL","CAP_FROM_TOMORROW"]}}}"#;

    fn config() -> Spec {
        parse(Path::new("config.json"), MINIMAL.as_bytes()).unwrap()
    }

    #[test]
    fn an_unknown_capability_is_left_out() {
        let config = config();
        let sets = config.process().as_ref().unwrap().capabilities().clone().unwrap();
        assert_eq!(sets.bounding().as_ref().unwrap().len(), 1);
    }

    #[test]
    fn a_type_error_names_file_path_and_position() {
        let json = MINIMAL.replace("\"uid\":1", "\"uid\":\"root\"");
        let text = parse(Path::new("/b/config.json"), json.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(
            text.starts_with("/b/config.json: process.user.uid: invalid type: string \"root\""),
            "{text}"
        );
        assert!(text.contains("line 2"), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }

    #[test]
    fn an_error_is_one_line_whatever_the_configuration_holds() {
        let bundle = tempfile::tempdir().unwrap();
        for (from, to) in [
            ("\"cwd\":\"/\"", r#""cwd":"a\nb\u001b[2J\u0000""#),
            ("\"env\"", r#""env\n":1,"env""#),
            ("\"A=1\"", r#""\n""#),
        ] {
            fs::write(bundle.path().join(CONFIG), MINIMAL.replace(from, to)).unwrap();
            let text = load_config(bundle.path()).unwrap_err().to_string();
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }

    #[test]
    fn an_exec_inherits_what_it_does_not_override() {
        let overrides = ProcessOverrides {
            args: vec!["sh".into()],
            env: vec!["B=3".into(), "C=4".into()],
            capabilities: vec!["net_raw".into()],
            ..ProcessOverrides::default()
        };
        let process = exec_process(&config(), &overrides).unwrap();
        assert_eq!(process.env().as_ref().unwrap(), &["A=1", "B=3", "C=4"]);
        assert_eq!((process.user().uid(), process.user().gid()), (1, 2));
        let sets = process.capabilities().clone().unwrap();
        assert_eq!(sets.bounding().as_ref().unwrap().len(), 2);
        assert_eq!(sets.ambient().as_ref().map_or(0, |s| s.len()), 0);
    }

    #[test]
    fn a_capability_added_to_an_exec_is_not_inheritable_by_it() {
        let text = MINIMAL.replace("\"bounding\"", "\"inheritable\":[\"CAP_CHOWN\"],\"bounding\"");
        let config = parse(Path::new("config.json"), text.as_bytes()).unwrap();
        let overrides = ProcessOverrides {
            args: vec!["sh".into()],
            capabilities: vec!["SYSLOG".into(), "CHOWN".into()],
            ..ProcessOverrides::default()
        };
        let sets = exec_process(&config, &overrides)
            .unwrap()
            .capabilities()
            .clone()
            .unwrap();
        let size = |set: &Option<Capabilities>| set.as_ref().map_or(0, Capabilities::len);
        assert_eq!((size(sets.inheritable()), size(sets.ambient())), (1, 1));
        assert_eq!((size(sets.bounding()), size(sets.permitted())), (3, 2));
    }

    #[test]
    fn an_exec_needs_a_command_and_known_capabilities() {
        assert!(exec_process(&config(), &ProcessOverrides::default()).is_err());
        let overrides = ProcessOverrides {
            args: vec!["sh".into()],
            capabilities: vec!["CAP_FROM_TOMORROW".into()],
            ..ProcessOverrides::default()
        };
        assert!(
            exec_process(&config(), &overrides)
                .unwrap_err()
                .to_string()
                .contains("CAP_FROM_TOMORROW")
        );
    }
}
