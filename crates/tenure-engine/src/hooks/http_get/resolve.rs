//! Names to addresses: the host's /etc/hosts and the name servers of its /etc/resolv.conf, asked from inside the
//! pod's network namespace. A static program cannot load the C library's resolver.

use std::fs;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE};
use tenure_supervise::netns;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The most name servers and search domains that are used, as in the C library.
const MOST_SERVERS: usize = 3;
const MOST_SEARCH_DOMAINS: usize = 6;
const DNS_PORT: u16 = 53;

/// How names are looked up.
#[derive(Debug)]
pub(super) struct Resolver {
    hosts: String,
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    /// A name with fewer dots is tried with the search domains first.
    dots: usize,
    /// For one question to one server.
    timeout: Duration,
    attempts: usize,
}

impl Resolver {
    /// As the host's files say now. A missing file says nothing.
    pub(super) fn of_the_host() -> Self {
        let read = |path: &str| fs::read(path).unwrap_or_default();
        let text = |path| String::from_utf8_lossy(&read(path)).into_owned();
        Self::new(text("/etc/hosts"), &text("/etc/resolv.conf"))
    }

    fn new(hosts: String, configuration: &str) -> Self {
        let mut resolver = Self {
            hosts,
            servers: Vec::new(),
            search: Vec::new(),
            dots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in configuration.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(|address| address.parse::<IpAddr>().ok());
                    resolver
                        .servers
                        .extend(server.map(|address| SocketAddr::new(address, DNS_PORT)));
                }
                Some("search" | "domain") => {
                    resolver.search = words.take(MOST_SEARCH_DOMAINS).map(str::to_owned).collect();
                }
                Some("options") => words.for_each(|option| resolver.set(option)),
                _ => {}
            }
        }
        resolver.servers.truncate(MOST_SERVERS);
        if resolver.servers.is_empty() {
            resolver
                .servers
                .push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DNS_PORT));
        }
        resolver
    }

    fn set(&mut self, option: &str) {
        let Some((name, Ok(value))) = option
            .split_once(':')
            .map(|(name, value)| (name, value.parse::<u8>()))
        else {
            return;
        };
        // The C library's own limits.
        match name {
            "ndots" => self.dots = usize::from(value.min(15)),
            "timeout" => self.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
            "attempts" => self.attempts = usize::from(value.clamp(1, 5)),
            _ => {}
        }
    }

    /// The addresses of a name, IPv4 first, at least one.
    pub(super) async fn addresses(&self, host: &str, network: Option<&Path>) -> io::Result<Vec<IpAddr>> {
        let known = self.in_hosts_file(host);
        if !known.is_empty() {
            return Ok(known);
        }
        if host.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        for name in self.candidates(host) {
            for kind in [TYPE::A, TYPE::AAAA] {
                let found = self.ask(&name, kind, network).await?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "there is no such name"))
    }

    fn in_hosts_file(&self, host: &str) -> Vec<IpAddr> {
        let of_line = |line: &str| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse::<IpAddr>().ok()?;
            words
                .any(|name| name.eq_ignore_ascii_case(host))
                .then_some(address)
        };
        let mut found: Vec<IpAddr> = self.hosts.lines().filter_map(of_line).collect();
        found.sort_by_key(IpAddr::is_ipv6);
        found
    }

    /// The full names that a name may stand for, in the order in which they are tried.
    fn candidates(&self, host: &str) -> Vec<String> {
        if let Some(full) = host.strip_suffix('.') {
            return vec![full.to_owned()];
        }
        let searched = self
            .search
            .iter()
            .map(|domain| format!("{host}.{}", domain.trim_end_matches('.')));
        let as_it_is = std::iter::once(host.to_owned());
        if host.matches('.').count() >= self.dots {
            as_it_is.chain(searched).collect()
        } else {
            searched.chain(as_it_is).collect()
        }
    }

    /// The records of one name; empty when the servers say that there are none.
    async fn ask(&self, name: &str, kind: TYPE, network: Option<&Path>) -> io::Result<Vec<IpAddr>> {
        let invalid = |_| io::Error::new(io::ErrorKind::InvalidInput, "it is not a name");
        let mut query = Packet::new_query(random_id()?);
        query.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = Name::new(name).map_err(invalid)?;
        query
            .questions
            .push(Question::new(name, QTYPE::TYPE(kind), CLASS::IN.into(), false));
        let query = query.build_bytes_vec().map_err(invalid)?;
        let mut failure = io::Error::from(io::ErrorKind::TimedOut);
        for server in self
            .servers
            .iter()
            .cycle()
            .take(self.servers.len() * self.attempts)
        {
            match tokio::time::timeout(self.timeout, exchange(&query, *server, network)).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::Error::new(io::ErrorKind::TimedOut, "no name server answers"),
            }
        }
        Err(failure)
    }
}

/// Nobody who cannot see the question should be able to answer it.
fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    fs::File::open("/dev/urandom")?.read_exact(&mut id)?;
    Ok(u16::from_ne_bytes(id))
}

/// One question to one server: by UDP, and by TCP when the answer is too long for that.
async fn exchange(query: &[u8], server: SocketAddr, network: Option<&Path>) -> io::Result<Vec<IpAddr>> {
    let socket = netns::connect_udp(network, server).await?;
    socket.send(query).await?;
    let mut buffer = [0; 1500];
    loop {
        let count = socket.recv(&mut buffer).await?;
        match read_answer(query, &buffer[..count]) {
            // Not an answer to this question.
            None => {}
            Some(Answer::Found(found)) => return Ok(found),
            Some(Answer::Cut) => break,
            Some(Answer::Refused) => return Err(io::Error::other("the name server refuses")),
        }
    }
    let mut stream = netns::connect(network, server).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&length.to_be_bytes()[..], query].concat())
        .await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    match read_answer(query, &answer) {
        Some(Answer::Found(found)) => Ok(found),
        Some(Answer::Cut | Answer::Refused) | None => Err(io::Error::other("the name server refuses")),
    }
}

