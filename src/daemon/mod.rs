//! The whole: the only place that knows every part. It puts them together, starts them and ends
//! them; it decides nothing.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;
use crate::config::meant::Config;
use crate::domain::inventory::meant::SecretSource;
use crate::entropy::Entropy;
use crate::error::{Code, Error};
use crate::faces::control;
use crate::files::{self, Loaded};
use crate::probes::ssh;
use crate::proto::dhcp6::Duid;
use crate::servers::files::Files;
use crate::servers::images::Images;
use crate::servers::{dhcp, dhcp6, http, tftp};
use crate::service::intake::Intake;
use crate::service::leases::{self, Leases};
use crate::service::leases6::{self, Leases6};
use crate::service::memory::{Memory, Query, Refused};
use crate::service::operations::Operations;
use crate::service::outbox::Outbox;
use crate::service::performer::Performer;
use crate::service::plan::{InForce, Plan, Rules};
use crate::service::runner::{self, Parts, Runs, Told};
use crate::service::serving::Serving;
use crate::service::upgrade::Images as KnownImages;
use crate::service::upstream::Upstreams;
use crate::store;

pub mod commands;
mod descriptors;
mod heap;
mod host_keys;
mod outward;
mod upgrades;
mod voice;

/// Servers and outlets end within this time, or are cut: with the runner's own farewell it is less
/// than the 90 seconds after which systemd kills.
const FAREWELL: Duration = Duration::from_secs(60);

/// A server that runs.
pub struct Running {
    /// Where it really listens: port 0 was replaced by what the kernel gave.
    pub dhcp: Vec<SocketAddr>,
    pub dhcp6: Vec<SocketAddr>,
    pub tftp: Vec<SocketAddr>,
    pub http: Vec<SocketAddr>,
    pub memory: Memory,
    pub runs: Runs,
    pub operations: Operations,
    reload: Reload,
    stop: watch::Sender<bool>,
    /// Whatever brings events: servers and outlets.
    tasks: JoinSet<()>,
    runner: Runner,
}

/// The loop that moves runs. It ends after all that bring it events.
struct Runner {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// Everything that becomes true from now on.
    pub fn feed(&self) -> broadcast::Receiver<Told> {
        self.runs.feed()
    }

    /// Puts a new plan in force. Runs that are open keep the timing they began with.
    pub fn reload(&self, loaded: &Loaded) {
        self.reload.put_in_force(loaded);
    }

    /// Ends every part and waits for it: what was accepted is stored, what is told stays queued.
    /// First ends whatever brings events, then the runner, which stores what still waits, and at
    /// last the store.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, ended).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "servers or outlets were cut at the end");
            self.tasks.shutdown().await;
        }
        let _ = self.runner.stop.send(true);
        if let Err(error) = self.runner.task.await {
            tracing::error!(%error, "the runner broke");
        }
    }
}

/// What a reload replaces.
#[derive(Clone)]
struct Reload {
    plan: InForce,
    leases: Option<Leases>,
    leases6: Option<Leases6>,
}

impl Reload {
    fn put_in_force(&self, loaded: &Loaded) {
        let generation = self.plan.get().generation + 1;
        self.plan.replace(plan(loaded, generation));
        if let Some(leases) = &self.leases {
            leases.replan(Arc::clone(&loaded.inventory));
        }
        if let Some(leases) = &self.leases6 {
            leases.replan(Arc::clone(&loaded.inventory));
        }
    }
}

