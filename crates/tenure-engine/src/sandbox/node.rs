//! What containers can be told of the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use tenure_spec::reference::NodeFacts;

/// Addresses for documentation: nothing is sent there, they only make the kernel choose a way out.
const ELSEWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// Reads all of it; `root` is where pods are. What cannot be told is empty or 0.
pub(crate) fn facts(root: &Path) -> NodeFacts {
    let name = rustix::system::uname();
    let storage = rustix::fs::statvfs(root).map_or(0, |stat| stat.f_blocks.saturating_mul(stat.f_frsize));
    NodeFacts {
        name: name.nodename().to_string_lossy().into_owned(),
        addresses: ELSEWHERE.into_iter().filter_map(address_towards).collect(),
        cpu_millis: processors().saturating_mul(1000),
        memory_bytes: memory_bytes(),
        ephemeral_storage_bytes: storage,
    }
}

/// The address that this machine has for those who are reached by its default route; `None` without one.
fn address_towards(there: IpAddr) -> Option<String> {
    let any: IpAddr = match there {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(there, 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

/// Processors in use, not only those that we may run on.
fn processors() -> u64 {
    let online = nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN);
    let online = online.ok().flatten();
    online.and_then(|online| u64::try_from(online).ok()).unwrap_or(0)
}

fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        let facts = facts(Path::new("/"));
        assert!(!facts.name.is_empty());
        assert!(facts.cpu_millis >= 1000 && facts.cpu_millis.is_multiple_of(1000));
        assert!(facts.memory_bytes > 1 << 20 && facts.ephemeral_storage_bytes > 1 << 20);
        for address in &facts.addresses {
            assert!(address.parse::<IpAddr>().is_ok(), "{address}");
        }
    }
}
