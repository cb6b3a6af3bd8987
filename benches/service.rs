//! What does a transfer cost besides its packets?
//!
//! `cargo bench --bench service`; `TRANSFERS`, `DEVICES` and `BATCH` change the load. Each device
//! asks for its file once and has it: service, rendering and store are those of the server, over a
//! store on disk; only the packets are missing. Loading and the files' directory are the same for
//! every number of transfers, so that two runs with different numbers tell by their difference what
//! one transfer costs, in whatever a tool counts.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use greenlight::clock::Clock;
use greenlight::entropy::Entropy;
use greenlight::files::{self, Loaded};
use greenlight::secret::Secret;
use greenlight::service::intake::Intake;
use greenlight::service::memory::{Memory, Query};
use greenlight::service::outbox::Outbox;
use greenlight::service::performer::Performer;
use greenlight::service::plan::{InForce, Plan, Rules};
use greenlight::service::probe::{Outcome, Report};
use greenlight::service::runner::{self, Parts, Voice};
use greenlight::service::serving::{Ask, Serving, Transferred};
use greenlight::store;
use tokio::sync::{Semaphore, watch};

/// What a device is served, about.
const FILE_BYTES: usize = 8_000;

/// Batches under way at once: with 25 transfers in each, 200.
const BATCHES: usize = 8;

fn main() {
    let (devices, transfers) = (number("DEVICES", 20_000), number("TRANSFERS", 20_000));
    let batch = number("BATCH", 25);
    let folder = tempfile::tempdir().expect("a directory for the measurement");
    write_plan(folder.path(), devices);
    let loaded = files::load(&folder.path().join("greenlight.yaml"));
    let loaded = loaded.unwrap_or_else(|complaints| panic!("{complaints:?}"));
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(measure(folder.path(), &loaded, transfers.min(devices), batch));
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

async fn measure(folder: &Path, loaded: &Loaded, transfers: usize, batch: usize) {
    let memory = store::open(&folder.join("store.db")).await.expect("an empty store opens");
    let house = house(&memory, loaded);
    let (began, before) = (Clock::System.instant(), cpu());
    let batches: Vec<Vec<usize>> =
        (0..transfers).collect::<Vec<_>>().chunks(batch.max(1)).map(<[usize]>::to_vec).collect();
    let shares = (0..BATCHES).map(|share| {
        let mine: Vec<_> = batches.iter().skip(share).step_by(BATCHES).cloned().collect();
        tokio::spawn(work(house.serving.clone(), mine))
    });
    for share in shares.collect::<Vec<_>>() {
        share.await.expect("a share ends");
    }
    report("reported", transfers, (began, before));
    let everything = |reply| Query::JournalAfter { row: i64::MAX - 1, limit: 1, reply };
    memory.ask(everything).await.expect("the journal is read");
    report("all applied", transfers, (began, before));
    house.stop.send(true).expect("the runner listens");
    house.ended.await.expect("the runner ends");
}

/// Asks for the files of these devices and has them, batch by batch.
async fn work(serving: Serving, batches: Vec<Vec<usize>>) {
    for batch in batches {
        let asks = batch.iter().map(|number| ask(*number)).collect();
        let answers = serving.artifacts(asks).await;
        let ends = batch.iter().zip(answers).map(|(number, answer)| {
            let artifact = answer.expect("a planned device is served");
            Transferred {
                device: artifact.device,
                transport: "tftp",
                peer: peer(*number),
                name: "network-confg".to_owned(),
                complete: true,
                image: false,
                first_byte: 0,
                bytes: artifact.content.len() as u64,
                sha256: artifact.sha256,
                repeats: 0,
                why: String::new(),
            }
        });
        serving.transferred(ends.collect()).await;
    }
}

fn ask(number: usize) -> Ask {
    Ask {
        transport: "tftp",
        peer: peer(number),
        local: SocketAddr::from(([127, 0, 0, 1], 69)),
        name: "network-confg".to_owned(),
        serial: None,
        mac: None,
    }
}

fn peer(number: usize) -> SocketAddr {
    SocketAddr::new(address(number).into(), 40_000)
}

fn address(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).expect("fewer devices than addresses");
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 8, 0, 1)) + number)
}

struct House {
    serving: Serving,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<()>,
}

