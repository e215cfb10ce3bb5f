//! The lifecycle annotations of one bundle.

// The tests are tables.
#![allow(clippy::too_many_lines)]

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use tenure_spec::annotations::{ManagedLifecycle, lifecycle};
use tenure_spec::{Handler, HttpGet, Lifecycle, PortRef, Scheme};

/// Annotations below the prefix.
fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let whole = |(key, value): &(&str, &str)| (format!("org.tenure.lifecycle.{key}"), (*value).to_owned());
    pairs.iter().map(whole).collect()
}

/// The errors of annotations, one a line.
fn told(pairs: &[(&str, &str)], name: Option<&str>) -> String {
    match lifecycle(&annotations(pairs), name) {
        Ok(managed) => format!("accepted {managed:?}"),
        Err(errors) => errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

#[test]
fn without_lifecycle_annotations_nothing_is_managed() {
    assert_eq!(lifecycle(&BTreeMap::new(), None), Ok(None));
    let others = HashMap::from([("org.opencontainers.image.stopSignal".to_owned(), "15".to_owned())]);
    assert_eq!(lifecycle(&others, Some("app")), Ok(None));
    assert_eq!(
        lifecycle(
            &annotations(&[("other.preStop", r#"{"sleep":{"seconds":1}}"#)]),
            Some("app")
        ),
        Ok(None)
    );
}

#[test]
fn every_annotation_is_read() {
    let managed = lifecycle(
        &annotations(&[
            (
                "postStart",
                r#"{"httpGet":{"path":"drain","port":8080,"scheme":"HTTPS","httpHeaders":[{"name":"A","value":"b"}]}}"#,
            ),
            ("preStop", r#"{"exec":{"command":["/bin/sh","-c","true"]}}"#),
            ("stopSignal", "usr1"),
            ("terminationGracePeriodSeconds", "7"),
        ]),
        None,
    );
    let expected = ManagedLifecycle {
        lifecycle: Lifecycle {
            post_start: Some(Handler::HttpGet(HttpGet {
                host: None,
                port: PortRef(8080),
                scheme: Scheme::Https,
                path: "/drain".into(),
                headers: vec![("A".into(), "b".into())],
            })),
            pre_stop: Some(Handler::Exec {
                command: ["/bin/sh", "-c", "true"].map(String::from).to_vec(),
            }),
            stop_signal: Some("SIGUSR1".into()),
        },
        termination_grace_period_seconds: 7,
    };
    assert_eq!(managed, Ok(Some(expected)));
}

#[test]
fn defaults_are_the_kubelets() {
    let managed = lifecycle(&annotations(&[("preStop", r#"{"sleep":{"seconds":30}}"#)]), None);
    let managed = managed.unwrap().unwrap();
    assert_eq!(managed.termination_grace_period_seconds, 30);
    assert_eq!(managed.lifecycle.stop_signal, None);
    assert_eq!(managed.lifecycle.pre_stop, Some(Handler::Sleep { seconds: 30 }));
}

#[test]
fn a_containers_own_annotations_win_one_by_one() {
    let all = annotations(&[
        ("terminationGracePeriodSeconds", "5"),
        ("stopSignal", "SIGINT"),
        ("app.stopSignal", "SIGQUIT"),
        ("my.app.stopSignal", "SIGHUP"),
        ("db.terminationGracePeriodSeconds", "9"),
    ]);
    let signal = |name| lifecycle(&all, Some(name)).unwrap().unwrap();
    assert_eq!(signal("app").lifecycle.stop_signal.as_deref(), Some("SIGQUIT"));
    assert_eq!(signal("app").termination_grace_period_seconds, 5);
    assert_eq!(signal("my.app").lifecycle.stop_signal.as_deref(), Some("SIGHUP"));
    assert_eq!(signal("db").lifecycle.stop_signal.as_deref(), Some("SIGINT"));
    assert_eq!(signal("db").termination_grace_period_seconds, 9);
}

#[test]
fn broken_annotations_are_told_by_key() {
    let key = "annotation org.tenure.lifecycle";
    for (pairs, name, expected) in [
        (
            &[("preStart", "x")][..],
            None,
            format!("{key}.preStart: unknown annotation"),
        ),
        (&[("", "x")], None, format!("{key}.: unknown annotation")),
        (
            &[("app.preStop", "x")],
            None,
            format!("{key}.app.preStop: unknown annotation"),
        ),
        (
            &[("app.foo", "x")],
            Some("app"),
            format!("{key}.app.foo: unknown annotation"),
        ),
        (
            &[("stopSignal", "SIGFOO")],
            None,
            format!("{key}.stopSignal: must be a signal name such as SIGUSR1, not \"SIGFOO\""),
        ),
        (
            &[("stopSignal", "")],
            None,
            format!("{key}.stopSignal: must be a signal name such as SIGUSR1, not \"\""),
        ),
        (
            &[("terminationGracePeriodSeconds", "-1")],
            None,
            format!(
                "{key}.terminationGracePeriodSeconds: must be a whole number of seconds from 0, not \"-1\""
            ),
        ),
        (
            &[("terminationGracePeriodSeconds", "+1")],
            None,
            format!(
                "{key}.terminationGracePeriodSeconds: must be a whole number of seconds from 0, not \"+1\""
            ),
        ),
        (
            &[("terminationGracePeriodSeconds", "1.5")],
            None,
            format!(
                "{key}.terminationGracePeriodSeconds: must be a whole number of seconds from 0, not \"1.5\""
            ),
        ),
        (
            &[("terminationGracePeriodSeconds", "99999999999999999999")],
            None,
            format!(
                "{key}.terminationGracePeriodSeconds: must be a whole number of seconds from 0, not \"99999999999999999999\""
            ),
        ),
        (
            &[("preStop", "{")],
            None,
            format!("{key}.preStop: not valid JSON: EOF while parsing an object at line 1 column 1"),
        ),
        (
            &[("preStop", "")],
            None,
            format!("{key}.preStop: not valid JSON: EOF while parsing a value at line 1 column 0"),
        ),
        (
            &[("preStop", "[]")],
            None,
            format!("{key}.preStop: must be an object, not a list"),
        ),
        (
            &[("preStop", "null")],
            None,
            format!("{key}.preStop: must be an object, not null"),
        ),
        (
            &[("preStop", "{}")],
            None,
            format!("{key}.preStop: must specify a handler type"),
        ),
        (
            &[("preStop", r#"{"exec":{}}"#)],
            None,
            format!("{key}.preStop: exec.command: required"),
        ),
        (
            &[("preStop", r#"{"exec":{"command":["a\u0000"]}}"#)],
            None,
            format!("{key}.preStop: must not hold a NUL byte"),
        ),
        (
            &[("preStop", r#"{"exec":{"command":"a"},"bogus":1}"#)],
            None,
            format!(
                "{key}.preStop: bogus: unknown field; exec.command: must be a list, not the string \"a\""
            ),
        ),
        (
            &[("preStop", r#"{"exec":{"command":["a"]},"sleep":{"seconds":1}}"#)],
            None,
            format!("{key}.preStop: sleep: may not specify more than 1 handler type"),
        ),
        (
            &[("preStop", r#"{"tcpSocket":{"port":1}}"#)],
            None,
            format!(
                "{key}.preStop: tcpSocket: not supported: a lifecycle handler of this type always fails, use exec or httpGet"
            ),
        ),
        (
            &[("preStop", r#"{"httpGet":{"port":"web"}}"#)],
            None,
            format!("{key}.preStop: httpGet.port: no port of the container is named \"web\""),
        ),
        (
            &[
                ("postStart", r#"{"sleep":{"seconds":6}}"#),
                ("terminationGracePeriodSeconds", "5"),
            ],
            None,
            format!(
                "{key}.postStart: sleep.seconds: must be between 0 and terminationGracePeriodSeconds (5), inclusive, not 6"
            ),
        ),
        (
            &[
                ("a.preStop", "{}"),
                ("b.stopSignal", "x"),
                ("stopSignal", "y"),
                ("a.stopSignal", "TERM"),
            ],
            Some("a"),
            format!(
                "{key}.a.preStop: must specify a handler type\n\
                 {key}.b.stopSignal: must be a signal name such as SIGUSR1, not \"x\"\n\
                 {key}.stopSignal: must be a signal name such as SIGUSR1, not \"y\""
            ),
        ),
    ] {
        assert_eq!(told(pairs, name), expected);
    }
}

proptest! {
    #[test]
    fn no_annotation_ever_panics_and_every_error_is_one_line(
        pairs in proptest::collection::vec(("(app\\.)?(postStart|preStop|stopSignal|terminationGracePeriodSeconds|.{0,12})", "\\PC{0,40}|\\{\"(exec|sleep|httpGet)\":[\\[\\]{}\":,a-z0-9]{0,30}"), 0..5),
        name in proptest::option::of("[a-z]{1,4}"),
    ) {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        if let Err(errors) = lifecycle(&annotations(&pairs), name.as_deref()) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(error.key.starts_with("org.tenure.lifecycle."));
                prop_assert_eq!(error.message.lines().count(), 1);
            }
        }
    }
}
