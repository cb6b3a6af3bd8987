//! Lives of devices against a DHCP and a TFTP server that know just enough to be asked.

use tokio::net::UdpSocket;
use tokio::sync::broadcast::Receiver;

use super::*;
use crate::address::Mac;
use crate::proto::dhcp4::{Message, MessageType, code};
use crate::sim::cabling::{LldpTiming, Plant};
use crate::sim::chassis::{Kind, Login};
use crate::sim::diary::Entry;

/// Longer than two blocks.
fn served() -> String {
    let mut text = String::from(
        "hostname acc-1\nusername admin privilege 15 secret Wonder!Land\nntp server 10.0.0.9\n",
    );
    for port in 1..=40 {
        text.push_str(&format!("interface GigabitEthernet1/0/{port}\n description port {port}\n"));
    }
    text
}

/// Requests as the servers saw them: names asked, and whether the reader sent ERROR.
#[derive(Debug, Default)]
struct Heard {
    dhcp: Vec<Message>,
    asked: Vec<(String, SocketAddr)>,
    errors: usize,
}

type Log = Arc<std::sync::Mutex<Heard>>;

async fn dhcp_server(socket: UdpSocket, give: Ipv4Addr, file: &'static str, log: Log) {
    let mut bytes = [0; 1500];
    loop {
        let (length, peer) = socket.recv_from(&mut bytes).await.unwrap();
        let asked = Message::decode(&bytes[..length]).unwrap();
        let kind = match asked.message_type() {
            Some(MessageType::Discover) => MessageType::Offer,
            Some(MessageType::Request) => MessageType::Ack,
            other => panic!("{other:?}"),
        };
        let answer = Message { yiaddr: give, op: Message::BOOT_REPLY, ..asked.clone() }
            .with(code::MESSAGE_TYPE, [kind.number()])
            .with_address(code::SERVER_ID, Ipv4Addr::LOCALHOST)
            .with(code::TFTP_SERVER_ADDRESSES, [127, 0, 0, 1])
            .with(code::BOOT_FILE_NAME, file);
        socket.send_to(&answer.encode(), peer).await.unwrap();
        log.lock().unwrap().dhcp.push(asked);
    }
}

/// Knows every name but `missing.cfg`, sends blocks of 512 bytes, one at a time.
async fn tftp_server(socket: UdpSocket, log: Log) {
    let mut bytes = [0; 1500];
    loop {
        let (length, peer) = socket.recv_from(&mut bytes).await.unwrap();
        assert_eq!(bytes[..2], [0, 1], "only read requests come to this port");
        let name = bytes[2..length].split(|byte| *byte == 0).next().unwrap();
        let name = String::from_utf8(name.to_vec()).unwrap();
        log.lock().unwrap().asked.push((name.clone(), peer));
        tokio::spawn(transfer(name, peer, log.clone()));
    }
}

async fn transfer(name: String, peer: SocketAddr, log: Log) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    if name == "missing.cfg" {
        socket.send_to(b"\0\x05\0\x01no such file\0", peer).await.unwrap();
        return;
    }
    let content = served().into_bytes();
    let mut reply = [0; 600];
    for (index, block) in content.chunks(512).chain([[].as_slice()]).enumerate() {
        let number = index as u16 + 1;
        let mut packet = vec![0, 3];
        packet.extend_from_slice(&number.to_be_bytes());
        packet.extend_from_slice(block);
        socket.send_to(&packet, peer).await.unwrap();
        let (_, _) = socket.recv_from(&mut reply).await.unwrap();
        if reply[1] == 5 {
            log.lock().unwrap().errors += 1;
            return;
        }
        if block.len() < 512 {
            return;
        }
    }
}

struct Stage {
    device: Device,
    diary: Receiver<Entry>,
    log: Log,
}

