//! What the user asked for: a Kubernetes `v1` Pod manifest or the lifecycle annotations of one bundle, read,
//! validated and turned into types that cannot be invalid.
//!
//! Knows: YAML, JSON, the Kubernetes API's field names and rules (`lifecycle-semantics 8`), the OCI config.json that
//! a container's overrides are laid over. Does not know: processes, time, the runtime, where anything is stored.
//!
//! ```text
//! pod.yaml --manifest::load--> Manifest { pod: PodSpec, object: k8s Pod, warnings }
//!                          \-> Vec<Problem>   every error at once, each with document path and line
//! config.json annotations --annotations::lifecycle--> ManagedLifecycle
//! bundle's config.json + ContainerSpec + Placement --oci::config--> the config.json to run
//! ```
//!
//! Contract: a `PodSpec` that exists is valid; every problem is one line with its place; no input makes this crate
//! panic or take more than a few seconds; nothing here reads a file except `manifest::load_file` and
//! `manifest::check_bundles` (and `load` the kernel's randomness, for a uid).

pub mod annotations;
mod capability;
pub mod container;
pub mod dns;
pub mod expand;
pub mod files;
pub mod handler;
pub mod manifest;
pub mod oci;
pub mod pod;
pub mod probe;
mod quantity;
pub mod reference;
pub mod signal;
pub mod sources;
pub mod volume;

pub use container::{
    ContainerSpec, EnvValue, EnvVar, Image, Lifecycle, Port, RestartAction, RestartPolicy, RestartRule,
};
pub use files::{FileSource, Files};
pub use handler::{Handler, HttpGet, PortRef, Scheme};
pub use pod::PodSpec;
pub use sources::Sources;
pub use volume::{Medium, MountPropagation, Volume, VolumeMount, VolumeSource};