/// Takes all sockets, opens the store and starts every part. Nothing is served if one of them
/// fails.
pub async fn start(loaded: &Loaded, clock: Clock, entropy: Entropy) -> Result<Running, Error> {
    let config = &loaded.config;
    let sockets = Sockets::bind(config)?;
    let memory = store::open(&config.data.join("greenlight.db")).await?;
    let plan = InForce::new(plan(loaded, 1));
    let (stop, shutdown) = watch::channel(false);
    let (runs, waiting) = runner::channel();
    let Remembered { kept, kept6 } = remembered(&memory).await.map_err(from_store)?;
    let report = voice::report(config, Arc::clone(&loaded.languages));
    let intake = Intake::new(plan.clone(), runs.clone(), clock.clone(), &kept.leases, report);
    intake.remember6(&kept6.leases);
    let (inventory, now) = (&loaded.inventory, clock.now());
    let leases =
        config.dhcp.as_ref().map(|dhcp| Leases::new(dhcp, Arc::clone(inventory), kept, now));
    let leases6 =
        config.dhcp6.as_ref().map(|dhcp6| Leases6::new(dhcp6, Arc::clone(inventory), kept6, now));
    let name = leases6::name::of_server(&memory, &entropy).await.map_err(from_store)?;
    let (outbox_bell, bell) = watch::channel(0);
    let parts = Parts {
        memory: memory.clone(),
        plan: plan.clone(),
        clock: clock.clone(),
        entropy,
        voice: voice::voice(config, &plan, Arc::clone(&loaded.languages)),
        outbox: Outbox::new(memory.clone(), clock.clone(), bell.clone()),
        outbox_bell,
    };
    let images = config.images.clone().map(Images::new);
    let reach = config.reach(sockets.http_port());
    let known = upgrades::images(images.clone(), reach);
    let performer = performer(config, &memory, (&plan, &clock), known);
    let mut tasks = JoinSet::new();
    let outlets = outward::Outlets { config, memory: &memory, runs: &runs, clock: &clock, bell };
    outlets.start(&mut tasks, &shutdown)?;
    let both = (runs.clone(), waiting);
    let (stop_runner, ending) = watch::channel(false);
    let task = tokio::spawn(async move {
        if let Err(refused) = runner::run(parts, performer, both, ending).await {
            tracing::error!(%refused, "runs could not be resumed");
        }
    });
    let runner = Runner { stop: stop_runner, task };
    let operations = Operations::new(memory.clone(), plan.clone(), runs.clone());
    let facing = Facing { plan: plan.clone(), runs: runs.clone(), intake, clock, images, shutdown };
    let Addresses { dhcp, dhcp6, tftp, http } = sockets.addresses();
    let reload = Reload { plan, leases: leases.clone(), leases6: leases6.clone() };
    let addressing = Addressing { leases, leases6, name };
    facing.serve(loaded, sockets, (addressing, operations.clone()), &mut tasks);
    Ok(Running { dhcp, dhcp6, tftp, http, memory, runs, operations, reload, stop, tasks, runner })
}

/// Does what may wait, and lets the other tasks of this thread go on meanwhile.
fn aside<T>(act: impl FnOnce() -> T) -> T {
    let flavor = tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(act),
        Ok(_) | Err(_) => act(),
    }
}

fn performer(
    config: &Config,
    memory: &Memory,
    (plan, clock): (&InForce, &Clock),
    images: KnownImages,
) -> Performer {
    let secrets = files::Secrets::new(clock.clone());
    Performer {
        prober: ssh::prober_keeping(config.ssh.clone(), host_keys::kept(memory)),
        secrets: Arc::new(move |source| match source {
            SecretSource::Command(_) => aside(|| secrets.get(source)),
            SecretSource::Environment(_) | SecretSource::File(_) => secrets.get(source),
        }),
        plan: plan.clone(),
        clock: clock.clone(),
        visits: Arc::new(Semaphore::new(config.runs.visits_max)),
        images,
        upstreams: Upstreams::default(),
    }
}

/// What the servers that devices and people call are made of.
struct Facing {
    plan: InForce,
    runs: Runs,
    intake: Intake,
    clock: Clock,
    images: Option<Images>,
    shutdown: watch::Receiver<bool>,
}

/// What addresses are given from.
struct Addressing {
    leases: Option<Leases>,
    leases6: Option<Leases6>,
    /// What we call ourselves in DHCPv6.
    name: Duid,
}

