//! `process`: program, environment, working directory, terminal.

use serde_json::{Value, json};

use super::{ConfigProblem, Overlay, describe};
use crate::container::EnvValue;
use crate::expand::Environment;

impl Overlay<'_> {
    pub(super) fn process(&mut self) -> Result<(), ConfigProblem> {
        if !self.config.contains_key("process") {
            return Err(self.bundle("process", "required"));
        }
        let environment = self.environment()?;
        let args = self.args(&environment)?;
        let env: Vec<Value> = self
            .with_runtime_variables(environment)
            .map(Value::from)
            .collect();
        let working_dir = match &self.container.working_dir {
            Some(dir) => Some(self.text_of(dir)?),
            None => None,
        };
        let tty = self.container.tty;
        let process = self.object("process")?;
        process.insert("args".into(), args.into());
        process.insert("env".into(), env.into());
        if let Some(dir) = working_dir {
            process.insert("cwd".into(), dir.into());
        }
        process.entry("cwd").or_insert_with(|| json!("/"));
        process.insert("terminal".into(), tty.into());
        let has_size = process.get("consoleSize").is_some_and(|size| {
            let side = |key: &str| size.get(key).and_then(Value::as_u64).unwrap_or(0);
            side("height") > 0 && side("width") > 0
        });
        if !tty {
            process.remove("consoleSize");
        } else if !has_size {
            // Nobody looks at it who had a window: what programs take for a terminal's usual size.
            process.insert("consoleSize".into(), json!({"height": 24, "width": 80}));
        }
        Ok(())
    }

    /// The strings of a list of the process.
    fn strings(&mut self, key: &str) -> Result<Vec<String>, ConfigProblem> {
        let list = self.list("process", key)?.clone();
        let mut strings = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            match value.as_str() {
                Some(text) => strings.push(text.to_owned()),
                None => {
                    let message = format!("must be a string, not {}", describe(value));
                    return Err(self.bundle(&format!("process.{key}[{index}]"), message));
                }
            }
        }
        Ok(strings)
    }

    /// The bundle's variables, the manifest's laid over them in order.
    fn environment(&mut self) -> Result<Environment, ConfigProblem> {
        let base = self.strings("env")?;
        let mut environment = Environment::from_entries(base.iter().map(String::as_str));
        let known = &self.placement.known;
        for wanted in &self.container.env_from {
            let variables = known.sources.variables(wanted);
            for (name, value) in variables.map_err(|message| self.refused(message))? {
                environment.set(&name, value.to_owned());
            }
        }
        for var in &self.container.env {
            match &var.value {
                EnvValue::Literal(text) => environment.set_expanded(&var.name, text),
                EnvValue::Key(key) => {
                    let value = known
                        .sources
                        .value(key)
                        .map_err(|message| self.refused(message))?;
                    if let Some(value) = value {
                        environment.set(&var.name, value.to_owned());
                    }
                }
                EnvValue::Field(field) => environment.set(&var.name, field.resolve(self.pod, known)),
                EnvValue::Resource(resource) => {
                    let amount = resource.resolve(self.pod, self.container, known);
                    environment.set(&var.name, amount);
                }
            }
        }
        Ok(environment)
    }

    /// The variables that a container runtime adds: `$(VAR)` does not see them.
    fn with_runtime_variables(&self, mut environment: Environment) -> impl Iterator<Item = String> {
        let hostname = self
            .placement
            .hostname
            .clone()
            .filter(|hostname| !hostname.is_empty());
        if let Some(hostname) = hostname
            && environment.get("HOSTNAME").is_none()
        {
            environment.set("HOSTNAME", hostname);
        }
        if self.container.tty && environment.get("TERM").is_none() {
            environment.set("TERM", "xterm".into());
        }
        environment.entries().collect::<Vec<_>>().into_iter()
    }

    fn args(&mut self, environment: &Environment) -> Result<Vec<String>, ConfigProblem> {
        let base = self.strings("args")?;
        let expanded = |list: &[String]| {
            list.iter()
                .map(|text| environment.expand(text))
                .collect::<Vec<_>>()
        };
        let args = match (&self.container.command, &self.container.args) {
            (Some(command), args) => {
                let mut whole = expanded(command);
                whole.extend(expanded(args.as_deref().unwrap_or_default()));
                whole
            }
            (None, Some(args)) => {
                let mut whole: Vec<String> = base.into_iter().take(1).collect();
                if whole.is_empty() {
                    return Err(self.bundle(
                        "process.args",
                        "required: the manifest gives args without a command",
                    ));
                }
                whole.extend(expanded(args));
                whole
            }
            (None, None) => base,
        };
        match args.first() {
            Some(program) if !program.is_empty() => Ok(args),
            Some(_) => Err(self.refused("the program's name is empty")),
            None => Err(self.bundle("process.args", "required: the manifest gives no command either")),
        }
    }
}
