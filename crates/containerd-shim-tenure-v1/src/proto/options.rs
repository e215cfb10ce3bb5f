//! What callers set for a runtime: `containerd.runc.v1.Options` (Docker, `ctr --runtime io.containerd.runc.v2` options)
//! and `runtimeoptions.v1.Options` (CRI for any runtime that is not runc's).

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RuncOptions {
    #[prost(bool, tag = "1")]
    pub(crate) no_pivot_root: bool,
    #[prost(bool, tag = "2")]
    pub(crate) no_new_keyring: bool,
    /// Where containers are recorded.
    #[prost(string, tag = "7")]
    pub(crate) root: String,
    #[prost(bool, tag = "9")]
    pub(crate) systemd_cgroup: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RuntimeOptions {
    /// A JSON file with the fields of `config_body`.
    #[prost(string, tag = "2")]
    pub(crate) config_path: String,
    /// JSON: `{"root": "...", "systemdCgroup": true, "noPivotRoot": false, "noNewKeyring": false}`.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) config_body: Vec<u8>,
}
