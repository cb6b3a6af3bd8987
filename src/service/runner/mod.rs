//! The one loop that moves runs: events are gathered, stepped, stored together, and only then acted
//! upon.
//!
//! Memory holds a copy of each device's newest run so that the common case asks nobody; the truth
//! is the store, whose constraints refuse a second run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::clock::{Clock, Timestamp};
use crate::domain::check::Problem;
use crate::domain::notice::{Kind, Notice};
use crate::domain::run::{Event, Phase, Run, Timer};
use crate::entropy::Entropy;
use crate::receipt::Committed;
use crate::service::memory::{Change, Memory, Query, Refused};
use crate::service::outbox::Outbox;
use crate::service::performer::{Performer, VisitOrder};
use crate::service::plan::InForce;
use crate::service::upstream::AskOrder;

mod alarms;
mod later;
mod sockets;
mod stage;

use alarms::Alarms;
use later::Later;
use sockets::Sockets;

/// Events that may wait; beyond it whoever brings one waits.
const QUEUE: usize = 8192;

/// Events stepped and stored together.
const GROUP: usize = 512;

/// What has ended is kept this long, for whoever asks what happened last quarter.
const KEPT: Duration = Duration::from_secs(100 * 24 * 3600);

/// Hourly, so that a flood of strangers is let go of within the hour.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// What waits at the end is stored within this time, or is lost: a store that takes longer hangs.
const FAREWELL: Duration = Duration::from_secs(10);

/// Whether an event may open a run when the device has none that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// It belongs to one run and to no other.
    Never,
    /// It opens the device's first run, and one after a run that did not end green.
    Unproven,
    /// It opens a run when the last one has not heard of the device for the window.
    AfterWindow,
    /// A person waits for the device: it opens a run unless one is open.
    Expected { actor: String },
    /// A person wants a new run now; an open one is cancelled.
    Forced { actor: String },
}

/// Whom an event concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// The newest run of this device, whichever that is.
    Device(String),
    /// This run and no other: it answers something that run asked for.
    Run(String),
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Input {
    /// What happened to whom; `None` for changes that concern no run.
    pub event: Option<(About, Event)>,
    pub opening: Opening,
    /// What must be stored with it, whatever the step says.
    pub changes: Vec<Change>,
}

impl Input {
    pub fn event(device: &str, event: Event, opening: Opening) -> Self {
        Self {
            event: Some((About::Device(device.to_owned()), event)),
            opening,
            changes: Vec::new(),
        }
    }

    /// An answer to something that this run asked for. Once the run is not the newest, it falls
    /// off.
    pub fn answer(run: String, event: Event) -> Self {
        Self { event: Some((About::Run(run), event)), opening: Opening::Never, changes: Vec::new() }
    }

    /// Something to be stored that concerns no run.
    pub fn changes(changes: Vec<Change>) -> Self {
        Self { event: None, opening: Opening::Never, changes }
    }
}

/// Events that become durable together.
pub struct Bundle {
    pub inputs: Vec<Input>,
    /// Answered after the flush.
    pub receipt: Option<oneshot::Sender<Result<Committed, Refused>>>,
    pub otherwise: Otherwise,
}

/// What becomes of a bundle that the store does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// It is kept and tried again; whoever waits is told that it is not stored yet.
    Kept,
    /// Whoever waits is told, and brings it again or gives up.
    Told,
    /// It is brought again anyway.
    Dropped,
}

impl From<Input> for Bundle {
    fn from(input: Input) -> Self {
        Self { inputs: vec![input], receipt: None, otherwise: Otherwise::Kept }
    }
}

/// What just became true, for whoever watches.
#[derive(Debug, Clone)]
pub struct Told {
    pub run: Arc<Run>,
    /// Topic and text of the journal lines.
    pub notes: Vec<(String, String)>,
    pub notice: Option<Notice>,
}

/// What is to be said.
#[derive(Debug, Clone, Copy)]
pub struct Saying<'a> {
    pub run: &'a Run,
    pub kind: Kind,
    pub problem: Option<&'a Problem>,
    pub now: Timestamp,
    /// Somebody follows the feed, and hears it even where no outlet carries it.
    pub watched: bool,
}

