//! Performs what a step asked for, after it is stored, and brings back what came of it as an event.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock::{Clock, Timestamp};
use crate::domain::check::{self, Plan as Planned};
use crate::domain::inventory::meant::{Device, SecretSource};
use crate::domain::run::{Event, Visit};
use crate::secret::Secret;
use crate::service::plan::{InForce, Plan};
use crate::service::probe::{Credential, Order, Outcome, Prober, Purpose, Report};
use crate::service::runner::Input;
use crate::service::upgrade::Images;

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
            Err(why) => return Visit::Broken { why },
        };
        let report = (self.prober)(order).await;
        let seen = self.judged(&plan, device, visit, report);
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
        let mut credentials = Vec::new();
        for reference in &device.credentials {
            let enable = reference.enable.as_ref().map(|source| (self.secrets)(source));
            credentials.push(Credential {
                username: reference.username.clone(),
                password: (self.secrets)(&reference.password)?,
                enable: enable.transpose()?,
            });
        }
        Ok(Order {
            target: SocketAddr::new(visit.address, device.ssh_port),
            platform: Arc::clone(platform),
            credentials,
            pinned_host_key: visit.pinned_host_key.clone(),
            purpose,
            deadline,
        })
    }

    fn judged(&self, plan: &Plan, device: &Device, visit: &VisitOrder, report: Report) -> Visit {
        match report.outcome {
            Outcome::Unreachable { why } => Visit::Unreachable { why },
            Outcome::LoginRefused { why } => Visit::LoginRefused { why },
            Outcome::HostKeyChanged { found } => Visit::HostKeyChanged { found },
            Outcome::Broken { why } => Visit::Broken { why },
            Outcome::Stepped { .. } => Visit::Broken { why: "a step was not asked for".into() },
            Outcome::Observed(seen) => {
                let rendered = match (plan.render)(device, &plan.inventory) {
                    Ok(rendered) => rendered,
                    Err(why) => return Visit::Broken { why },
                };
                let now = self.clock.now();
                let neighbours_due = visit
                    .first_visit
                    .is_some_and(|first| now.since(first) >= plan.rules.neighbour_patience);
                let planned = Planned {
                    device,
                    inventory: &plan.inventory,
                    platforms: &plan.platforms,
                    rendered: &rendered,
                    neighbours_due,
                };
                let findings = check::judge(&planned, &seen);
                Visit::Judged { host_key: report.host_key, findings }
            }
        }
    }
}
