//! How a step is told and handed over: the words, and the rows for the outlets that are configured.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::meant::{Config, SlackAccess};
use crate::domain::fault::Fault;
use crate::domain::inventory::meant::Inventory;
use crate::domain::notice::{Languages, SightingTold, Telling, compose};
use crate::service::intake::Report;
use crate::service::outbox::{ChatOutlet, rows_for_handoff, rows_for_notice};
use crate::service::plan::InForce;
use crate::service::runner::{Saying, Spoken, Voice};

/// The voice of this configuration. Devices and sites are those of the plan in force at each step.
pub fn voice(config: &Config, plan: &InForce, languages: Arc<Languages>) -> Voice {
    let usual = config.language.value.clone();
    let told = plan.clone();
    let chats = Chats::of(config, &plan.get().inventory);
    let hooks: Vec<String> = config.hooks.iter().map(|hook| hook.name.clone()).collect();
    let plan = plan.clone();
    Voice {
        speak: Box::new(move |Saying { run, kind, problem, now, watched }| {
            let chats = chats.of_site(&run.site);
            if chats.is_empty() && !watched {
                return None;
            }
            let telling = Telling { run, kind, problem, seq: run.seq, now };
            let plan = told.get();
            let site = plan.inventory.sites.get(&run.site);
            let language = site.and_then(|site| site.language.as_deref()).unwrap_or(&usual);
            let notice = compose(telling, languages.of(language));
            let rows = rows_for_notice(&notice, chats);
            Some(Spoken { notice, rows })
        }),
        hand_off: Box::new(move |run, hook, now| {
            let plan = plan.get();
            let device = plan.inventory.device(&run.device)?;
            hooks
                .iter()
                .any(|known| known == hook)
                .then(|| rows_for_handoff(run, device, hook, now))
        }),
    }
}

/// How people are told of somebody who cannot be served: in the usual chat, as no site is known.
pub fn report(config: &Config, languages: Arc<Languages>) -> Report {
    let language = config.language.value.clone();
    let usual = Chats::of(config, &Inventory::default()).usual;
    Arc::new(move |sighting, now| {
        let fault = if sighting.conflict { Fault::Duplicate } else { Fault::UnknownDevice };
        let notice = languages.of(&language).of_sighting(&SightingTold {
            key: &sighting.key,
            fault,
            serial: sighting.serial.as_deref(),
            port: sighting.port.as_deref(),
            now,
        });
        rows_for_notice(&notice, &usual)
    })
}

/// Which chat hears of which site.
struct Chats {
    usual: Vec<ChatOutlet>,
    by_site: BTreeMap<String, Arc<[ChatOutlet]>>,
}

impl Chats {
    fn of(config: &Config, inventory: &Inventory) -> Self {
        let Some(slack) = &config.slack else {
            return Self { usual: Vec::new(), by_site: BTreeMap::new() };
        };
        match &slack.access {
            SlackAccess::Webhook(_) => {
                Self { usual: vec![ChatOutlet::SlackWebhook], by_site: BTreeMap::new() }
            }
            SlackAccess::BotToken(_) => {
                let bot = |channel: &str| ChatOutlet::SlackBot { channel: channel.to_owned() };
                let of_site = |(name, site): (&String, &Arc<_>)| {
                    let site: &crate::domain::inventory::meant::Site = site;
                    let channel = site.channel.as_deref()?;
                    Some((name.clone(), Arc::from(vec![bot(channel)])))
                };
                Self {
                    usual: vec![bot(&slack.channel)],
                    by_site: inventory.sites.iter().filter_map(of_site).collect(),
                }
            }
        }
    }

    fn of_site(&self, site: &str) -> &[ChatOutlet] {
        self.by_site.get(site).map_or(&self.usual, |chats| chats)
    }
}
