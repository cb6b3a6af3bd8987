//! What the server does without a store behind it, on loopback.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::*;
use crate::address::Mac;
use crate::config::meant::{DhcpLimits, Listen, Pool6, Unknown};
use crate::domain::inventory::meant::{Device, Image, Install, Inventory, Place, Software};
use crate::proto::dhcp6::{Datagram, Message, MessageType, code};
use crate::receipt::Committed;
use crate::service::leases6::{EndedAddress, Kept};
use crate::service::memory::{Change, Lease6, UNTIL_A_NEW_START};
use crate::service::plan::{InForce, Plan, Rules};
use crate::service::runner::{self, Bundle};

const MAC: Mac = Mac::new([2, 0, 0, 0, 0, 1]);

const DEVICES: usize = 60;

fn mac(number: usize) -> Mac {
    let [_, _, high, low] = (number as u32).to_be_bytes();
    Mac::new([2, 0, 0, 0, high, low])
}

/// `sw1` at [`MAC`], and others behind it.
fn inventory() -> Arc<Inventory> {
    Arc::new(Inventory::of((1..=DEVICES).map(device)))
}

fn device(number: usize) -> Device {
    Device {
        site: "oslo".into(),
        macs: vec![mac(number)],
        ..Device::named(&format!("sw{number}"), "frr")
    }
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
        addresses_max: 16,
        limits: DhcpLimits::default(),
    }
}

