//! Asking the devices at the other ends of a device's cables whom they hear, and keeping what they
//! told for a moment.
//!
//! They are in service and carry other people's traffic: each is visited by one at a time, only to
//! read, and not again before a verify round is over; whoever else wants to know meanwhile shares
//! what was told. One that refused the login is left alone for longer, for an account can be locked
//! by trying.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::clock::Timestamp;
use crate::domain::check::counted::Counted;
use crate::domain::check::upstream::{Told, View, told_by_upstreams, upstreams};
use crate::domain::inventory::meant::Device;
use crate::domain::run::Event;
use crate::platform::observation::{Observation, Reading};
use crate::service::performer::{Errand, Performer, VisitOrder, planned};
use crate::service::plan::Plan;
use crate::service::probe::{Outcome, Purpose, Report};
use crate::service::runner::Input;

/// A visit to an upstream device takes no longer: the run that waits for it looks again soon.
const VISIT_DEADLINE: Duration = Duration::from_secs(20);

/// A device that refused our login is not tried again before this time: accounts are locked for
/// some minutes after a few wrong passwords.
const REFUSED_PAUSE: Duration = Duration::from_secs(600);

/// One that was not reached is left alone for so many rounds.
const MISSED_ROUNDS: u32 = 4;

/// Observations that wait for their far ends. Each device has one at most, for some seconds.
const HELD_MAX: usize = 4096;

/// The question of one run.
#[derive(Debug, Clone)]
pub struct AskOrder {
    pub run: String,
    pub device: String,
    pub attempt: u64,
    /// The device itself does not answer.
    pub away: bool,
    pub first_visit: Option<Timestamp>,
}

/// What is known of upstream devices at this moment. Clones share it.
#[derive(Clone, Default)]
pub struct Upstreams {
    shelves: Arc<Mutex<HashMap<String, Shelf>>>,
    /// By run: the attempt, and what the device itself told of its neighbours.
    held: Arc<Mutex<HashMap<String, (u64, Observation)>>>,
}

/// One upstream device. Whoever holds it visits it.
type Shelf = Arc<tokio::sync::Mutex<Known>>;

#[derive(Default)]
struct Known {
    look: Option<Look>,
    /// The key that was seen first after this server's start, of a device in service.
    host_key: Option<String>,
}

struct Look {
    ended: Instant,
    /// How long from then on it is taken for true, or left alone.
    lasts: Duration,
    /// Of the plan it was made by: a new one may name other logins.
    generation: u64,
    seen: Result<Arc<Observation>, String>,
}

impl Upstreams {
    /// Keeps what a device told of its neighbours until its upstream devices are asked. Nothing
    /// that could hold a secret is kept.
    pub(super) fn hold(&self, (run, attempt): (&str, u64), seen: &Observation) {
        let mut held = lock(&self.held);
        if held.len() >= HELD_MAX && !held.contains_key(run) {
            return;
        }
        let seen = Observation {
            lldp: seen.lldp.clone(),
            cdp: seen.cdp.clone(),
            interfaces: seen.interfaces.clone(),
            ..Observation::empty()
        };
        held.insert(run.to_owned(), (attempt, seen));
    }

    fn take(&self, run: &str, attempt: u64) -> Option<Observation> {
        let (of, seen) = lock(&self.held).remove(run)?;
        (of == attempt).then_some(seen)
    }

    fn shelf(&self, device: &str) -> Shelf {
        Arc::clone(lock(&self.shelves).entry(device.to_owned()).or_default())
    }
}

