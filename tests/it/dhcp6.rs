//! The whole daemon over IPv6: hand-made DHCPv6 messages on loopback, and the files that devices
//! fetch from the addresses they were given.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use greenlight::address::Mac;
use greenlight::clock::Clock;
use greenlight::daemon::{self, Running};
use greenlight::domain::run::{Phase, Run};
use greenlight::entropy::Entropy;
use greenlight::files;
use greenlight::proto::dhcp6::association::{Address, Status, StatusCode};
use greenlight::proto::dhcp6::{Datagram, Duid, Message, MessageType, Options, Relay, code};
use greenlight::service::memory::{Lease6, Query};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const INVENTORY: &str = "
sites: { bma: {} }
defaults: { platform: frr, template: frr.j2, credentials: [{ username: u, password: { file: p } }] }
devices:
  - { name: sw1, site: bma, mac: '02:00:00:00:00:01' }
  - { name: sw2, site: bma, position: { circuit_id: Gi1/0/3, remote_id: access-9 } }
  - { name: sw3, site: bma, serial: FOC3 }
  - { name: sw4, site: bma, mac: '02:00:00:00:00:04', address6: '::9' }
";

const CONFIG: &str = "
dhcp6:
  listen: ['[::1]:0']
  server_address: '::2'
  valid_lifetime: 2h
  preferred_lifetime: 1h
  pools:
    - { subnet: '::/120', range: '::1 - ::1f', dns: ['2001:db8::53'], search: [mgmt.example.net] }
    - { subnet: '2001:db8:0:9::/64', range: '2001:db8:0:9::10 - 2001:db8:0:9::1f' }
tftp: { listen: ['[::1]:0'] }
http: { listen: ['[::1]:0'] }
";

fn write(folder: &Path, config: &str) {
    std::fs::create_dir_all(folder.join("templates")).unwrap();
    std::fs::write(folder.join("templates/frr.j2"), "hostname {{ device.name }}\n").unwrap();
    std::fs::write(folder.join("p"), "secret").unwrap();
    std::fs::write(folder.join("inventory.yaml"), INVENTORY).unwrap();
    std::fs::write(folder.join("greenlight.yaml"), config).unwrap();
}

async fn serving(folder: &Path, config: &str) -> Running {
    write(folder, config);
    let loaded = files::load(&folder.join("greenlight.yaml")).unwrap_or_else(|complaints| {
        panic!("{}", complaints.iter().map(|c| format!("{c}\n")).collect::<String>())
    });
    daemon::start(&loaded, Clock::System, Entropy::System).await.unwrap()
}

/// One client, or the relay nearest to the server.
struct Client {
    socket: UdpSocket,
    server: SocketAddr,
    duid: Duid,
    transaction: u32,
}

impl Client {
    async fn new(running: &Running, duid: Duid) -> Self {
        let socket = UdpSocket::bind("[::1]:0").await.unwrap();
        Self { socket, server: running.dhcp6[0], duid, transaction: 0x10_0000 }
    }

    fn message(&mut self, kind: MessageType) -> Message {
        self.transaction += 1;
        Message::new(kind, self.transaction)
            .with(code::CLIENT_ID, self.duid.bytes())
            .with(code::ELAPSED_TIME, [0, 0])
    }

    async fn send(&self, datagram: &Datagram) {
        self.socket.send_to(&datagram.encode(), self.server).await.unwrap();
    }

    /// The next datagram of the server.
    async fn hear(&self) -> Datagram {
        let mut buffer = vec![0; 2048];
        let heard = tokio::time::timeout(Duration::from_secs(5), self.socket.recv(&mut buffer));
        let length = heard.await.expect("the server does not answer").unwrap();
        Datagram::decode(&buffer[..length]).unwrap()
    }

    async fn ask(&mut self, message: Message) -> Message {
        self.send(&Datagram::bare(message.clone())).await;
        let answer = self.hear().await.message;
        assert_eq!(answer.transaction, message.transaction, "{answer:?}");
        assert_eq!(answer.client_id().as_ref(), Some(&self.duid));
        answer
    }