/// A notice with the rows that carry it to the outlets.
pub struct Spoken {
    pub notice: Notice,
    pub rows: Vec<Change>,
}

/// How a step is told, and how a device is handed over: words and outlets, without sending
/// anything.
pub struct Voice {
    pub speak: Box<Speak>,
    /// The row that hands this run's device to the hook, if there is such a hook.
    pub hand_off: Box<HandOff>,
}

/// `None` where nobody would hear it.
pub type Speak = dyn Fn(Saying) -> Option<Spoken> + Send + Sync;
pub type HandOff = dyn Fn(&Run, &str, Timestamp) -> Option<Change> + Send + Sync;

/// The way in. Clones share one runner.
#[derive(Clone)]
pub struct Runs {
    bundles: mpsc::Sender<Bundle>,
    feed: broadcast::Sender<Told>,
}

impl Runs {
    /// Brings an event; waits only while the queue is full.
    pub async fn send(&self, input: Input) {
        // After the end nobody moves runs; what is not stored comes again.
        let _ = self.bundles.send(input.into()).await;
    }

    /// Brings an event if there is room. False: dropped, as it would be on a full wire. It is
    /// dropped later if the store does not take it.
    pub fn try_send(&self, input: Input) -> bool {
        self.bundles.try_send(Bundle { otherwise: Otherwise::Dropped, ..input.into() }).is_ok()
    }

    /// Brings an event and waits until it is stored.
    pub async fn stored(&self, input: Input) -> Result<Committed, Refused> {
        self.all_stored(vec![input]).await
    }

    /// Brings events, and waits until all of them are stored: one waiting for many.
    pub async fn all_stored(&self, inputs: Vec<Input>) -> Result<Committed, Refused> {
        let (receipt, answer) = oneshot::channel();
        let bundle = Bundle { inputs, receipt: Some(receipt), otherwise: Otherwise::Told };
        let _ = self.bundles.send(bundle).await;
        let gone = || Refused::Unavailable { why: "the server is stopping".into() };
        answer.await.map_err(|_| gone())?
    }

    /// Brings events that nobody brings again, and waits until all of them are stored, or are kept
    /// to be stored when the store is back.
    pub async fn all_kept(&self, inputs: Vec<Input>) {
        let (receipt, answer) = oneshot::channel();
        let bundle = Bundle { inputs, receipt: Some(receipt), otherwise: Otherwise::Kept };
        let _ = self.bundles.send(bundle).await;
        let _ = answer.await;
    }

    /// Brings events at once, in the order of the calls; what is awaited is that all of them are
    /// stored. Refused while the queue is full.
    pub fn bring(
        &self,
        inputs: Vec<Input>,
    ) -> impl Future<Output = Result<Committed, Refused>> + Send + use<> {
        let (receipt, answer) = oneshot::channel();
        let bundle = Bundle { inputs, receipt: Some(receipt), otherwise: Otherwise::Told };
        let brought = self.bundles.try_send(bundle);
        let why = if brought.is_ok() { "the server is stopping" } else { "too much waits" };
        let refused = move |_| Err(Refused::Unavailable { why: why.into() });
        async move { answer.await.unwrap_or_else(refused) }
    }

    /// Everything that becomes true from now on. A slow listener misses the oldest.
    pub fn feed(&self) -> broadcast::Receiver<Told> {
        self.feed.subscribe()
    }
}

/// What the runner is made of.
pub struct Parts {
    pub memory: Memory,
    pub plan: InForce,
    pub clock: Clock,
    pub entropy: Entropy,
    pub voice: Voice,
    /// For the answers of hooks that came while nobody listened.
    pub outbox: Outbox,
    /// Counted up when rows for the outlets were stored.
    pub outbox_bell: watch::Sender<u64>,
}

/// A channel in two halves, so that intake can be built before the loop runs.
pub fn channel() -> (Runs, mpsc::Receiver<Bundle>) {
    let (bundles, waiting) = mpsc::channel(QUEUE);
    let (feed, _) = broadcast::channel(4096);
    (Runs { bundles, feed }, waiting)
}

