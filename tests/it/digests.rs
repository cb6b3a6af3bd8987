//! The file with the digest of another one: who gets it, and that it is no transfer of a
//! configuration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use greenlight::clock::Clock;
use greenlight::domain::inventory::meant::{Device, Inventory};
use greenlight::platform::Platforms;
use greenlight::platform::checksum::Kind;
use greenlight::service::memory::Query;
use greenlight::service::plan::{InForce, Plan, Rules};
use greenlight::service::serving::{Artifact, Ask, Refusal, Serving, Transferred};

use crate::service::{House, house_of, plan};

/// What `sw1` must run.
pub const CONFIGURATION: &str = "hostname leaf1\nusername admin password a-secret role network-admin\n\
    interface Ethernet1/49\n  description to spine1\n  no switchport\n  ip address 10.0.0.1/31\n";

/// Two switches of NX-OS, whose files carry their checksums. `sw1` fetches a script that leads to
/// its configuration.
pub fn nexus() -> InForce {
    let before = plan().get();
    let devices = before.inventory.devices.iter().map(|device| Device {
        platform: "cisco_nxos".into(),
        configuration: (device.name == "sw1").then(|| "nxos.j2".into()),
        ..device.as_ref().clone()
    });
    let platforms = Arc::new(Platforms::built_in());
    let nxos = platforms.by_id["cisco_nxos"].clone();
    InForce::new(Plan {
        inventory: Arc::new(Inventory::of(devices)),
        platforms,
        render: Arc::new(move |device, _| {
            if device.is_configured() {
                return Ok(CONFIGURATION.to_owned());
            }
            Ok(nxos.finish(format!("#!/bin/env python\n# {}\n", device.name)))
        }),
        rules: Rules { settle: Some(Duration::from_millis(10)), ..before.rules.clone() },
        secrets: Arc::new(|_| Vec::new()),
        generation: 1,
    })
}

pub fn ask(peer: &str, name: &str) -> Ask {
    Ask {
        transport: "tftp",
        peer: SocketAddr::new(peer.parse().unwrap(), 4000),
        local: "127.0.0.1:69".parse().unwrap(),
        name: name.into(),
        serial: None,
        mac: None,
    }
}

async fn asked(serving: &Serving, peer: &str, name: &str) -> Result<Artifact, Refusal> {
    serving.artifacts(vec![ask(peer, name)]).await.remove(0)
}

pub async fn text(serving: &Serving, peer: &str, name: &str) -> String {
    let artifact = asked(serving, peer, name).await.unwrap();
    String::from_utf8(artifact.content.to_vec()).unwrap()
}

async fn runs(house: &House) -> usize {
    house.memory.ask(Query::LatestRuns).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_is_for_whom_its_file_is_for_and_proves_no_transfer() {
    let folder = tempfile::tempdir().unwrap();
    let plan = nexus();
    let house = house_of(folder.path(), plan.clone()).await;
    for (name, address) in [("sw1", "127.7.0.51"), ("sw2", "127.7.0.52")] {
        house.bind(name, address).await;
    }
    let before = runs(&house).await;
    let serving =
        Serving::new(plan, house.intake.clone(), house.runs.clone(), Clock::System, false);
    let digest = text(&serving, "127.7.0.51", "sw1.py.md5").await;
    let file = text(&serving, "127.7.0.51", "sw1.py").await;
    assert_eq!(digest, format!("{}  sw1.py\n", Kind::Md5.digest(&file)));
    let other = text(&serving, "127.7.0.52", "/conf/sw1.py.md5").await;
    let own = text(&serving, "127.7.0.52", "poap.py").await;
    assert_eq!(
        other,
        format!("{}  sw1.py\n", Kind::Md5.digest(&own)),
        "its own file's, by any name"
    );
    for (peer, name) in
        [("127.7.0.51", "image.bin.md5"), ("127.7.0.51", ".md5"), ("127.7.0.9", "sw1.py.md5")]
    {
        let refused = asked(&serving, peer, name).await.unwrap_err();
        assert!(matches!(refused, Refusal::NotFound { .. }), "{peer} {name}: {refused:?}");
    }
    assert!(before <= runs(&house).await);
    let end = Transferred {
        device: "sw1".into(),
        transport: "tftp",
        peer: "127.7.0.51:4000".parse().unwrap(),
        name: "sw1.py.md5".into(),
        complete: true,
        image: false,
        first_byte: 0,
        bytes: 41,
        sha256: "ab".into(),
        repeats: 0,
        why: String::new(),
    };
    serving.transferred(vec![end.clone()]).await;
    let fetching = house.until(|run| run.device == "sw1").await;
    assert_eq!(fetching.phase.name(), "fetching", "{fetching:?}");
    serving.transferred(vec![Transferred { name: "sw1.py".into(), bytes: 400, ..end }]).await;
    house.until(|run| run.device == "sw1" && run.phase.name() != "fetching").await;
    house.end().await;
}