/// A Cisco on an address of its own, before servers that give it `file`.
async fn stage(last: u8, file: &'static str, behaviour: Behaviour) -> Stage {
    let log = Log::default();
    let give = Ipv4Addr::new(127, 77, 0, last);
    let dhcp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let tftp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let around = Surroundings {
        dhcp: dhcp.local_addr().unwrap(),
        tftp_port: tftp.local_addr().unwrap().port(),
        ssh_port: 2222,
        clock: Clock::System,
        entropy: Entropy::seeded(u64::from(last)),
        pace: Pace(50.0),
        diary: Diary::default(),
    };
    tokio::spawn(dhcp_server(dhcp, give, file, log.clone()));
    tokio::spawn(tftp_server(tftp, log.clone()));
    let timing = LldpTiming { hello: Duration::ZERO, linger: Duration::ZERO };
    let chassis = Chassis::cisco("FOC2231X0AB", Mac::new([2, 0, 0, 0, 7, last]));
    let login = Login { username: "admin".into(), password: "Wonder!Land".into(), enable: None };
    let plant = Plant::new(Clock::System, timing);
    let inside = Inside::new("acc-1", chassis, vec![login], plant);
    let diary = around.diary.read();
    let fitting = Fitting { from: Ipv4Addr::new(127, 78, 0, last), position: None, behaviour };
    Stage { device: Device::new(inside, around, fitting), diary, log }
}

