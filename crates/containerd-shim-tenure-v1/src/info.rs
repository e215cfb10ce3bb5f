//! `-v` and `-info`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use prost::Message;

use crate::proto::Any;
use crate::proto::types::{RuntimeInfo, RuntimeVersion};

/// The type of the features in containerd's registry; their value is JSON.
const FEATURES: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/// Prints the version.
pub(crate) fn version() -> Result<(), String> {
    print(format!("{}:\n  Version: {}\n", crate::NAME, env!("CARGO_PKG_VERSION")).as_bytes())
}

/// Prints what the runtime can do, as containerd's `RuntimeInfo`.
pub(crate) fn info(features: &str) -> Result<(), String> {
    let info = RuntimeInfo {
        name: "io.containerd.tenure.v1".to_owned(),
        version: Some(RuntimeVersion {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: String::new(),
        }),
        features: Some(Any {
            type_url: FEATURES.to_owned(),
            value: features.as_bytes().to_vec(),
        }),
        annotations: BTreeMap::new(),
    };
    print(&info.encode_to_vec())
}

/// Writes an answer to stdout.
pub(crate) fn print(bytes: &[u8]) -> Result<(), String> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| format!("stdout: {error}"))
}