impl Facing {
    fn serve(
        self,
        loaded: &Loaded,
        sockets: Sockets,
        (addressing, operations): (Addressing, Operations),
        tasks: &mut JoinSet<()>,
    ) {
        let Self { plan, runs, intake, clock, images, shutdown } = self;
        let config = &loaded.config;
        let Addressing { leases, leases6, name } = addressing;
        let alone = config.dhcp.is_none() && config.dhcp6.is_none();
        let (http_port, http_port6) = (sockets.http_port(), sockets.http_port6());
        let serving = Serving::new(plan, intake.clone(), runs, clock.clone(), alone);
        if let Some(images) = images.clone() {
            tasks.spawn(upgrades::look_ahead(images, Arc::clone(&loaded.inventory)));
        }
        let files = Files::of(serving, images);
        if let (Some(dhcp), Some(leases)) = (&config.dhcp, leases) {
            let parts = dhcp::Parts {
                intake: intake.clone(),
                leases,
                platforms: Arc::clone(&loaded.platforms),
                settings: Arc::new(dhcp.clone()),
                http_port,
            };
            tasks.spawn(dhcp::serve(sockets.dhcp, parts, clock.clone(), shutdown.clone()));
        }
        if let (Some(dhcp6), Some(leases)) = (&config.dhcp6, leases6) {
            let parts = dhcp6::Parts {
                intake,
                leases,
                platforms: Arc::clone(&loaded.platforms),
                settings: Arc::new(dhcp6.clone()),
                name,
                alone: config.dhcp.is_none(),
                http_port: http_port6,
            };
            tasks.spawn(dhcp6::serve(sockets.dhcp6, parts, clock.clone(), shutdown.clone()));
        }
        if let (Some(config), Some(sockets)) = (&config.tftp, sockets.tftp) {
            let files = files.clone();
            tasks.spawn(tftp::serve(sockets, config.clone(), files, clock, shutdown.clone()));
        }
        if let (Some(config), Some(listeners)) = (&config.http, sockets.http) {
            tasks.spawn(http::serve(listeners, config.clone(), files, shutdown.clone()));
        }
        tasks.spawn(control::server::serve(sockets.control, operations, shutdown));
    }
}

/// All sockets, taken before anything is started.
struct Sockets {
    dhcp: Vec<crate::servers::socket::dhcp::Port>,
    dhcp6: Vec<crate::servers::socket::dhcp6::Port>,
    tftp: Option<tftp::Sockets>,
    http: Option<http::Listeners>,
    control: tokio::net::UnixListener,
}

impl Sockets {
    fn bind(config: &Config) -> Result<Self, Error> {
        std::fs::create_dir_all(&config.data).map_err(|error| {
            Error::new(Code::Store, format!("cannot make {}: {error}", config.data.display()))
                .hint("`data:` in greenlight.yaml names the directory")
        })?;
        let control = control::server::bind(&config.socket).map_err(|error| {
            listen(&format!("the control socket {}: {error}", config.socket.display()))
        })?;
        Ok(Self {
            dhcp: config.dhcp.as_ref().map_or(Ok(Vec::new()), dhcp::bind)?,
            dhcp6: config.dhcp6.as_ref().map_or(Ok(Vec::new()), dhcp6::bind)?,
            tftp: config.tftp.as_ref().map(tftp::bind).transpose()?,
            http: config.http.as_ref().map(http::bind).transpose()?,
            control,
        })
    }

    fn http_port(&self) -> Option<u16> {
        self.http.as_ref()?.listening().first().map(SocketAddr::port)
    }

    /// Of HTTP over IPv6.
    fn http_port6(&self) -> Option<u16> {
        let listening = self.http.as_ref()?.listening();
        listening.iter().find(|address| address.is_ipv6()).map(SocketAddr::port)
    }

    fn addresses(&self) -> Addresses {
        Addresses {
            dhcp: self.dhcp.iter().map(|port| SocketAddr::V4(port.local())).collect(),
            dhcp6: self.dhcp6.iter().map(|port| SocketAddr::V6(port.local())).collect(),
            tftp: self.tftp.as_ref().map(tftp::Sockets::listening).unwrap_or_default(),
            http: self.http.as_ref().map(http::Listeners::listening).unwrap_or_default(),
        }
    }
}

