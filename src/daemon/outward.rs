//! The outlets of a configuration, each started with its secrets at hand.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::meant::{Config, Slack, SlackAccess};
use crate::domain::run::Event;
use crate::error::{Code, Error};
use crate::files;
use crate::outlets::{hook, slack};
use crate::secret::Secret;
use crate::service::memory::Memory;
use crate::service::outbox::Outbox;
use crate::service::runner::{Input, Opening, Runs};

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
            let settings = hook::Settings::of(hook, &|source| files::secret(source))
                .map_err(|why| missing(&format!("hook {}", hook.name), &why))?;
            let runs = self.runs.clone();
            let answered: hook::Answered = Arc::new(move |run, device, hook, accepted, answer| {
                let runs = runs.clone();
                Box::pin(async move {
                    let event = Event::HookAnswered { hook, accepted, answer };
                    let mut input = Input::event(&device, event, Opening::Never);
                    input.run = Some(run);
                    runs.stored(input).await.is_ok()
                })
            });
            let ending = shutdown.clone();
            tasks.spawn(hook::run(settings, self.outbox(), self.clock.clone(), answered, ending));
        }
        Ok(())
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
