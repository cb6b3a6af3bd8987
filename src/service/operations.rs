//! What a person or a system may do, the same from every face: who asks comes first, and stays with
//! what was set in motion.

use serde::{Deserialize, Serialize};

use crate::domain::run::{Event, Run};
use crate::error::{Code, Error};
use crate::service::memory::{Delivery, JournalLine, Memory, Query, Refused, ServedFile, Stranger};
use crate::service::plan::InForce;
use crate::service::runner::{Input, Opening, Runs, Told};

/// Who asks, and how they came in.
#[derive(Debug, Clone)]
pub struct Context {
    /// `unix:1000`.
    pub actor: String,
}

/// One line of `status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceStatus {
    pub device: String,
    pub site: String,
    pub location: String,
    pub platform: String,
    /// The phase's name; `planned` for a device without a run.
    pub phase: String,
    /// The open fault's code, such as `G12`.
    pub fault: Option<String>,
    pub address: Option<std::net::IpAddr>,
    pub repeats: u32,
    /// Checks proven, and checks planned.
    pub proven: usize,
    pub planned: usize,
    pub run: Option<Run>,
}

/// The answer to `status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    pub devices: Vec<DeviceStatus>,
    /// Planned devices that were never heard of and are not listed.
    pub silent: usize,
    pub strangers: Vec<Stranger>,
}

/// The answer to `log`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Log {
    pub lines: Vec<JournalLine>,
    pub served: Vec<ServedFile>,
    pub deliveries: Vec<Delivery>,
}

/// The operations. Clones share everything.
#[derive(Clone)]
pub struct Operations {
    memory: Memory,
    plan: InForce,
    runs: Runs,
}

/// Planned devices without a run are listed up to this number; beyond it they are counted.
const PLANNED_LISTED: usize = 200;

impl Operations {
    pub fn new(memory: Memory, plan: InForce, runs: Runs) -> Self {
        Self { memory, plan, runs }
    }

    /// Every device that was heard of, and the first of those that were not.
    pub async fn status(&self, _: &Context) -> Result<Status, Error> {
        let runs = self.memory.ask(Query::LatestRuns).await.map_err(store)?;
        let strangers = self.memory.ask(Query::Strangers).await.map_err(store)?;
        let plan = self.plan.get();
        let heard: std::collections::HashSet<&str> =
            runs.iter().map(|run| run.device.as_str()).collect();
        let unheard =
            plan.inventory.devices.iter().filter(|d| d.managed && !heard.contains(d.name.as_str()));
        let mut silent = 0;
        let mut planned = Vec::new();
        for device in unheard {
            if planned.len() < PLANNED_LISTED {
                planned.push(DeviceStatus {
                    device: device.name.clone(),
                    site: device.site.clone(),
                    location: device.location.clone(),
                    platform: device.platform.clone(),
                    phase: "planned".into(),
                    fault: None,
                    address: device.planned_address(),
                    repeats: 0,
                    proven: 0,
                    planned: 0,
                    run: None,
                });
            } else {
                silent += 1;
            }
        }
        let mut devices: Vec<DeviceStatus> = runs.into_iter().map(line).collect();
        devices.extend(planned);
        Ok(Status { devices, silent, strangers })
    }

    /// The newest `last` lines of a device's journal, with what was served and sent.
    pub async fn log(&self, _: &Context, device: &str, last: u32) -> Result<Log, Error> {
        let name = device.to_owned();
        let run = self
            .memory
            .ask(|reply| Query::LatestRunOf { device: name.clone(), reply })
            .await
            .map_err(store)?;
        if run.is_none() {
            self.known(device)?;
        }
        let lines = self
            .memory
            .ask(|reply| Query::Journal { device: name.clone(), last, reply })
            .await
            .map_err(store)?;
        let served = self
            .memory
            .ask(|reply| Query::Served { device: name, last, reply })
            .await
            .map_err(store)?;
        let deliveries = match run {
            Some(run) => self
                .memory
                .ask(|reply| Query::OutboxOf { subject: run.id, reply })
                .await
                .map_err(store)?,
            None => Vec::new(),
        };
        Ok(Log { lines, served, deliveries })
    }