/// Where each server listens.
struct Addresses {
    dhcp: Vec<SocketAddr>,
    dhcp6: Vec<SocketAddr>,
    tftp: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
}

/// The addresses that were given before this start.
struct Remembered {
    kept: leases::Kept,
    kept6: leases6::Kept,
}

async fn remembered(memory: &Memory) -> Result<Remembered, Refused> {
    let mut kept =
        leases::Kept { leases: memory.ask(Query::Leases).await?, ..leases::Kept::default() };
    let mut kept6 =
        leases6::Kept { leases: memory.ask(Query::Leases6).await?, ..leases6::Kept::default() };
    for (address, until) in memory.ask(Query::Quarantined).await? {
        match address {
            IpAddr::V4(address) => drop(kept.quarantined.insert(address, until)),
            IpAddr::V6(address) => drop(kept6.quarantined.insert(address, until)),
        }
    }
    Ok(Remembered { kept, kept6 })
}

fn plan(loaded: &Loaded, generation: u64) -> Plan {
    let config = &loaded.config;
    let renderer = Arc::clone(&loaded.renderer);
    let keeper = Arc::clone(&loaded.renderer);
    let platforms = Arc::clone(&loaded.platforms);
    let named = |required: bool| {
        let hooks = config.hooks.iter().filter(|hook| hook.required == required);
        hooks.map(|hook| hook.name.clone()).collect()
    };
    Plan {
        inventory: Arc::clone(&loaded.inventory),
        platforms: Arc::clone(&loaded.platforms),
        render: Arc::new(move |device, inventory| {
            let rendered = renderer.render(device, inventory).map_err(|error| error.to_string())?;
            Ok(match platforms.get(&device.platform) {
                Some(platform) if !device.is_configured() => platform.finish(rendered),
                Some(_) | None => rendered,
            })
        }),
        secrets: Arc::new(move |device| keeper.secrets_of(device)),
        rules: Rules {
            hooks_required: named(true),
            hooks_optional: named(false),
            ..Rules::of(&config.runs, config.ssh.visit_timeout)
        },
        generation,
    }
}

fn listen(why: &str) -> Error {
    Error::new(Code::Listen, why.to_owned())
        .hint("another server may run already; `listen:` and `socket:` say where")
}

fn from_store(refused: Refused) -> Error {
    Error::new(Code::Store, refused.to_string())
}

/// Runs the server of `config` until it is told to end (SIGTERM, SIGINT); SIGHUP loads the plan
/// anew.
pub async fn serve(config: &Path) -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let loaded = commands::load(config)?;
    for remark in &loaded.remarks {
        tracing::warn!(%remark, "serving goes on without");
    }
    descriptors::allow_all();
    let running = start(&loaded, Clock::System, Entropy::System).await?;
    heap::trim();
    tracing::info!(dhcp = ?running.dhcp, dhcp6 = ?running.dhcp6, tftp = ?running.tftp,
        http = ?running.http, devices = loaded.inventory.devices.len(), "serving");
    let on = |kind| signal(kind).map_err(|error| listen(&format!("signals: {error}")));
    let mut hangup = on(SignalKind::hangup())?;
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let lost = loop {
        tokio::select! {
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            // Whoever starts us anew reads what the disk has; another server may serve meanwhile.
            why = running.memory.lost() => break Some(why),
            _ = hangup.recv() => match files::load(config) {
                Ok(loaded) => {
                    running.reload(&loaded);
                    heap::trim();
                    tracing::info!(devices = loaded.inventory.devices.len(), "a new plan is in force");
                }
                Err(complaints) => {
                    for complaint in &complaints {
                        tracing::error!(%complaint, "the plan stays as it was");
                    }
                }
            },
        }
    };
    tracing::info!("ending");
    running.stop().await;
    lost.map_or(Ok(()), |why| Err(Error::new(Code::Store, why).hint("look at the disk first")))
}
