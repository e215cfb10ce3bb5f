//! `linux.netDevices`: interfaces of the host that become the container's.
//!
//! The kernel takes the addresses from an interface that changes its network namespace: those that were configured are
//! given back. What becomes of an interface with the container's end is the kernel's to say: a physical one returns to
//! the host, a virtual one is gone.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use libcontainer::network::address::AddressClient;
use libcontainer::network::cidr::CidrAddress;
use libcontainer::network::link::LinkClient;
use libcontainer::network::network_device::{
    dev_change_net_namespace, resolve_device_name, setup_addresses_in_network_namespace,
};
use libcontainer::network::wrapper::create_network_client;
use libcontainer::oci_spec::runtime::Linux;

use crate::{Error, sys};

/// Whether interfaces are to be moved.
pub(crate) fn any(linux: &Linux) -> bool {
    linux.net_devices().as_ref().is_some_and(|d| !d.is_empty())
}

/// Moves the interfaces into the network namespace of init, in the order of their names, and brings them up there.
///
/// Called by the runtime process, which has the right to, once init is in its namespaces.
pub(crate) fn move_all(linux: &Linux, init: i32) -> Result<(), Error> {
    if !any(linux) {
        return Ok(());
    }
    let path = format!("/proc/{init}/ns/net");
    let namespace = File::open(&path).map_err(Error::file("open namespace", &path))?;
    let mut devices: Vec<_> = linux.net_devices().iter().flatten().collect();
    devices.sort_by_key(|(name, _)| *name);
    for (name, device) in devices {
        let addresses = dev_change_net_namespace(name, namespace.as_raw_fd(), device);
        let addresses = addresses.map_err(fail("move", name))?;
        let visit = Visit::to(&namespace)?;
        let settled = settle(resolve_device_name(device, name), &addresses);
        drop(visit);
        settled.map_err(fail("bring up", name))?;
    }
    Ok(())
}

/// A constructor for `map_err`.
fn fail<E: std::error::Error>(what: &str, name: &str) -> impl FnOnce(E) -> Error {
    move |error| {
        let mut reason = format!("cannot {what} network device {name}: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Error::Init { reason }
    }
}

/// Gives an interface of this network namespace its addresses and brings it up.
fn settle(name: &str, addresses: &[CidrAddress]) -> Result<(), libcontainer::network::NetworkError> {
    let mut links = LinkClient::new(create_network_client())?;
    let index = links.get_by_name(name)?.header.index;
    let mut client = AddressClient::new(create_network_client())?;
    setup_addresses_in_network_namespace(addresses, index, name, &mut client)?;
    links.set_up(index)
}

/// This process in another network namespace, until dropped.
struct Visit(File);

impl Visit {
    fn to(namespace: &File) -> Result<Self, Error> {
        let path = "/proc/self/ns/net";
        let own = File::open(path).map_err(Error::file("open namespace", path))?;
        sys::setns(namespace.as_fd(), libc::CLONE_NEWNET)
            .map_err(Error::system("visit the container's network namespace"))?;
        Ok(Self(own))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Err(error) = sys::setns(self.0.as_fd(), libc::CLONE_NEWNET) {
            tracing::warn!(%error, "cannot return to the own network namespace");
        }
    }
}
