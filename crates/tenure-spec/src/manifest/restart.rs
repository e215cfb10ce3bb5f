//! The restart rules of a container (`lifecycle-semantics 5.3`).

use std::collections::HashSet;

use k8s_openapi::api::core::v1 as k8s;

use super::check::Check;
use super::report::Path;
use crate::container::{RestartAction, RestartRule};

/// The most rules of a container, and the most codes of a rule.
const MOST_RULES: usize = 20;
const MOST_CODES: usize = 255;

impl Check<'_> {
    /// Checks `restartPolicyRules`.
    pub(crate) fn restart_rules(&mut self, container: &k8s::Container, path: &Path) -> Vec<RestartRule> {
        let rules = container.restart_policy_rules.as_deref().unwrap_or_default();
        if !rules.is_empty() && container.restart_policy.as_deref().unwrap_or("").is_empty() {
            let message = "must specify restartPolicy when restart rules are used";
            self.error(&path.field("restartPolicy"), message);
        }
        let path = path.field("restartPolicyRules");
        if rules.len() > MOST_RULES {
            self.error(&path, format!("must have at most {MOST_RULES} items"));
        }
        let rules = rules.iter().enumerate();
        rules
            .filter_map(|(index, rule)| self.restart_rule(rule, &path.index(index)))
            .collect()
    }

    fn restart_rule(&mut self, rule: &k8s::ContainerRestartRule, path: &Path) -> Option<RestartRule> {
        let actions = [
            ("Restart", RestartAction::Restart),
            ("RestartAllContainers", RestartAction::RestartAllContainers),
        ];
        if rule.action.is_empty() {
            self.error(&path.field("action"), "required");
        }
        let action = self.word(&path.field("action"), Some(&rule.action), &actions);
        let path = path.field("exitCodes");
        let Some(codes) = &rule.exit_codes else {
            self.error(&path, "required");
            return None;
        };
        let operators = [("In", false), ("NotIn", true)];
        if codes.operator.is_empty() {
            self.error(&path.field("operator"), "required");
        }
        let excludes = self.word(&path.field("operator"), Some(&codes.operator), &operators);
        let values = codes.values.as_deref().unwrap_or_default();
        if values.is_empty() {
            self.error(&path.field("values"), "required");
        }
        if values.len() > MOST_CODES {
            self.error(
                &path.field("values"),
                format!("must have at most {MOST_CODES} items"),
            );
        }
        let mut seen = HashSet::new();
        let mut checked = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let path = path.field("values").index(index);
            match u8::try_from(*value) {
                Ok(code) if seen.insert(code) => checked.push(code),
                Ok(_) => self.error(&path, format!("duplicate value {value}")),
                Err(_) => self.error(
                    &path,
                    format!("must be between 0 and 255, inclusive, not {value}"),
                ),
            }
        }
        Some(RestartRule {
            action: action?,
            excludes: excludes?,
            codes: checked,
        })
    }
}
