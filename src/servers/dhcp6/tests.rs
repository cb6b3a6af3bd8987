//! What the server does without a store behind it, on loopback.

use std::net::SocketAddr;

use tokio::net::UdpSocket;

use super::*;
use crate::address::Mac;
use crate::config::meant::{Listen, Pool6, Unknown};
use crate::domain::inventory::meant::{Device, Inventory, Place, Variables};
use crate::proto::dhcp6::{Datagram, Message, MessageType, code};
use crate::service::leases6::Kept;
use crate::service::plan::{InForce, Plan, Rules};
use crate::service::runner;

const MAC: Mac = Mac::new([2, 0, 0, 0, 0, 1]);

fn inventory() -> Arc<Inventory> {
    let device = Device {
        name: "sw1".into(),
        site: "oslo".into(),
        platform: "frr".into(),
        serial: None,
        macs: vec![MAC],
        position: None,
        address: None,
        address6: None,
        ssh_port: 22,
        managed: true,
        template: None,
        variables: Variables::default(),
        software: None,
        neighbours: vec![],
        unplanned_neighbours: Default::default(),
        credentials: vec![],
        location: String::new(),
        place: Place::default(),
    };
    let mut inventory = Inventory { devices: vec![Arc::new(device)], ..Inventory::default() };
    inventory.by_name.insert("sw1".into(), 0);
    inventory.by_mac.insert(MAC, 0);
    Arc::new(inventory)
}

fn settings() -> Dhcp6 {
    let pool = Pool6 {
        subnet: "::/120".parse().unwrap(),
        range: Some(("::10".parse().unwrap(), "::1f".parse().unwrap())),
        dns: vec![],
        search: vec![],
    };
    Dhcp6 {
        listen: vec![Listen { address: "[::1]:0".parse().unwrap(), interface: None }],
        server_address: "::1".parse().unwrap(),
        pools: vec![pool],
        preferred: Duration::from_secs(3600),
        valid: Duration::from_secs(3600),
        unknown: Unknown::Refuse,
        rapid_commit: false,
    }
}

fn rules() -> Rules {
    let second = Duration::from_secs(1);
    Rules {
        window: second,
        file_patience: second,
        settle: None,
        back_deadline: None,
        recheck: second,
        neighbour_patience: second,
        login_patience: second,
        still_waiting: second,
        visit_timeout: second,
        hooks_required: vec![],
        hooks_optional: vec![],
    }
}

/// A server whose store does not answer, and what ends it.
fn without_a_store() -> (SocketAddr, watch::Sender<bool>) {
    let settings = settings();
    let platforms = Arc::new(Platforms::built_in());
    let plan = InForce::new(Plan {
        inventory: inventory(),
        platforms: Arc::clone(&platforms),
        render: Arc::new(|_, _| Ok(String::new())),
        rules: rules(),
        generation: 1,
    });
    let (runs, waiting) = runner::channel();
    drop(waiting);
    let intake = Intake::new(plan, runs, Clock::System, &[], Arc::new(|_, _| Vec::new()));
    let now = Clock::System.now();
    let ports = bind(&settings).unwrap();
    let at = SocketAddr::V6(ports[0].local());
    let parts = Parts {
        intake,
        leases: Leases6::new(&settings, inventory(), Kept::default(), now),
        platforms,
        settings: Arc::new(settings),
        name: Duid::uuid([7; 16]),
        alone: true,
        http_port: None,
    };
    let (stop, shutdown) = watch::channel(false);
    tokio::spawn(serve(ports, parts, Clock::System, shutdown));
    (at, stop)
}

fn message(kind: MessageType, transaction: u32) -> Message {
    Message::new(kind, transaction)
        .with(code::CLIENT_ID, Duid::link_layer(MAC).bytes())
        .with(code::IA_NA, [&1u32.to_be_bytes()[..], &[0; 8]].concat())
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_said() {
    let (server, _stop) = without_a_store();
    let client = UdpSocket::bind("[::1]:0").await.unwrap();
    let request = message(MessageType::Request, 1).with(
        code::SERVER_ID,
        *b"\0\x04\x07\x07\x07\
        \x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07",
    );
    let solicit = message(MessageType::Solicit, 2);
    for message in [request, solicit] {
        let bytes = Datagram::bare(message).encode();
        client.send_to(&bytes, server).await.unwrap();
    }
    // The first that comes back is the Advertise, although the Request was there before it.
    let mut buffer = [0; 1500];
    let length = client.recv(&mut buffer).await.unwrap();
    let first = Datagram::decode(&buffer[..length]).unwrap().message;
    assert_eq!((first.kind, first.transaction), (MessageType::Advertise, 2));
    // And nothing of the Request comes later: what is sent now is the next to be answered.
    let confirm = message(MessageType::Confirm, 3);
    let here =
        [&1u32.to_be_bytes()[..], &[0; 8], &[0, 5, 0, 24], &[0; 15], &[16], &[0; 8]].concat();
    let confirm = Message { options: Default::default(), ..confirm }
        .with(code::CLIENT_ID, Duid::link_layer(MAC).bytes())
        .with(code::IA_NA, here);
    client.send_to(&Datagram::bare(confirm).encode(), server).await.unwrap();
    let length = client.recv(&mut buffer).await.unwrap();
    let next = Datagram::decode(&buffer[..length]).unwrap().message;
    assert_eq!((next.kind, next.transaction), (MessageType::Reply, 3));
}
