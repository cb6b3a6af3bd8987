//! Performs what a step asked for, after it is stored, and brings back what came of it as an event.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock::{Clock, Timestamp};
use crate::domain::check::counted::Counted;
use crate::domain::check::{self, Circumstances, Plan as Planned};
use crate::domain::inventory::meant::{CredentialReference, Device, JumpReference, SecretSource};
use crate::domain::run::{Event, Visit};
use crate::secret::Secret;
use crate::service::plan::{InForce, Plan};
use crate::service::probe::{
    Credential, Jump, Order, Outcome, PrivateKey, Prober, Purpose, Report,
};
use crate::service::runner::Input;
use crate::service::upgrade::Images;
use crate::service::upstream::Upstreams;

/// Fetches a secret from where it is kept.
pub type Secrets = Arc<dyn Fn(&SecretSource) -> Result<Secret, String> + Send + Sync>;

/// One visit to be made.
#[derive(Debug, Clone)]
pub struct VisitOrder {
    pub run: String,
    pub device: String,
    pub attempt: u64,
    pub address: IpAddr,
    pub errand: Errand,
    pub pinned_host_key: Option<String>,
    pub first_visit: Option<Timestamp>,
    /// What earlier visits of the run have counted.
    pub counted: Counted,
    /// The visit before found the planned configuration running, and saved.
    pub saved_before: bool,
}

/// What a visit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// Ask every question; `save`: save the running configuration first.
    Look { save: bool },
    /// Take this step of an upgrade.
    Step { index: usize },
}

/// Makes visits, so many at a time. Clones share the limit.
#[derive(Clone)]
pub struct Performer {
    pub prober: Prober,
    pub secrets: Secrets,
    pub plan: InForce,
    pub clock: Clock,
    pub visits: Arc<Semaphore>,
    pub images: Images,
    /// What upstream devices have told lately.
    pub upstreams: Upstreams,
}

impl Performer {
    /// Visits, compares what was seen with the plan, and returns the run's event.
    pub async fn visit(&self, visit: VisitOrder) -> Input {
        let outcome = match visit.errand {
            Errand::Look { save } => {
                let _permit = self.visits.acquire().await;
                self.look(&visit, save).await
            }
            // Long ones have places of their own, or nobody else would be visited.
            Errand::Step { index } => self.step(&visit, index).await,
        };
        let event = Event::Visited { attempt: visit.attempt, visit: outcome };
        Input::answer(visit.run, event)
    }

    async fn look(&self, visit: &VisitOrder, save: bool) -> Visit {
        let plan = self.plan.get();
        let Some(device) = plan.inventory.device(&visit.device) else {
            return Visit::Broken { why: "the device left the inventory".into() };
        };
        let purpose = if save { Purpose::SaveAndObserve } else { Purpose::Observe };
        let order = match self.order(&plan, device, visit, (purpose, plan.rules.visit_timeout)) {
            Ok(order) => order,
            Err(why) => return Visit::OurSide { why },
        };
        let secrets = known_secrets(&plan, device, &order);
        let report = (self.prober)(order).await;
        let seen = self.judged(&plan, device, (visit, &secrets), report);
        self.offered(&plan, device, seen).await
    }

    pub(super) fn order(
        &self,
        plan: &Plan,
        device: &Device,
        visit: &VisitOrder,
        (purpose, deadline): (Purpose, Duration),
    ) -> Result<Order, String> {
        let platform = plan
            .platforms
            .get(&device.platform)
            .ok_or_else(|| format!("no platform `{}`", device.platform))?;
        let jumps = plan.inventory.jumps_to(&device.name);
        Ok(Order {
            target: SocketAddr::new(visit.address, device.ssh_port),
            platform: Arc::clone(platform),
            credentials: self.credentials(&device.credentials)?,
            jumps: jumps.iter().map(|jump| self.jump(jump)).collect::<Result<_, _>>()?,
            pinned_host_key: visit.pinned_host_key.clone(),
            purpose,
            further: check::further_commands(&planned(plan, device, "", false)),
            deadline,
        })
    }

    fn jump(&self, reference: &JumpReference) -> Result<Jump, String> {
        Ok(Jump {
            host: reference.host.clone(),
            port: reference.port,
            credentials: self.credentials(&reference.credentials)?,
            host_key: reference.host_key.clone(),
        })
    }

    fn credentials(&self, references: &[CredentialReference]) -> Result<Vec<Credential>, String> {
        references.iter().map(|reference| self.credential(reference)).collect()
    }

    fn credential(&self, reference: &CredentialReference) -> Result<Credential, String> {
        let fetched =
            |source: &Option<SecretSource>| source.as_ref().map(|s| (self.secrets)(s)).transpose();
        let key = reference.key.as_ref().map(|key| {
            let passphrase = fetched(&key.passphrase)?;
            Ok::<_, String>(PrivateKey { text: (self.secrets)(&key.text)?, passphrase })
        });
        Ok(Credential {
            username: reference.username.clone(),
            password: fetched(&reference.password)?,
            key: key.transpose()?,
            enable: fetched(&reference.enable)?,
        })
    }

    fn judged(
        &self,
        plan: &Plan,
        device: &Device,
        (visit, secrets): (&VisitOrder, &[Secret]),
        report: Report,
    ) -> Visit {
        match report.outcome {
            Outcome::Unreachable { why } => Visit::Unreachable { why },
            Outcome::LoginRefused { why } => Visit::LoginRefused { why },
            Outcome::HostKeyChanged { found } => Visit::HostKeyChanged { found },
            Outcome::Broken { why } => Visit::Broken { why },
            Outcome::Stepped { .. } => Visit::Broken { why: "a step was not asked for".into() },
            Outcome::OurSide { why } => Visit::OurSide { why },
            Outcome::Observed(seen) => {
                let rendered = match plan.configuration(device) {
                    Ok(rendered) => rendered,
                    Err(why) => return Visit::Broken { why },
                };
                let now = self.clock.now();
                let neighbours_due = self.neighbours_due(plan, visit.first_visit);
                let planned = planned(plan, device, &rendered, neighbours_due);
                let earlier = visit.counted.clone();
                let saved_before = visit.saved_before;
                let circumstances =
                    Circumstances { now: Some(now), earlier, saved_before, secrets };
                let findings = check::judge_visit(&planned, &seen, &circumstances);
                if findings.asks_upstreams {
                    self.upstreams.hold((&visit.run, visit.attempt), &seen);
                }
                Visit::Judged { host_key: report.host_key, findings }
            }
        }
    }

    /// Whether neighbours had the time to be heard since the device let us in first.
    pub(super) fn neighbours_due(&self, plan: &Plan, first_visit: Option<Timestamp>) -> bool {
        let now = self.clock.now();
        first_visit.is_some_and(|first| now.since(first) >= plan.rules.neighbour_patience)
    }
}

pub(super) fn planned<'a>(
    plan: &'a Plan,
    device: &'a Device,
    rendered: &'a str,
    neighbours_due: bool,
) -> Planned<'a> {
    Planned {
        device,
        inventory: &plan.inventory,
        platforms: &plan.platforms,
        rendered,
        neighbours_due,
    }
}

/// The secrets that this device's answers may show: its logins, and what its template was given.
fn known_secrets(plan: &Plan, device: &Device, order: &Order) -> Vec<Secret> {
    let logins = order
        .credentials
        .iter()
        .flat_map(|login| login.password.iter().chain(&login.enable).cloned());
    logins.chain((plan.secrets)(device)).collect()
}
