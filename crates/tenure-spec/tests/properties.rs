//! Nothing that is read makes the reader panic, and what it tells is fit to print.

use std::path::PathBuf;

use proptest::prelude::*;
use tenure_spec::PodSpec;
use tenure_spec::manifest::{Origin, load};

const MANIFEST: &str = r#"apiVersion: v1
kind: Pod
metadata: {name: web, labels: {a: b}}
spec:
  terminationGracePeriodSeconds: 5
  initContainers:
  - {name: init, image: "bundle:init", command: [sh, -c, "echo $(A)"], env: [{name: A, value: b}]}
  containers:
  - name: app
    image: bundle:app
    ports: [{name: web, containerPort: 8080}]
    lifecycle: {postStart: {httpGet: {port: web}}, preStop: {sleep: {seconds: 3}}}
    resources: {limits: {cpu: 500m, memory: 64Mi}}
    securityContext: {runAsUser: 1, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: work, mountPath: /work, subPath: a/b}, {name: all, mountPath: /all, subPath: d/e}]
  volumes:
  - {name: work, emptyDir: {sizeLimit: 1Gi}}
  - {name: words, secret: {secretName: a, optional: true, defaultMode: 0400}}
  - name: all
    projected:
      sources:
      - {configMap: {name: a, optional: true, items: [{key: a, path: b/c, mode: 0600}]}}
      - {downwardAPI: {items: [{path: d/e, fieldRef: {fieldPath: metadata.labels}}, {path: d/f, resourceFieldRef: {containerName: app, resource: limits.cpu}}]}}
"#;

/// Loads a text and checks what is true of every answer.
fn check(text: &[u8]) -> Result<(), TestCaseError> {
    let origin = Origin {
        file: "pod.yaml".into(),
        dir: PathBuf::from("/pods"),
    };
    match load(text, &origin) {
        Ok(manifest) => {
            let json = serde_json::to_string(&manifest.pod)
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            let pod: PodSpec =
                serde_json::from_str(&json).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(pod, manifest.pod);
        }
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            let mut told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            prop_assert!(
                told.iter()
                    .all(|line| line.lines().count() == 1 && line.starts_with("pod.yaml:"))
            );
            prop_assert!(problems.windows(2).all(|pair| pair[0].line <= pair[1].line));
            let all = told.len();
            told.sort();
            told.dedup();
            prop_assert_eq!(told.len(), all);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes)?;
    }

    #[test]
    fn arbitrary_yaml_like_text_never_panics(text in "[-a-z0-9:{}\\[\\],\"'&*!|>#%@ \n\t]{0,200}") {
        check(text.as_bytes())?;
    }

    #[test]
    fn a_mutated_manifest_never_panics(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..12, "[-a-z0-9:{}\\[\\],\"$* \n]{0,8}"), 1..6),
    ) {
        let mut text: Vec<char> = MANIFEST.chars().collect();
        for (at, length, new) in cuts {
            let at = at.index(text.len() + 1).min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, new.chars());
        }
        check(text.into_iter().collect::<String>().as_bytes())?;
    }

    #[test]
    fn a_value_of_any_kind_anywhere_never_panics(
        line in 0_usize..23,
        value in prop::sample::select(vec![
            "null", "5", "-5", "true", "[]", "{}", "[[]]", "\"\"", "\"\\0\"", "1e99", ".nan", "99999999999999999999", "{a: b}", "[1, a]", "|\n  x",
        ]),
    ) {
        let mut lines: Vec<String> = MANIFEST.lines().map(str::to_owned).collect();
        if let Some((key, _)) = lines[line].split_once(": ") {
            lines[line] = format!("{key}: {value}");
        }
        check(lines.join("\n").as_bytes())?;
    }
}

#[test]
fn the_manifest_that_is_mutated_is_a_good_one() {
    let origin = Origin {
        file: "pod.yaml".into(),
        dir: PathBuf::from("/pods"),
    };
    assert!(load(MANIFEST.as_bytes(), &origin).is_ok());
}
