//! The plan in force: inventory, platforms and templates of one moment. A reload replaces it whole.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use crate::config::meant::Runs;
use crate::domain::inventory::meant::{Device, Inventory};
use crate::domain::run::Timing;
use crate::platform::Platforms;
use crate::secret::Secret;

/// Renders the template of a device as it must be served, or says why it cannot. Of a device that
/// is [`Device::configured`] this is what it must run.
pub type Render = Arc<dyn Fn(&Device, &Inventory) -> Result<String, String> + Send + Sync>;

/// The secrets that the template of a device is given.
pub type TemplateSecrets = Arc<dyn Fn(&Device) -> Vec<Secret> + Send + Sync>;

/// Everything that is planned, as of one load.
pub struct Plan {
    pub inventory: Arc<Inventory>,
    pub platforms: Arc<Platforms>,
    pub render: Render,
    pub secrets: TemplateSecrets,
    pub rules: Rules,
    /// Ascending; rendered files are kept per generation.
    pub generation: u64,
}

/// What the configuration says about runs. `None` leaves it to the platform.
#[derive(Debug, Clone)]
pub struct Rules {
    pub window: Duration,
    pub ask_patience: Option<Duration>,
    pub file_patience: Duration,
    pub settle: Option<Duration>,
    pub back_deadline: Option<Duration>,
    pub recheck: Duration,
    pub neighbour_patience: Duration,
    pub login_patience: Duration,
    pub still_waiting: Duration,
    pub visit_timeout: Duration,
    pub hooks_required: Vec<String>,
    pub hooks_optional: Vec<String>,
}

impl Rules {
    /// What the settings say. No hook is meant yet.
    pub fn of(runs: &Runs, visit_timeout: Duration) -> Self {
        Self {
            window: runs.window,
            ask_patience: runs.ask_patience,
            file_patience: runs.file_patience,
            settle: runs.settle,
            back_deadline: runs.back_deadline,
            recheck: runs.recheck,
            neighbour_patience: runs.neighbour_patience,
            login_patience: runs.login_patience,
            still_waiting: runs.still_waiting,
            visit_timeout,
            hooks_required: Vec::new(),
            hooks_optional: Vec::new(),
        }
    }
}

/// Two minutes: the first value that worked for installers, used for a platform that says nothing.
const BACK_DEADLINE: Duration = Duration::from_secs(120);

impl Plan {
    /// The file that a device fetches first.
    pub fn first_file(&self, device: &Device) -> Result<String, String> {
        (self.render)(device, &self.inventory)
    }

    /// What a device must run.
    pub fn configuration(&self, device: &Device) -> Result<String, String> {
        (self.render)(&device.configured(), &self.inventory)
    }

    /// What a run of this device may take, fixed when it opens.
    pub fn timing(&self, device: &Device) -> Timing {
        let platform = self.platforms.get(&device.platform);
        let rules = &self.rules;
        let settle = platform.map_or(Duration::from_secs(10), |platform| platform.settle);
        let back = platform.map_or(BACK_DEADLINE, |platform| platform.back_deadline);
        // Without history the platform's own time is the best guess of how long it boots.
        let boots = Timing::ASK_PATIENCE.max(back + back / 2);
        Timing {
            ask_patience: rules.ask_patience.unwrap_or(boots),
            file_patience: rules.file_patience,
            settle: rules.settle.unwrap_or(settle),
            back_deadline: rules.back_deadline.unwrap_or(back),
            recheck: rules.recheck,
            neighbour_patience: rules.neighbour_patience,
            login_patience: rules.login_patience,
            still_waiting: rules.still_waiting,
            fetches: platform.is_none_or(|platform| !platform.transports.is_empty()),
            save: platform.is_some_and(|platform| platform.must_save),
            hooks_required: rules.hooks_required.clone(),
            hooks_optional: rules.hooks_optional.clone(),
        }
    }
}

/// The place where the plan in force stands. Clones share it.
#[derive(Clone)]
pub struct InForce(Arc<RwLock<Arc<Plan>>>);

impl InForce {
    pub fn new(plan: Plan) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(plan))))
    }

    pub fn get(&self) -> Arc<Plan> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub fn replace(&self, plan: Plan) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(plan);
    }
}