impl Stage {
    /// Reads the diary up to the first entry that fits, and returns everything read.
    async fn until(&mut self, fits: impl Fn(&Doing) -> bool) -> Vec<Doing> {
        let mut read = Vec::new();
        let reading = async {
            loop {
                let doing = self.diary.recv().await.unwrap().doing;
                read.push(doing.clone());
                if fits(&doing) {
                    return;
                }
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(20), reading).await;
        assert!(ended.is_ok(), "the device only did {read:?}");
        read
    }

    fn names_asked(&self) -> Vec<String> {
        self.log.lock().unwrap().asked.iter().map(|(name, _)| name.clone()).collect()
    }
}

fn is_open(doing: &Doing) -> bool {
    matches!(doing, Doing::DoorOpen { .. })
}

fn downloads(doings: &[Doing]) -> usize {
    doings.iter().filter(|doing| matches!(doing, Doing::Downloaded { .. })).count()
}

#[tokio::test]
async fn a_device_without_faults_goes_from_power_to_an_open_door() {
    let mut stage = stage(1, "acc-1.cfg", Behaviour::default()).await;
    stage.device.power_on().await;
    let done = stage.until(is_open).await;
    let address = Ipv4Addr::new(127, 77, 0, 1);
    assert_eq!(done[0..2], [Doing::PoweredOn, Doing::Discovering]);
    assert_eq!(done[2], Doing::Leased { address, file: "acc-1.cfg".into() });
    assert_eq!(done[3], Doing::Downloaded { name: "acc-1.cfg".into(), bytes: served().len() });
    assert_eq!(done[4], Doing::Applied { lost: None });
    let view = stage.device.inside.view();
    assert_eq!((view.hostname.as_str(), view.address), ("acc-1", Some(address)));
    assert_eq!(view.saved, None, "IOS merges and does not save");
    assert!(stage.device.inside.admits("admin", "Wonder!Land").is_some());
    let asked = stage.log.lock().unwrap().dhcp[0].clone();
    assert_eq!(asked.option(code::VENDOR_CLASS), Some(b"ciscopnp".as_slice()));
    assert_eq!(asked.option(code::CLIENT_ID), Some(b"\0cisco-0200.0000.0701-Vl1".as_slice()));
    stage.device.power_off().await;
    let connected = tokio::net::TcpStream::connect((address, 2222)).await;
    assert!(connected.is_err(), "without power nothing answers");
}

#[tokio::test]
async fn a_name_that_is_refused_is_followed_by_the_names_of_the_system() {
    let mut stage = stage(2, "missing.cfg", Behaviour::default()).await;
    stage.device.power_on().await;
    let done = stage.until(is_open).await;
    assert!(matches!(&done[3], Doing::Refused { name, .. } if name == "missing.cfg"), "{done:?}");
    assert_eq!(stage.names_asked(), ["missing.cfg", "network-confg"]);
}

#[tokio::test]
async fn twelve_complete_transfers_are_twelve_requests_from_twelve_ports() {
    let asking = Asking::Repeatedly { times: 12, within: Duration::from_secs(6) };
    let mut stage = stage(3, "acc-1.cfg", Behaviour { asking, ..Behaviour::default() }).await;
    stage.device.power_on().await;
    let done = stage.until(is_open).await;
    assert_eq!(downloads(&done), 12);
    let asked = stage.log.lock().unwrap().asked.clone();
    let ports: std::collections::BTreeSet<u16> =
        asked.iter().map(|(_, peer)| peer.port()).collect();
    assert_eq!((asked.len(), ports.len()), (12, 12));
}

#[tokio::test]
async fn network_confg_is_asked_from_two_ports_at_nearly_the_same_time() {
    let asking = Asking::FromTwoPorts { apart: Duration::from_millis(300) };
    let mut stage = stage(4, "acc-1.cfg", Behaviour { asking, ..Behaviour::default() }).await;
    stage.device.power_on().await;
    stage.until(is_open).await;
    let asked = stage.log.lock().unwrap().asked.clone();
    assert_eq!(stage.names_asked(), ["network-confg", "network-confg"]);
    assert_ne!(asked[0].1.port(), asked[1].1.port());
}

#[tokio::test]
async fn a_transfer_is_broken_off_as_often_as_told_and_then_goes_through() {
    let mut stage =
        stage(5, "acc-1.cfg", Behaviour { breaks_off: 2, ..Behaviour::default() }).await;
    stage.device.power_on().await;
    let done = stage.until(is_open).await;
    let broken = done.iter().filter(|doing| matches!(doing, Doing::BrokeOff { .. })).count();
    assert_eq!((broken, downloads(&done)), (2, 1));
    assert_eq!(stage.log.lock().unwrap().errors, 2, "the server is told by ERROR");
}

#[tokio::test]
async fn a_device_that_hangs_needs_its_power_cycled_and_keeps_nothing() {
    let behaviour = Behaviour { hangs_once: true, ..Behaviour::default() };
    let mut stage = stage(6, "acc-1.cfg", behaviour).await;
    stage.device.power_on().await;
    let done = stage.until(|doing| *doing == Doing::Hung).await;
    assert!(!done.iter().any(is_open));
    stage.device.power_cycle().await;
    let done = stage.until(is_open).await;
    assert_eq!(downloads(&done), 1, "nothing was saved, so it asks again");
    assert_eq!(stage.names_asked().len(), 2);
}

#[tokio::test]
async fn what_was_saved_survives_the_power_and_another_box_brings_nothing() {
    let loses = Some("ntp server".to_owned());
    let mut stage = stage(7, "acc-1.cfg", Behaviour { loses, ..Behaviour::default() }).await;
    stage.device.power_on().await;
    stage.until(is_open).await;
    assert!(!stage.device.inside.view().running.body().contains("ntp server"));
    stage.device.enter("ntp server 10.0.0.9\n");
    stage.device.power_cycle().await;
    let done = stage.until(is_open).await;
    assert_eq!(downloads(&done), 0, "it boots from what was saved");
    assert!(stage.device.inside.view().running.body().contains("ntp server 10.0.0.9"));
    let other = Chassis::cisco("FOC9", Mac::new([2, 0, 0, 0, 9, 9]));
    stage.device.exchange(other).await;
    let done = stage.until(is_open).await;
    assert_eq!(downloads(&done), 1, "a new box has to ask");
    assert_eq!(stage.device.inside.chassis().serial, "FOC9");
}

#[tokio::test]
async fn a_door_may_turn_logins_away_for_a_while_and_change_its_key() {
    let behaviour = Behaviour {
        refuses_logins: Duration::from_secs(25),
        changes_host_key: Some(Duration::from_secs(5)),
        ..Behaviour::default()
    };
    let mut stage = stage(8, "acc-1.cfg", behaviour).await;
    stage.device.power_on().await;
    let first = stage.until(is_open).await.pop();
    assert!(stage.device.inside.admits("admin", "Wonder!Land").is_none());
    let second = stage.until(is_open).await.pop();
    assert!(stage.device.inside.admits("admin", "Wonder!Land").is_some());
    let key = |doing: Option<Doing>| match doing {
        Some(Doing::DoorOpen { fingerprint, .. }) => fingerprint,
        other => panic!("{other:?}"),
    };
    assert_ne!(key(first), key(second));
}

#[test]
fn every_kind_persists_as_its_vendor_says() {
    let persists: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.persists()).collect();
    assert_eq!(persists, [Kind::AristaEos]);
}