/// A panic of another holder leaves nothing half done behind: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Performer {
    /// Asks the upstream devices of a device; `None` if there is none to ask and nobody waits.
    pub async fn ask_upstreams(&self, order: AskOrder) -> Option<Input> {
        let told = self.told_by_upstreams(&order).await;
        if order.away && told.is_none() {
            return None;
        }
        let event = Event::UpstreamsTold { attempt: order.attempt, told: told.unwrap_or_default() };
        Some(Input::answer(order.run, event))
    }

    async fn told_by_upstreams(&self, order: &AskOrder) -> Option<Told> {
        let own = self.upstreams.take(&order.run, order.attempt);
        if !order.away && own.is_none() {
            return None;
        }
        let plan = self.plan.get();
        let device = plan.inventory.device(&order.device)?;
        let due = self.neighbours_due(&plan, order.first_visit);
        let planned = planned(&plan, device, "", due);
        let asked = upstreams(&planned);
        if asked.is_empty() {
            return None;
        }
        let mut under_way = JoinSet::new();
        for upstream in asked {
            let (performer, plan, upstream) =
                (self.clone(), Arc::clone(&plan), Arc::clone(upstream));
            under_way.spawn(async move {
                let seen = performer.view(&plan, &upstream).await;
                View { device: upstream.name.clone(), seen }
            });
        }
        let views = under_way.join_all().await;
        Some(told_by_upstreams(&planned, own.as_ref().filter(|_| !order.away), &views))
    }

    /// What an upstream device tells, or has told a moment ago.
    async fn view(&self, plan: &Plan, upstream: &Device) -> Result<Arc<Observation>, String> {
        let shelf = self.upstreams.shelf(&upstream.name);
        let mut known = shelf.lock().await;
        let now = self.clock.instant();
        if let Some(look) = &known.look
            && look.generation == plan.generation
            && now.saturating_duration_since(look.ended) < look.lasts
        {
            return look.seen.clone();
        }
        let _permit = self.visits.acquire().await;
        let (seen, lasts) = match self.visit_upstream(plan, upstream, known.host_key.clone()).await
        {
            Ok(Report { host_key, outcome }) => {
                // A device that is still to be served makes itself new keys.
                if !upstream.managed && matches!(outcome, Outcome::Observed(_)) {
                    known.host_key = known.host_key.take().or(host_key);
                }
                told(outcome, plan.rules.recheck)
            }
            Err(why) => (Err(why), plan.rules.recheck * MISSED_ROUNDS),
        };
        let generation = plan.generation;
        let ended = self.clock.instant();
        known.look = Some(Look { ended, lasts, generation, seen: seen.clone() });
        seen
    }

    async fn visit_upstream(
        &self,
        plan: &Plan,
        upstream: &Device,
        pinned_host_key: Option<String>,
    ) -> Result<Report, String> {
        let address = upstream.planned_address().ok_or("it has no address")?;
        let visit = VisitOrder {
            run: String::new(),
            device: upstream.name.clone(),
            attempt: 0,
            address,
            errand: Errand::Look { save: false },
            pinned_host_key,
            first_visit: None,
            counted: Counted::default(),
            saved_before: false,
        };
        let deadline = plan.rules.visit_timeout.min(VISIT_DEADLINE);
        let mut order = self.order(plan, upstream, &visit, (Purpose::Neighbours, deadline))?;
        order.further.clear();
        Ok((self.prober)(order).await)
    }
}

/// What a visit told, and for how long that holds.
fn told(outcome: Outcome, round: Duration) -> (Result<Arc<Observation>, String>, Duration) {
    let missed = round * MISSED_ROUNDS;
    match outcome {
        Outcome::Observed(seen) => {
            // It was not asked for them; what was not asked is not kept either.
            let (running, saved) = (Reading::NotAsked, Reading::NotAsked);
            (Ok(Arc::new(Observation { running, saved, ..*seen })), round)
        }
        Outcome::Unreachable { why } => (Err(format!("it is not reached: {why}")), missed),
        Outcome::Broken { why } | Outcome::OurSide { why } => (Err(why), missed),
        Outcome::Stepped { .. } => (Err("a step was not asked for".to_owned()), missed),
        Outcome::LoginRefused { why } => {
            (Err(format!("it refuses our login: {why}")), missed.max(REFUSED_PAUSE))
        }
        Outcome::HostKeyChanged { .. } => {
            (Err("its host key changed".to_owned()), missed.max(REFUSED_PAUSE))
        }
    }
}
