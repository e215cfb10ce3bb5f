//! How containerd 2.3 and newer start a shim: `containerd.runtime.bootstrap.v1`.

use prost::Message;

/// What containerd writes to the stdin of `start`, as far as it is used.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BootstrapParams {
    #[prost(string, tag = "1")]
    pub(crate) instance_id: String,
    #[prost(string, tag = "2")]
    pub(crate) namespace: String,
    #[prost(string, tag = "5")]
    pub(crate) ttrpc_address: String,
    #[prost(string, tag = "6")]
    pub(crate) grpc_address: String,
}

/// What the shim answers on stdout.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BootstrapResult {
    /// Of the task API.
    #[prost(int32, tag = "1")]
    pub(crate) version: i32,
    #[prost(string, tag = "2")]
    pub(crate) address: String,
    #[prost(string, tag = "3")]
    pub(crate) protocol: String,
}