fn house(memory: &Memory, loaded: &Loaded) -> House {
    let (clock, plan) = (Clock::System, InForce::new(plan(loaded)));
    let (runs, waiting) = runner::channel();
    let nobody_told = Arc::new(|_: &_, _| Vec::new());
    let intake = Intake::new(plan.clone(), runs.clone(), clock.clone(), &[], nobody_told);
    let (outbox_bell, bell) = watch::channel(0);
    let parts = Parts {
        memory: memory.clone(),
        plan: plan.clone(),
        clock: clock.clone(),
        entropy: Entropy::System,
        voice: Voice { speak: Box::new(|_| None), hand_off: Box::new(|_, _, _| None) },
        outbox: Outbox::new(memory.clone(), clock.clone(), bell),
        outbox_bell,
    };
    let performer = Performer {
        prober: Arc::new(|_| {
            Box::pin(async {
                let why = "nobody at home".into();
                Report { host_key: None, outcome: Outcome::Unreachable { why } }
            })
        }),
        secrets: Arc::new(|_| Ok(Secret::new("x"))),
        plan: plan.clone(),
        clock: clock.clone(),
        visits: Arc::new(Semaphore::new(4)),
        images: greenlight::service::upgrade::no_images(),
        upstreams: greenlight::service::upstream::Upstreams::default(),
    };
    let (stop, ending) = watch::channel(false);
    let both = (runs.clone(), waiting);
    let ended = tokio::spawn(async move {
        runner::run(parts, performer, both, ending).await.expect("the runs are resumed");
    });
    House { serving: Serving::new(plan, intake, runs, clock, false), stop, ended }
}

fn plan(loaded: &Loaded) -> Plan {
    let (renderer, platforms) = (Arc::clone(&loaded.renderer), Arc::clone(&loaded.platforms));
    Plan {
        inventory: Arc::clone(&loaded.inventory),
        platforms: Arc::clone(&loaded.platforms),
        render: Arc::new(move |device, inventory| {
            let rendered = renderer.render(device, inventory).map_err(|error| error.to_string())?;
            Ok(match platforms.get(&device.platform) {
                Some(platform) => platform.finish(rendered),
                None => rendered,
            })
        }),
        secrets: Arc::new(|_| Vec::new()),
        rules: Rules::of(&loaded.config.runs, loaded.config.ssh.visit_timeout),
        generation: 1,
    }
}

/// Devices that are known by their addresses, each with a file of its own.
fn write_plan(folder: &Path, devices: usize) {
    let line = "! a line of a configuration that stands for forty others\n";
    let body: String = line.chars().cycle().take(FILE_BYTES - 30).collect();
    let template = format!("hostname {{{{ device.name }}}}\n{body}\nend\n");
    let mut inventory = String::from(
        "defaults:\n  credentials: [{ username: g, password: { env: BENCH_PASSWORD } }]\n\
         groups:\n  g: { platform: cisco_ios, template: device.j2 }\n\
         sites:\n  s: { title: Bench }\ndevices:\n",
    );
    for number in 0..devices {
        let address = address(number);
        let serial = format!("FOC{number:08}");
        writeln!(
            inventory,
            "  - {{ name: d{number:07}, site: s, group: g, serial: {serial}, address: {address} }}"
        )
        .expect("memory takes it");
    }
    let place = folder.display();
    let settings = format!(
        "data: {place}/data\nsocket: {place}/socket\ninventory: inventory.yaml\n\
         templates: templates\ntftp:\n  listen: [\"127.0.0.1:6969\"]\n\
         runs:\n  settle: 12h\n  back_deadline: 12h\n"
    );
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).expect("the directory takes files");
    };
    std::fs::create_dir(folder.join("templates")).expect("the directory takes directories");
    write("templates/device.j2", &template);
    write("inventory.yaml", &inventory);
    write("greenlight.yaml", &settings);
}

fn report(when: &str, count: usize, (began, before): (std::time::Instant, Cpu)) {
    let (wall, now) = (Clock::System.instant() - began, cpu());
    let each = |span: Duration| span.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{when:12} {count:6} transfers {:8.0}/s, each {:6.1} us in the program, {:5.1} us in the kernel",
        count as f64 / wall.as_secs_f64(),
        each(now.user - before.user),
        each(now.system - before.system),
    );
}

#[derive(Clone, Copy)]
struct Cpu {
    user: Duration,
    system: Duration,
}

/// What this process has used, in steps of the kernel's 10 ms.
fn cpu() -> Cpu {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux says what a process used");
    let after = stat.rsplit(')').next().expect("the name ends");
    let ticks = |at: usize| -> u64 {
        after.split_whitespace().nth(at).and_then(|text| text.parse().ok()).expect("a number")
    };
    let span = |at: usize| Duration::from_millis(ticks(at) * 10);
    Cpu { user: span(11), system: span(12) }
}