    /// Solicit and Request of one address.
    async fn bind(&mut self) -> Message {
        let solicit = self.message(MessageType::Solicit).with(code::IA_NA, association(7, &[]));
        let advertise = self.ask(solicit).await;
        assert_eq!(advertise.kind, MessageType::Advertise);
        let (server, offered) = (server(&advertise), addresses(&advertise)[0].address);
        let request = self
            .message(MessageType::Request)
            .with(code::SERVER_ID, server.bytes())
            .with(code::IA_NA, association(7, &[offered]));
        self.ask(request).await
    }

    fn about(&mut self, kind: MessageType, server: &Duid, address: Ipv6Addr) -> Message {
        self.message(kind)
            .with(code::SERVER_ID, server.bytes())
            .with(code::IA_NA, association(7, &[address]))
    }
}

/// The inside of an IA_NA with these addresses (RFC 8415 sections 21.4 and 21.6).
fn association(iaid: u32, addresses: &[Ipv6Addr]) -> Vec<u8> {
    let mut bytes = [&iaid.to_be_bytes()[..], &[0; 8]].concat();
    for address in addresses {
        bytes.extend([0, 5, 0, 24]);
        bytes.extend(address.octets());
        bytes.extend([0; 8]);
    }
    bytes
}

fn server(message: &Message) -> Duid {
    message.server_id().unwrap()
}

/// The inside of the first IA_NA.
fn inside(message: &Message) -> Options {
    Options::read(&message.option(code::IA_NA).unwrap()[12..])
}

fn addresses(message: &Message) -> Vec<Address> {
    inside(message).all(code::IA_ADDRESS).map(|value| Address::of(value).unwrap()).collect()
}

fn status(options: &Options) -> StatusCode {
    Status::of(options).map_or(StatusCode::Success, |status| status.code)
}

fn url(message: &Message) -> String {
    String::from_utf8(message.option(code::BOOT_FILE_URL).unwrap().to_vec()).unwrap()
}

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn mac(last: u8) -> Mac {
    Mac::new([2, 0, 0, 0, 0, last])
}

async fn leases(running: &Running) -> Vec<Lease6> {
    running.memory.ask(Query::Leases6).await.unwrap()
}

async fn run_of(running: &Running, device: &str) -> Run {
    let runs = running.memory.ask(Query::LatestRuns).await.unwrap();
    runs.into_iter().find(|run| run.device == device).unwrap()
}