fn rules() -> Rules {
    let second = Duration::from_secs(1);
    Rules {
        window: second,
        ask_patience: None,
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
    let (runs, waiting) = runner::channel();
    drop(waiting);
    server(settings(), runs)
}

fn intake(inventory: Arc<Inventory>, runs: runner::Runs) -> Intake {
    let plan = InForce::new(Plan {
        inventory,
        platforms: Arc::new(Platforms::built_in()),
        render: Arc::new(|_, _| Ok(String::new())),
        secrets: Arc::new(|_| Vec::new()),
        rules: rules(),
        generation: 1,
    });
    Intake::new(plan, runs, Clock::System, &[], Arc::new(|_, _| Vec::new()))
}

fn server(settings: Dhcp6, runs: runner::Runs) -> (SocketAddr, watch::Sender<bool>) {
    server_of(inventory(), settings, runs)
}

fn server_of(
    inventory: Arc<Inventory>,
    settings: Dhcp6,
    runs: runner::Runs,
) -> (SocketAddr, watch::Sender<bool>) {
    let platforms = Arc::new(Platforms::built_in());
    let intake = intake(Arc::clone(&inventory), runs);
    let now = Clock::System.now();
    let ports = bind(&settings).unwrap();
    let at = SocketAddr::V6(ports[0].local());
    let parts = Parts {
        intake,
        leases: Leases6::new(&settings, inventory, Kept::default(), now),
        platforms,
        settings: Arc::new(settings),
        name: Duid::uuid([7; 16]),
        alone: true,
        http_port: Some(8080),
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

#[test]
fn what_became_of_addresses_is_brought_as_it_was_decided_and_the_next_holder_stays() {
    let (runs, mut waiting) = runner::channel();
    let intake = intake(inventory(), runs);
    let now = Clock::System.now();
    let lease = |number: u32, seconds| Lease6 {
        address: "::10".parse().unwrap(),
        duid: format!("{number:08x}"),
        iaid: 1,
        mac: None,
        device: Some(format!("sw{number}")),
        granted: now,
        expires: now.plus(Duration::from_secs(seconds)),
    };
    let holder = || intake.holder("::10".parse().unwrap()).map(|device| device.name.clone());
    let (first, second) = (lease(1, 300), lease(2, 300));
    let ended = |lease: &Lease6| EndedAddress {
        address: lease.address,
        binding: lease.binding(),
        quarantined_until: None,
    };
    let end = ended(&first);
    // None of them is awaited: what was called first is brought first.
    drop(intake.leases6_bound(vec![first], None));
    assert_eq!(holder().as_deref(), Some("sw1"));
    drop(intake.leases6_ended(vec![end.clone()], None));
    assert_eq!(holder(), None);
    drop(intake.leases6_bound(vec![second.clone()], None));
    drop(intake.leases6_ended(vec![end], None));
    assert_eq!(holder().as_deref(), Some("sw2"), "a late end is that of the first");
    drop(intake.leases6_ended(vec![ended(&second)], None));
    assert_eq!(holder(), None);
    let mut brought = Vec::new();
    while let Ok(Bundle { inputs, .. }) = waiting.try_recv() {
        let changes = inputs.into_iter().flat_map(|input| input.changes);
        brought.extend(changes.map(|change| match change {
            Change::Lease6(lease) => lease.duid,
            Change::LeaseEnded { .. } => "ended".to_owned(),
            other => panic!("{other:?}"),
        }));
    }
    assert_eq!(brought, ["00000001", "ended", "00000002", "ended", "ended"]);
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

#[tokio::test]
async fn once_the_store_has_failed_for_good_nothing_is_offered() {
    let (runs, mut waiting) = runner::channel();
    let lost = Arc::new(AtomicBool::new(false));
    let refused = Arc::clone(&lost);
    tokio::spawn(async move {
        while let Some(bundle) = waiting.recv().await {
            let Some(receipt) = bundle.receipt else { continue };
            let why = format!("no flush; {UNTIL_A_NEW_START}");
            let _ = receipt.send(Err(Refused::Unavailable { why }));
            refused.store(true, Ordering::SeqCst);
        }
    });
    let (server, _stop) = server(settings(), runs);
    let client = UdpSocket::bind("[::1]:0").await.unwrap();
    let name = Duid::uuid([7; 16]);
    let request = message(MessageType::Request, 1).with(code::SERVER_ID, name.bytes());
    client.send_to(&Datagram::bare(request).encode(), server).await.unwrap();
    while !lost.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The server hears of it in its next turn.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let information = Message::new(MessageType::InformationRequest, 3)
        .with(code::CLIENT_ID, Duid::link_layer(MAC).bytes());
    for message in [message(MessageType::Solicit, 2), information] {
        client.send_to(&Datagram::bare(message).encode(), server).await.unwrap();
    }
    let mut buffer = [0; 1500];
    let length = client.recv(&mut buffer).await.unwrap();
    let first = Datagram::decode(&buffer[..length]).unwrap().message;
    assert_eq!((first.kind, first.transaction), (MessageType::Reply, 3), "no Advertise");
}

/// A store that needs 5 ms for whatever came meanwhile.
async fn flushes(mut waiting: mpsc::Receiver<Bundle>) {
    let mut group = Vec::new();
    while waiting.recv_many(&mut group, 512).await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        for receipt in group.drain(..).filter_map(|bundle| bundle.receipt) {
            let _ = receipt.send(Ok(Committed::by_the_store(1)));
        }
    }
}

/// Solicits of made-up network devices, each with a DUID of its own, until told to end.
fn flood(server: SocketAddr, end: &AtomicBool) -> usize {
    let socket = std::net::UdpSocket::bind("[::1]:0").unwrap();
    let class = [&30065_u32.to_be_bytes()[..], &[0, 37], b"Arista;DCS-7050S-64;01.23;JPE12221671"];
    let mut sent: usize = 0;
    while !end.load(Ordering::SeqCst) {
        for _ in 0..64 {
            sent += 1;
            let mut uuid = [9; 16];
            uuid[..8].copy_from_slice(&sent.to_be_bytes());
            let solicit = Message::new(MessageType::Solicit, sent as u32 & 0xff_ffff)
                .with(code::CLIENT_ID, Duid::uuid(uuid).bytes())
                .with(code::VENDOR_CLASS, class.concat())
                .with(code::IA_NA, [&1u32.to_be_bytes()[..], &[0; 8]].concat());
            let _ = socket.send_to(&Datagram::bare(solicit).encode(), server);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    sent
}

/// Takes every planned device through all four messages; tells how many were served.
fn exchanges(server: SocketAddr) -> usize {
    let socket = std::net::UdpSocket::bind("[::1]:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let ask = |number: usize, kind| {
        Message::new(kind, number as u32)
            .with(code::CLIENT_ID, Duid::link_layer(mac(number)).bytes())
            .with(code::IA_NA, [&1u32.to_be_bytes()[..], &[0; 8]].concat())
    };
    let name = Duid::uuid([7; 16]);
    let (mut offered, mut served) = (HashSet::new(), HashSet::new());
    let mut buffer = [0; 1500];
    for _round in 0..60 {
        for number in (1..=DEVICES).filter(|number| !served.contains(number)) {
            let message = match offered.contains(&number) {
                false => ask(number, MessageType::Solicit),
                true => ask(number, MessageType::Request).with(code::SERVER_ID, name.bytes()),
            };
            socket.send_to(&Datagram::bare(message).encode(), server).unwrap();
        }
        while let Ok(length) = socket.recv(&mut buffer) {
            let answer = Datagram::decode(&buffer[..length]).unwrap().message;
            let number = answer.transaction as usize;
            match answer.kind {
                MessageType::Advertise => drop(offered.insert(number)),
                MessageType::Reply => drop(served.insert(number)),
                other => panic!("{other:?} for {number}"),
            }
        }
        if served.len() == DEVICES {
            break;
        }
    }
    served.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_made_up_duids_flood_every_planned_device_gets_its_address() {
    let mut settings = settings();
    settings.unknown = Unknown::Quarantine;
    settings.pools[0].range = Some(("::10".parse().unwrap(), "::8f".parse().unwrap()));
    let (runs, waiting) = runner::channel();
    tokio::spawn(flushes(waiting));
    let (server, _stop) = server(settings, runs);
    let end = Arc::new(AtomicBool::new(false));
    let flooding = {
        let end = Arc::clone(&end);
        std::thread::spawn(move || flood(server, &end))
    };
    let served = tokio::task::spawn_blocking(move || exchanges(server)).await.unwrap();
    end.store(true, Ordering::SeqCst);
    let sent = flooding.join().unwrap();
    assert_eq!(served, DEVICES, "beside {sent} messages of strangers");
    assert!(sent > 20 * DEVICES, "{sent} messages are no flood");
}

/// The URL that a Solicit of the first device is told, asking with this class (option 16) or user
/// class (option 15).
async fn told_url(server: SocketAddr, code: u16, value: Vec<u8>) -> Option<String> {
    let client = UdpSocket::bind("[::1]:0").await.unwrap();
    let wanted = code::BOOT_FILE_URL.to_be_bytes();
    let solicit = message(MessageType::Solicit, u32::from(code))
        .with(code::OPTION_REQUEST, wanted)
        .with(code, value);
    client.send_to(&Datagram::bare(solicit).encode(), server).await.unwrap();
    let mut buffer = [0; 1500];
    let length = client.recv(&mut buffer).await.unwrap();
    let answer = Datagram::decode(&buffer[..length]).unwrap().message;
    let url = answer.option(code::BOOT_FILE_URL)?;
    Some(String::from_utf8_lossy(url).into_owned())
}

#[tokio::test]
async fn an_installer_that_asks_for_a_box_of_another_system_is_told_of_its_image_alone() {
    let image = Image {
        name: "sonic.bin".into(),
        sha256: Some("00".into()),
        install: Install::Auto,
        place: Place::default(),
    };
    let software = Software { version: "1".into(), image: Some(image) };
    let mut inventory = Arc::into_inner(inventory()).expect("nobody else has it");
    inventory.devices[0] = Arc::new(Device {
        platform: "sonic".into(),
        software: Some(Arc::new(software)),
        ..device(1)
    });
    let (runs, waiting) = runner::channel();
    tokio::spawn(flushes(waiting));
    let (server, _stop) = server_of(Arc::new(inventory), settings(), runs);
    let class = b"onie_vendor:x86_64-accton_as7712_32x-r0";
    let onie = [&42623_u32.to_be_bytes()[..], &[0, class.len() as u8], class].concat();
    let url = told_url(server, code::VENDOR_CLASS, onie).await;
    assert_eq!(url.as_deref(), Some("http://[::1]:8080/sonic.bin"));
    let sonic = told_url(server, code::USER_CLASS, b"\0\x09SONiC-ZTP".to_vec()).await;
    assert_eq!(sonic.as_deref(), Some("http://[::1]:8080/sw1.json"));
}