enum Answer {
    Found(Vec<IpAddr>),
    Cut,
    Refused,
}

/// `None` when the bytes are not an answer to the query.
fn read_answer(query: &[u8], answer: &[u8]) -> Option<Answer> {
    let (query, answer) = (Packet::parse(query).ok()?, Packet::parse(answer).ok()?);
    let same_question = match (query.questions.as_slice(), answer.questions.as_slice()) {
        ([asked], [answered]) => {
            let (asked_name, name) = (asked.qname.to_string(), answered.qname.to_string());
            asked_name.eq_ignore_ascii_case(&name) && asked.qtype == answered.qtype
        }
        _ => false,
    };
    if answer.id() != query.id() || !answer.has_flags(PacketFlag::RESPONSE) || !same_question {
        return None;
    }
    if answer.has_flags(PacketFlag::TRUNCATION) {
        return Some(Answer::Cut);
    }
    match answer.rcode() {
        RCODE::NoError => {
            let address = |data: &RData<'_>| match data {
                RData::A(a) => Some(IpAddr::from(Ipv4Addr::from(a.address))),
                RData::AAAA(a) => Some(IpAddr::from(Ipv6Addr::from(a.address))),
                _ => None,
            };
            Some(Answer::Found(
                answer
                    .answers
                    .iter()
                    .filter_map(|record| address(&record.rdata))
                    .collect(),
            ))
        }
        RCODE::NameError => Some(Answer::Found(Vec::new())),
        _ => Some(Answer::Refused),
    }
}

#[cfg(test)]
mod tests {
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::A;
    use tokio::net::UdpSocket;

    use super::*;

    const HOSTS: &str =
        "127.0.0.1 localhost\n::1 localhost v6\n# 9.9.9.9 no\n10.0.0.7\tWeb web.test # 10.0.0.8 x\n";

    fn resolver(configuration: &str) -> Resolver {
        Resolver::new(HOSTS.to_owned(), configuration)
    }

    #[test]
    fn the_hosts_file_comes_first() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let find = |name| runtime.block_on(resolver("").addresses(name, None)).unwrap();
        assert_eq!(find("web"), ["10.0.0.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(find("WEB.test"), ["10.0.0.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(find("localhost").len(), 2);
        assert_eq!(find("localhost.").len(), 2);
        assert!(find("v6")[0].is_ipv6());
        assert!(resolver("").in_hosts_file("no").is_empty() && resolver("").in_hosts_file("x").is_empty());
    }

    #[test]
    fn the_configuration_is_read_as_the_c_library_does() {
        let text = "nameserver 10.0.0.1\nnameserver fe80::1\n; x\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n\
                    search a.test b.test.\noptions ndots:2 timeout:1 rotate attempts:9\n";
        let resolver = resolver(text);
        assert_eq!(resolver.servers.len(), 3);
        assert_eq!((resolver.timeout, resolver.attempts), (Duration::from_secs(1), 5));
        assert_eq!(resolver.candidates("x.y"), ["x.y.a.test", "x.y.b.test", "x.y"]);
        assert_eq!(
            resolver.candidates("x.y.z"),
            ["x.y.z", "x.y.z.a.test", "x.y.z.b.test"]
        );
        assert_eq!(resolver.candidates("x."), ["x"]);
    }

    /// Answers `found.test` with an address, after a forged answer; knows no other name.
    async fn serve(socket: UdpSocket) {
        let mut buffer = [0; 1500];
        loop {
            let (count, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Packet::parse(&buffer[..count]).unwrap();
            let question = query.questions[0].clone();
            let mut reply = Packet::new_reply(query.id());
            if question.qname.to_string() != "found.test" {
                *reply.rcode_mut() = RCODE::NameError;
            } else if question.qtype == QTYPE::TYPE(TYPE::A) {
                let data = RData::A(A::from(Ipv4Addr::new(10, 1, 2, 3)));
                reply
                    .answers
                    .push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 1, data));
            }
            reply.questions.push(question);
            let good = reply.build_bytes_vec().unwrap();
            reply.set_id(query.id().wrapping_add(1));
            socket
                .send_to(&reply.build_bytes_vec().unwrap(), peer)
                .await
                .unwrap();
            socket.send_to(&good, peer).await.unwrap();
        }
    }

    #[test]
    fn a_name_server_is_asked_and_forged_answers_are_not_taken() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let mut resolver = resolver("search test\n");
            resolver.servers = vec![socket.local_addr().unwrap()];
            let look_up = async {
                let found = resolver.addresses("found", None).await.unwrap();
                assert_eq!(found, [IpAddr::from([10, 1, 2, 3])]);
                let error = resolver.addresses("absent.test", None).await.unwrap_err();
                assert_eq!(error.to_string(), "there is no such name");
                assert!(resolver.addresses(&"x".repeat(64), None).await.is_err());
            };
            tokio::select! {
                () = serve(socket) => {}
                () = look_up => {}
            }
        });
    }

    #[test]
    fn a_silent_name_server_is_given_up() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let mut resolver = resolver("");
            resolver.servers = vec![silent.local_addr().unwrap()];
            let error = resolver.addresses("a.test", None).await.unwrap_err();
            assert_eq!(error.to_string(), "no name server answers");
        });
    }
}