    /// Begins a new run: an open one is cancelled, the device is visited where it is.
    pub async fn rerun(&self, cx: &Context, device: &str) -> Result<(), Error> {
        self.known(device)?;
        let opening = Opening::Forced { actor: cx.actor.clone() };
        let event = Event::Recheck { by: cx.actor.clone() };
        self.runs.stored(Input::event(device, event, opening)).await.map_err(store)?;
        Ok(())
    }

    /// Opens a run for a device that is about to be powered on: from now on it has its time to be
    /// heard.
    pub async fn expect(&self, cx: &Context, device: &str) -> Result<(), Error> {
        self.known(device)?;
        let name = device.to_owned();
        let ask = |reply| Query::LatestRunOf { device: name, reply };
        let open = self.memory.ask(ask).await.map_err(store)?.filter(Run::is_open);
        if let Some(run) = open {
            let phase = run.phase.name();
            return Err(Error::new(Code::NotNow, format!("{device} has an open run: {phase}"))
                .hint(format!("`greenlight log {device}` tells where it is")));
        }
        let opening = Opening::Expected { actor: cx.actor.clone() };
        let event = Event::Expect { by: cx.actor.clone() };
        self.runs.stored(Input::event(device, event, opening)).await.map_err(store)?;
        Ok(())
    }

    /// Ends the device's open run.
    pub async fn cancel(&self, cx: &Context, device: &str) -> Result<(), Error> {
        self.known(device)?;
        let name = device.to_owned();
        let run = self
            .memory
            .ask(|reply| Query::LatestRunOf { device: name, reply })
            .await
            .map_err(store)?
            .filter(Run::is_open)
            .ok_or_else(|| Error::new(Code::NotNow, format!("{device} has no open run")))?;
        let input = Input::answer(run.id, Event::Cancel { by: cx.actor.clone() });
        self.runs.stored(input).await.map_err(store)?;
        Ok(())
    }

    /// Everything that becomes true from now on.
    pub fn watch(&self, _: &Context) -> tokio::sync::broadcast::Receiver<Told> {
        self.runs.feed()
    }

    fn known(&self, device: &str) -> Result<(), Error> {
        let plan = self.plan.get();
        match plan.inventory.device(device) {
            Some(found) if found.managed => Ok(()),
            Some(_) => Err(Error::new(
                Code::NotNow,
                format!("{device} is in service already and has no runs"),
            )),
            None => Err(Error::new(Code::UnknownDevice, format!("no device is called {device}"))
                .hint("`greenlight status` lists the devices of the inventory")),
        }
    }
}

fn store(refused: Refused) -> Error {
    Error::new(Code::Store, refused.to_string()).hint("see the server's log")
}

/// A run as a line of `status`.
pub fn line(run: Run) -> DeviceStatus {
    let (proven, planned) = run.score();
    let fault = match &run.phase {
        crate::domain::run::Phase::ActionNeeded { problem, .. } => {
            Some(problem.fault.code().to_owned())
        }
        crate::domain::run::Phase::Expected { .. }
        | crate::domain::run::Phase::Addressed { .. }
        | crate::domain::run::Phase::Fetching { .. }
        | crate::domain::run::Phase::Settling { .. }
        | crate::domain::run::Phase::Connecting { .. }
        | crate::domain::run::Phase::Verifying { .. }
        | crate::domain::run::Phase::Upgrading { .. }
        | crate::domain::run::Phase::HandingOff { .. }
        | crate::domain::run::Phase::Ready { .. }
        | crate::domain::run::Phase::Failed { .. }
        | crate::domain::run::Phase::Cancelled { .. } => None,
    };
    DeviceStatus {
        device: run.device.clone(),
        site: run.site.clone(),
        location: run.location.clone(),
        platform: run.platform.clone(),
        phase: run.phase.name().to_owned(),
        fault,
        address: run.address,
        repeats: run.repeats,
        proven,
        planned,
        run: Some(run),
    }
}