struct Runner {
    parts: Parts,
    performer: Performer,
    runs: Runs,
    /// The newest run of each device.
    latest: HashMap<String, Arc<Run>, RandomState>,
    alarms: Alarms,
    later: Later,
    /// The device of each run that is a newest one.
    devices: HashMap<String, String, RandomState>,
    /// What the newest runs have told and wait for.
    sockets: Sockets,
}

/// Resumes every open run from the store, then moves runs until `shutdown`; what waits then is
/// stored before this returns. Whoever brings events is to be ended before.
pub async fn run(
    parts: Parts,
    performer: Performer,
    (runs, mut waiting): (Runs, mpsc::Receiver<Bundle>),
    mut shutdown: watch::Receiver<bool>,
) -> Result<(), Refused> {
    let (latest, devices) = (HashMap::default(), HashMap::default());
    let (alarms, later, sockets) = (Alarms::default(), Later::default(), Sockets::default());
    let mut runner = Runner { parts, performer, runs, latest, alarms, later, devices, sockets };
    runner.resume().await?;
    let mut group = runner.hear_hooks().await?;
    let mut forget_at = runner.parts.clock.now();
    loop {
        let now = runner.parts.clock.now();
        if now >= forget_at {
            forget_at = now.plus(FORGET_EVERY);
            let forget = Input::changes(vec![Change::Forget { before: now.minus(KEPT) }]);
            group.push(Bundle { otherwise: Otherwise::Dropped, ..forget.into() });
        }
        if !group.is_empty() {
            runner.settle(std::mem::take(&mut group)).await;
        }
        let pause = runner.until_next_timer();
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => break,
            count = waiting.recv_many(&mut group, GROUP) => {
                if count == 0 {
                    break;
                }
            }
            () = tokio::time::sleep(pause) => {}
        }
        runner.due(&mut group);
        if !group.is_empty() {
            runner.settle(std::mem::take(&mut group)).await;
        }
        group = runner.later.due(runner.parts.clock.instant());
    }
    if tokio::time::timeout(FAREWELL, runner.finish(waiting)).await.is_err() {
        tracing::error!("the store hangs: events that waited at the end are lost");
    }
    Ok(())
}

impl Runner {
    async fn resume(&mut self) -> Result<(), Refused> {
        for run in self.parts.memory.ask(Query::LatestRuns).await? {
            self.learn(Arc::new(run));
        }
        let now = self.parts.clock.now();
        for (run, name, at) in self.parts.memory.ask(Query::Timers).await? {
            let Some(timer) = stage::timer_named(&name) else { continue };
            // A visit that was under way went down with the process: it is made again at once.
            let at = if timer == Timer::Visit && self.visiting(&run) { at.min(now) } else { at };
            self.alarms.set(&run, timer, Some(at));
        }
        let open = self.latest.values().filter(|run| run.is_open()).count();
        tracing::info!(open, known = self.latest.len(), "runs resumed");
        Ok(())
    }

    /// Hooks that answered while nobody listened: the answer is stored with the row, the run may
    /// not have heard it.
    async fn hear_hooks(&self) -> Result<Vec<Bundle>, Refused> {
        let mut heard = Vec::new();
        for run in self.latest.values() {
            let Phase::HandingOff { .. } = run.phase else { continue };
            let answers = self.parts.outbox.handoff_answers(&run.id).await?;
            heard.extend(answers.into_iter().map(|(hook, accepted, answer)| {
                let event = Event::HookAnswered { hook, accepted, answer };
                Input::answer(run.id.clone(), event).into()
            }));
        }
        Ok(heard)
    }

    /// Stores what still waits. What the store refuses even now is lost, and said.
    async fn finish(&mut self, mut waiting: mpsc::Receiver<Bundle>) {
        waiting.close();
        let mut group = self.later.take();
        loop {
            if !group.is_empty() {
                self.settle(std::mem::take(&mut group)).await;
            }
            if waiting.recv_many(&mut group, GROUP).await == 0 {
                break;
            }
        }
        let lost = self.later.len();
        if lost > 0 {
            tracing::error!(lost, "events that the store did not take are lost at the end");
        }
    }

    fn visiting(&self, run: &str) -> bool {
        let run = self.devices.get(run).and_then(|device| self.latest.get(device));
        run.is_some_and(|run| {
            matches!(
                run.phase,
                Phase::Connecting { .. }
                    | Phase::Verifying { .. }
                    | Phase::Upgrading { .. }
                    | Phase::ActionNeeded { .. }
            )
        })
    }

