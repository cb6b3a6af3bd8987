//! The outlets of a configuration, each started with its secrets at hand.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::meant::{Config, Hook, HookTarget, Slack, SlackAccess};
use crate::domain::inventory::meant::SecretSource;
use crate::domain::run::Event;
use crate::error::{Code, Error};
use crate::files;
use crate::outlets::{hook, slack};
use crate::secret::Secret;
use crate::service::memory::Memory;
use crate::service::outbox::Outbox;
use crate::service::runner::{Input, Runs};

/// Devices handed over to one hook at the same time: what one automation server takes without a queue.
const HAND_OFFS_MAX: usize = 8;
/// Without a wake-up a queue is looked at this often: due retries wait no longer than this.
const POLL: Duration = Duration::from_millis(500);

/// What the outlets are started from.
pub struct Outlets<'a> {
    pub config: &'a Config,
    pub memory: &'a Memory,
    pub runs: &'a Runs,
    pub clock: &'a Clock,
    pub bell: watch::Receiver<u64>,
}

impl Outlets<'_> {
    /// Starts one task per outlet. A secret that cannot be read stops the start: better now than at
    /// the first message.
    pub fn start(
        &self,
        tasks: &mut JoinSet<()>,
        shutdown: &watch::Receiver<bool>,
    ) -> Result<(), Error> {
        if let Some(slack) = &self.config.slack {
            self.slack(slack, tasks, shutdown)?;
        }
        for hook in &self.config.hooks {
            let settings = self.hook(hook)?;
            let runs = self.runs.clone();
            let answered: hook::CallBack = Arc::new(move |answered| {
                let runs = runs.clone();
                Box::pin(async move {
                    let hook::Answered { run, hook, accepted, answer } = answered;
                    let event = Event::HookAnswered { hook, accepted, answer };
                    // Kept and tried again by the runner should the store be away.
                    runs.send(Input::answer(run, event)).await;
                })
            });
            let ending = shutdown.clone();
            tasks.spawn(hook::run(settings, self.outbox(), self.clock.clone(), answered, ending));
        }
        Ok(())
    }

    fn hook(&self, hook: &Hook) -> Result<hook::Settings, Error> {
        let whose = format!("hook {}", hook.name);
        let secret =
            |source: &SecretSource| files::secret(source).map_err(|why| missing(&whose, &why));
        let target = match &hook.target {
            HookTarget::Http { url, headers, secret_headers, signing_secret } => {
                let fetched = |(name, source): (&String, &SecretSource)| {
                    secret(source).map(|secret| (name.clone(), secret))
                };
                hook::Target::Http {
                    url: url.clone(),
                    headers: headers.clone(),
                    secret_headers: secret_headers.iter().map(fetched).collect::<Result<_, _>>()?,
                    signing: signing_secret.as_ref().map(secret).transpose()?,
                }
            }
            HookTarget::Exec { argv } => hook::Target::Exec { argv: argv.clone() },
        };
        Ok(hook::Settings {
            name: hook.name.clone(),
            target,
            timeout: hook.timeout,
            retries: hook.retries.clone(),
            source: "urn:greenlight".to_owned(),
            concurrent_max: HAND_OFFS_MAX,
            poll: POLL,
        })
    }

    fn slack(
        &self,
        slack: &Slack,
        tasks: &mut JoinSet<()>,
        shutdown: &watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let secret = |source| -> Result<Secret, Error> {
            files::secret(source).map_err(|why| missing("slack", &why))
        };
        let troubles = slack::Troubles::default();
        let (outbox, clock, ending) = (self.outbox(), self.clock.clone(), shutdown.clone());
        match &slack.access {
            SlackAccess::BotToken(source) => {
                let settings = slack::Settings::new(secret(source)?, slack.api_url.clone());
                tasks.spawn(slack::run(settings, outbox, clock, troubles, ending));
            }
            SlackAccess::Webhook(source) => {
                let settings = slack::webhook::Settings::new(secret(source)?);
                tasks.spawn(slack::webhook::run(settings, outbox, clock, troubles, ending));
            }
        }
        Ok(())
    }

    fn outbox(&self) -> Outbox {
        Outbox::new(self.memory.clone(), self.clock.clone(), self.bell.clone())
    }
}

fn missing(whose: &str, why: &str) -> Error {
    Error::new(Code::Secret, format!("the secret of {whose} cannot be read: {why}"))
        .hint("give it to the server's environment, or correct its place in greenlight.yaml")
}