/// What HTTP answers to this path, asked from `::1`.
async fn get(running: &Running, path: &str) -> String {
    let mut stream = TcpStream::connect(running.http[0]).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_messages_give_an_address_a_file_and_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let running = serving(folder.path(), CONFIG).await;
    assert!(get(&running, "/sw1.cfg").await.starts_with("HTTP/1.1 404"), "nobody leases ::1 yet");
    let mut client = Client::new(&running, Duid::link_layer(mac(1))).await;
    let reply = client.bind().await;
    assert_eq!(reply.kind, MessageType::Reply);
    let given = addresses(&reply);
    assert_eq!(given.len(), 1);
    assert_eq!(
        (given[0].address, given[0].preferred_seconds, given[0].valid_seconds),
        (ip("::1"), 3600, 7200)
    );
    let times = &reply.option(code::IA_NA).unwrap()[4..12];
    assert_eq!(times, [1800u32.to_be_bytes(), 2880u32.to_be_bytes()].concat(), "T1 and T2");
    assert_eq!(reply.option(code::DNS_SERVERS).unwrap(), ip("2001:db8::53").octets());
    assert_eq!(reply.option(code::DOMAIN_LIST).unwrap(), b"\x04mgmt\x07example\x03net\0");
    assert_eq!(url(&reply), "tftp://[::2]/sw1.cfg");
    let row = &leases(&running).await[0];
    assert_eq!((row.address, row.iaid, row.mac), (ip("::1"), 7, Some(mac(1))));
    assert_eq!((row.device.as_deref(), &row.duid), (Some("sw1"), &client.duid.to_string()));
    let run = run_of(&running, "sw1").await;
    assert_eq!(run.address, Some(IpAddr::V6(ip("::1"))));
    assert!(matches!(run.phase, Phase::Addressed { .. }), "{:?}", run.phase);
    let file = get(&running, "/sw1.cfg").await;
    assert!(file.starts_with("HTTP/1.1 200") && file.ends_with("hostname sw1\n"), "{file}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_is_extended_confirmed_released_and_declined() {
    let folder = tempfile::tempdir().unwrap();
    let running = serving(folder.path(), CONFIG).await;
    let mut client = Client::new(&running, Duid::link_layer(mac(1))).await;
    let reply = client.bind().await;
    let (server, held) = (server(&reply), addresses(&reply)[0].address);
    assert_eq!(held, ip("::1"));
    let renew = client.about(MessageType::Renew, &server, held);
    assert_eq!(addresses(&client.ask(renew).await)[0].valid_seconds, 7200);
    let rebind = client.message(MessageType::Rebind).with(code::IA_NA, association(7, &[held]));
    assert_eq!(addresses(&client.ask(rebind).await)[0].address, held);
    for (address, expected) in
        [(held, StatusCode::Success), (ip("2001:db8:5::1"), StatusCode::NotOnLink)]
    {
        let confirm =
            client.message(MessageType::Confirm).with(code::IA_NA, association(7, &[address]));
        assert_eq!(status(&client.ask(confirm).await.options), expected, "{address}");
    }
    let elsewhere = client.about(MessageType::Request, &server, ip("2001:db8:5::1"));
    assert_eq!(status(&inside(&client.ask(elsewhere).await)), StatusCode::NotOnLink);
    assert_eq!(leases(&running).await.len(), 1);
    let release = client.about(MessageType::Release, &server, held);
    assert_eq!(status(&client.ask(release).await.options), StatusCode::Success);
    assert_eq!(leases(&running).await, [], "the end is stored before it is confirmed");
    let release = client.about(MessageType::Release, &server, held);
    assert_eq!(status(&inside(&client.ask(release).await)), StatusCode::NoBinding);
    assert_eq!(addresses(&client.bind().await)[0].address, held, "it finds it again");
    let decline = client.about(MessageType::Decline, &server, held);
    assert_eq!(status(&client.ask(decline).await.options), StatusCode::Success);
    let resting = running.memory.ask(Query::Quarantined).await.unwrap();
    assert_eq!(resting.keys().collect::<Vec<_>>(), [&IpAddr::V6(held)]);
    let next = ip("::3");
    assert_eq!(addresses(&client.bind().await)[0].address, next, "::2 is the server's");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_messages_suffice_where_both_sides_want_it_and_parameters_bind_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rapid = CONFIG.replace("dhcp6:\n", "dhcp6:\n  rapid_commit: true\n");
    let running = serving(folder.path(), &rapid).await;
    let mut client = Client::new(&running, Duid::link_layer(mac(1))).await;
    let inform = client.message(MessageType::InformationRequest);
    let told = client.ask(inform).await;
    assert_eq!((told.kind, url(&told)), (MessageType::Reply, "tftp://[::2]/sw1.cfg".to_owned()));
    assert_eq!((told.option(code::IA_NA), leases(&running).await), (None, vec![]));
    let solicit = client
        .message(MessageType::Solicit)
        .with(code::RAPID_COMMIT, [])
        .with(code::IA_NA, association(7, &[]));
    let reply = client.ask(solicit).await;
    assert_eq!((reply.kind, reply.rapid_commit()), (MessageType::Reply, true));
    assert_eq!(leases(&running).await.len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_two_relays_tells_link_and_port_and_gets_its_answer_back() {
    let folder = tempfile::tempdir().unwrap();
    let running = serving(folder.path(), CONFIG).await;
    let mut client = Client::new(&running, Duid::uuid([9; 16])).await;
    let remote_id = [&9u32.to_be_bytes()[..], b"access-9"].concat();
    let near = Relay {
        hop_count: 0,
        link: ip("2001:db8:0:9::1"),
        peer: ip("fe80::77"),
        options: Options::default()
            .with(code::INTERFACE_ID, *b"Gi1/0/3")
            .with(code::REMOTE_ID, remote_id),
    };
    let far = Relay {
        hop_count: 1,
        link: ip("::"),
        peer: ip("fe80::1"),
        options: Options::default().with(code::INTERFACE_ID, [0, 0, 0, 9]),
    };
    let relays = vec![far, near];
    let mut offered = Vec::new();
    for kind in [MessageType::Solicit, MessageType::Request] {
        let mut message = client.message(kind).with(code::IA_NA, association(1, &offered));
        if kind == MessageType::Request {
            let name = leases6_server(&running).await;
            message = message.with(code::SERVER_ID, name.bytes());
        }
        client.send(&Datagram { relays: relays.clone(), ..Datagram::bare(message) }).await;
        let answer = client.hear().await;
        assert!(answer.towards_client);
        let echoed: Vec<_> = answer
            .relays
            .iter()
            .map(|relay| (relay.hop_count, relay.peer, relay.interface_id().map(<[u8]>::to_vec)))
            .collect();
        assert_eq!(
            echoed,
            [
                (1, ip("fe80::1"), Some(vec![0, 0, 0, 9])),
                (0, ip("fe80::77"), Some(b"Gi1/0/3".to_vec())),
            ]
        );
        offered = vec![addresses(&answer.message)[0].address];
        assert_eq!(url(&answer.message), "tftp://[::2]/sw2.cfg");
    }
    assert_eq!(offered, [ip("2001:db8:0:9::10")], "from the pool of the link");
    let row = &leases(&running).await[0];
    assert_eq!((row.device.as_deref(), row.mac), (Some("sw2"), None));
    running.stop().await;
}

async fn leases6_server(running: &Running) -> Duid {
    greenlight::service::leases6::name::of_server(&running.memory, &Entropy::System).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_class_and_a_relay_s_word_tell_who_it_is_and_a_stranger_is_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let running = serving(folder.path(), CONFIG).await;
    let mut client = Client::new(&running, Duid::uuid([3; 16])).await;
    let text = b"greenlight-frr:vm:FOC3";
    let class = [&[0, 0, 0, 9, 0, u8::try_from(text.len()).unwrap()][..], text].concat();
    let solicit = |client: &mut Client| {
        client.message(MessageType::Solicit).with(code::IA_NA, association(7, &[]))
    };
    // Nobody knows this DUID; the next one is known, and its answer is the first that comes.
    let stranger = solicit(&mut client);
    client.send(&Datagram::bare(stranger)).await;
    let known = solicit(&mut client).with(code::VENDOR_CLASS, class);
    assert_eq!(url(&client.ask(known).await), "tftp://[::2]/sw3.cfg");
    // Option 79 of the relay.
    let message = solicit(&mut client);
    let options = Options::default()
        .with(code::CLIENT_LINK_LAYER_ADDRESS, [&[0, 1][..], &mac(4).octets()].concat());
    let near = Relay { hop_count: 0, link: ip("::9"), peer: ip("fe80::4"), options };
    client.send(&Datagram { relays: vec![near], ..Datagram::bare(message) }).await;
    assert_eq!(url(&client.hear().await.message), "tftp://[::2]/sw4.cfg");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_leases_and_the_server_s_name() {
    let folder = tempfile::tempdir().unwrap();
    let running = serving(folder.path(), CONFIG).await;
    let mut client = Client::new(&running, Duid::link_layer(mac(1))).await;
    let reply = client.bind().await;
    let mut other = Client::new(&running, Duid::link_layer(mac(4))).await;
    let planned = addresses(&other.bind().await)[0].address;
    assert_eq!(planned, ip("::9"));
    let name = server(&reply);
    running.stop().await;
    let running = serving(folder.path(), CONFIG).await;
    client.server = running.dhcp6[0];
    let renew = client.about(MessageType::Renew, &name, ip("::1"));
    let renewed = client.ask(renew).await;
    assert_eq!((server(&renewed), addresses(&renewed)[0].address), (name, ip("::1")));
    assert!(get(&running, "/sw1.cfg").await.starts_with("HTTP/1.1 200"));
    other.server = running.dhcp6[0];
    assert_eq!(addresses(&other.bind().await)[0].address, planned);
    running.stop().await;
}
