//! What the door does about upgrades: is there an image for this device, and one step of one.

use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::domain::inventory::meant::{Device, Image};
use crate::domain::run::Visit;
use crate::domain::run::upgrade::{self, Offer, OwnImage, Step, StepEnd};
use crate::platform::Platform;
use crate::platform::software::Facts;
use crate::service::performer::{Performer, VisitOrder};
use crate::service::plan::Plan;
use crate::service::probe::{Outcome, Purpose};

/// Devices that are upgraded at the same time: what one site's uplink and one server feed with
/// images of a gigabyte within an hour. The others wait for their turn within their own time.
const UPGRADES_MAX: usize = 32;

static PLACES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(UPGRADES_MAX));

/// How long a step waits for a place.
const TURN_PATIENCE: Duration = Duration::from_secs(15);

/// For two logins and a look, beyond the time of the step itself.
const AROUND: Duration = Duration::from_secs(90);

/// What is known of an image that we serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Lower-case hex.
    pub sha256: String,
    pub md5: String,
    pub image_url: String,
    pub tftp_url: String,
}

/// Looks an image up by its name; waits until its digests are known. The reason says why there is
/// none.
pub type Images = Arc<
    dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<Known, String>> + Send>> + Send + Sync,
>;

/// Where no images are served.
pub fn no_images() -> Images {
    Arc::new(|_| Box::pin(async { Err("no images are served here".to_owned()) }))
}

/// The planned image that this device fetches of its own accord, if it is this one.
pub fn own_image(plan: &Plan, device: &Device, name: &str) -> Option<OwnImage> {
    let software = device.software.as_ref()?;
    let image = software.image.as_ref()?;
    if image.name != name.trim_start_matches('/') {
        return None;
    }
    let takes = plan.platforms.get(&device.platform)?.software.as_ref();
    let takes = takes.map_or(TAKES, |software| software.takes);
    Some(OwnImage { version: software.version.clone(), takes })
}

/// Where a platform's file says nothing: an image over a slow line, and a slow boot.
const TAKES: Duration = Duration::from_secs(30 * 60);

impl Performer {
    /// What a visit saw, with the upgrade that it calls for, if there is one that can be made.
    pub(super) async fn offered(&self, plan: &Plan, device: &Device, seen: Visit) -> Visit {
        let Visit::Judged { host_key, mut findings } = seen else { return seen };
        let wanted = upgrade::outdated(&findings).zip(installable(plan, device));
        let Some((found, (platform, image))) = wanted else {
            return Visit::Judged { host_key, findings };
        };
        match self.known(image).await {
            Ok(_) => {
                let offer = offer(found, device, platform);
                Visit::Outdated { host_key, findings, offer }
            }
            Err(why) => {
                findings.remarks.push(format!("the planned image cannot be installed: {why}"));
                Visit::Judged { host_key, findings }
            }
        }
    }

    /// The image as we serve it. What is not the planned file is never installed.
    async fn known(&self, image: &Image) -> Result<Known, String> {
        let known = (self.images)(image.name.clone()).await?;
        match &image.sha256 {
            Some(planned) if *planned == known.sha256 => Ok(known),
            Some(planned) => {
                Err(format!("{} has SHA-256 {}, planned is {planned}", image.name, known.sha256))
            }
            None => Err(format!("the plan has no SHA-256 of {}", image.name)),
        }
    }

    /// Takes one step.
    pub(super) async fn step(&self, visit: &VisitOrder, index: usize) -> Visit {
        let ended = |end| Visit::Stepped { host_key: None, index, end };
        // Who waits longer asks anew, so that no step is taken that nobody waits for any more.
        let Ok(Ok(_place)) = timeout(TURN_PATIENCE, PLACES.acquire()).await else {
            return ended(StepEnd::NotYet);
        };
        let plan = self.plan.get();
        let refused = |why: &str| ended(StepEnd::Refused { why: why.to_owned() });
        let Some(device) = plan.inventory.device(&visit.device) else {
            return refused("the device left the inventory");
        };
        let Some((platform, image)) = installable(&plan, device) else {
            return refused("the plan has no image to install any more");
        };
        let steps = platform.software.as_ref().map_or(&[][..], |software| &software.steps);
        let Some(step) = steps.get(index) else {
            return refused("its platform has no such step any more");
        };
        let known = match self.known(image).await {
            Ok(known) => known,
            Err(why) => return refused(&why),
        };
        let filled = match step.fill(&facts(device, image, known)) {
            Ok(filled) => filled,
            Err(why) => return refused(&why),
        };
        let deadline = step.timeout + AROUND;
        let purpose = Purpose::Step(Box::new(filled));
        let order = match self.order(&plan, device, visit, (purpose, deadline)) {
            Ok(order) => order,
            Err(why) => return Visit::OurSide { why },
        };
        let report = (self.prober)(order).await;
        match report.outcome {
            Outcome::Stepped { end } => Visit::Stepped { host_key: report.host_key, index, end },
            Outcome::Unreachable { why } => Visit::Unreachable { why },
            Outcome::LoginRefused { why } => Visit::LoginRefused { why },
            Outcome::HostKeyChanged { found } => Visit::HostKeyChanged { found },
            Outcome::Broken { why } => Visit::Broken { why },
            Outcome::OurSide { why } => Visit::OurSide { why },
            Outcome::Observed(_) => Visit::Broken { why: "the step was not taken".into() },
        }
    }
}

/// The image that we may install on this device, and the platform that says how.
fn installable<'a>(plan: &'a Plan, device: &'a Device) -> Option<(&'a Arc<Platform>, &'a Image)> {
    let image = device.software.as_ref()?.installable()?;
    let platform = plan.platforms.get(&device.platform)?;
    let steps = platform.software.as_ref().is_some_and(|software| !software.steps.is_empty());
    (device.managed && steps).then_some((platform, image))
}

fn offer(found: String, device: &Device, platform: &Platform) -> Offer {
    let planned = device.software.as_ref().map(|software| software.version.clone());
    let software = platform.software.as_ref();
    let steps = software.map_or(&[][..], |software| &software.steps);
    let step =
        |step: &crate::platform::software::Step| Step { kind: step.kind, timeout: step.timeout };
    Offer {
        found,
        planned: planned.unwrap_or_default(),
        steps: steps.iter().map(step).collect(),
        takes: software.map_or(TAKES, |software| software.takes),
    }
}

fn facts(device: &Device, image: &Image, known: Known) -> Facts {
    let Known { sha256, md5, image_url, tftp_url } = known;
    let version = device.software.as_ref().map(|software| software.version.clone());
    Facts {
        version: version.unwrap_or_default(),
        file: image.file().to_owned(),
        image_url,
        tftp_url,
        sha256,
        md5,
    }
}