    fn until_next_timer(&self) -> Duration {
        let longest = Duration::from_secs(3600);
        let next = self.alarms.next();
        let timer = next.map_or(longest, |at| at.since(self.parts.clock.now()).min(longest));
        let later = self.later.pause(self.parts.clock.instant());
        later.map_or(timer, |later| later.min(timer))
    }

    /// Turns timers that went off into inputs. The row in the store goes with the step it causes.
    fn due(&mut self, group: &mut Vec<Bundle>) {
        let now = self.parts.clock.now();
        while let Some((run, timer)) = self.alarms.due(now) {
            let change = stage::timer_change(&run, timer, None);
            let mut input = Input::answer(run.to_string(), Event::Due { timer });
            input.changes.push(change);
            group.push(input.into());
        }
    }

    /// Steps and stores a group. A refusal loads the run anew and decides again; a store that is
    /// unavailable answers those who wait, and keeps what nobody would bring again.
    async fn settle(&mut self, group: Vec<Bundle>) {
        for _ in 0..4 {
            let mut staged = self.stage(&group);
            match self.parts.memory.commit(std::mem::take(&mut staged.changes)).await {
                Ok(committed) => {
                    self.adopt(staged);
                    for receipt in group.into_iter().filter_map(|bundle| bundle.receipt) {
                        let _ = receipt.send(Ok(committed));
                    }
                    return;
                }
                Err(Refused::AlreadyOpen { run }) => self.learn(run),
                Err(Refused::Stale { run }) => self.reload(&run).await,
                Err(Refused::Unavailable { why }) => {
                    self.put_off(group, &why);
                    return;
                }
            }
        }
        self.put_off(group, "the run was moved by another server again and again");
    }

    /// `run` is the newest of its device now.
    fn learn(&mut self, run: Arc<Run>) {
        self.sockets.learn(&run);
        match self.latest.get_mut(&run.device) {
            Some(known) if known.id == run.id => *known = run,
            Some(known) => {
                self.devices.remove(&known.id);
                self.devices.insert(run.id.clone(), run.device.clone());
                *known = run;
            }
            None => {
                self.devices.insert(run.id.clone(), run.device.clone());
                self.latest.insert(run.device.clone(), run);
            }
        }
    }

    async fn reload(&mut self, run: &str) {
        let Some(device) = self.devices.get(run).cloned() else { return };
        let question = |reply| Query::LatestRunOf { device: device.clone(), reply };
        match self.parts.memory.ask(question).await {
            Ok(Some(run)) => self.learn(Arc::new(run)),
            Ok(None) => {
                self.latest.remove(&device);
                self.sockets.forget(&device);
            }
            Err(refused) => tracing::error!(%refused, "the run could not be loaded anew"),
        }
    }

    fn put_off(&mut self, group: Vec<Bundle>, why: &str) {
        self.later.put_off(group, why, self.parts.clock.instant());
    }

    /// What was stored becomes what is known, and what follows is done.
    fn adopt(&mut self, staged: stage::Staged) {
        let rows = staged.rows > 0;
        for run in staged.runs.into_values() {
            self.learn(run);
        }
        for (run, timer, at) in staged.timers {
            self.alarms.set(&run, timer, at);
        }
        for told in staged.told {
            // Nobody watching is fine.
            let _ = self.runs.feed.send(told);
        }
        if rows {
            self.parts.outbox_bell.send_modify(|rings| *rings += 1);
        }
        for visit in staged.visits {
            self.perform(visit);
        }
        for ask in staged.asks {
            self.ask(ask);
        }
    }

    fn perform(&self, visit: VisitOrder) {
        let performer = self.performer.clone();
        let runs = self.runs.clone();
        tokio::spawn(async move {
            let input = performer.visit(visit).await;
            runs.send(input).await;
        });
    }

    fn ask(&self, order: AskOrder) {
        let performer = self.performer.clone();
        let runs = self.runs.clone();
        tokio::spawn(async move {
            if let Some(input) = performer.ask_upstreams(order).await {
                runs.send(input).await;
            }
        });
    }
}
