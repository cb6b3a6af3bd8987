//! Slack's methods, as far as we use them: post, edit, and look for what was posted.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::outlets::call::{NoAnswer, call};
use crate::outlets::slack::Sender;
use crate::outlets::slack::deliver::End;
use crate::proto::slack::answer::{self, Anchor, Outcome, Search};
use crate::proto::slack::message::{Content, Metadata, Post, Update, plain};
use crate::proto::slack::pacing::Call;
use crate::service::outbox::SLACK;

/// Pages of 200 messages looked through for a lost post.
const PAGES_MAX: usize = 5;
/// A wait this short is sat out; a longer one puts the row back.
const SIT_OUT_MAX: Duration = Duration::from_secs(4);

/// What became of a post whose answer was lost.
#[derive(Debug)]
pub(super) enum Fate {
    /// It is there, under this `ts`.
    Posted(String),
    NotPosted,
    /// We may not look.
    Unknown,
}

impl Sender {
    /// Looks for a lost post by its key.
    pub(super) async fn look(
        &mut self,
        key: &str,
        channel: &str,
        thread: Option<&str>,
        since: Timestamp,
    ) -> Result<Fate, End> {
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            self.pace(&Call::Look).await?;
            let url = self.look_url(channel, thread, since, cursor.as_deref());
            let Some(url) = url else { return Ok(Fate::Unknown) };
            // As a form: these methods take no JSON.
            let form = url.query().unwrap_or_default().to_owned();
            let mut bare = url;
            bare.set_query(None);
            let request = self
                .client
                .post(bare)
                .bearer_auth(self.settings.token.expose())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form);
            let search = match call(request).await {
                Ok(got) => answer::search(key, got.status, got.retry_after.as_deref(), &got.body),
                Err(NoAnswer::Unsent(why) | NoAnswer::Unclear(why)) => Search::Unclear(why),
            };
            match search {
                Search::Found(ts) => return Ok(Fate::Posted(ts)),
                Search::NotHere(None) => return Ok(Fate::NotPosted),
                Search::NotHere(next) => cursor = next,
                Search::Blind(why) => {
                    tracing::info!(%why, "Slack does not let us look for a lost message");
                    return Ok(Fate::Unknown);
                }
                Search::Wait(wait) => {
                    self.pacing.refused(&Call::Look, wait, self.clock.instant());
                    return Err(End::Unclear { wait, why: "asked to wait".into(), sent: false });
                }
                Search::Unclear(why) => return Err(self.unclear(why, false)),
            }
        }
        Ok(Fate::NotPosted)
    }

    fn look_url(
        &self,
        channel: &str,
        thread: Option<&str>,
        since: Timestamp,
        cursor: Option<&str>,
    ) -> Option<Url> {
        let method = if thread.is_some() { "replies" } else { "history" };
        let mut url = self.method_url(&format!("conversations.{method}"))?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("channel", channel);
            query.append_pair("limit", "200");
            query.append_pair("include_all_metadata", "true");
            match thread {
                Some(ts) => query.append_pair("ts", ts),
                // Their clock and ours may differ by a minute.
                None => query.append_pair("oldest", &(since.seconds() - 60).to_string()),
            };
            if let Some(cursor) = cursor {
                query.append_pair("cursor", cursor);
            }
        }
        Some(url)
    }

    fn method_url(&self, method: &str) -> Option<Url> {
        let base = self.settings.api_url.trim_end_matches('/');
        Url::parse(&format!("{base}/{method}")).ok()
    }

    pub(super) async fn post(
        &mut self,
        channel: &str,
        key: &str,
        content: Content,
        thread_ts: Option<String>,
    ) -> Outcome {
        let kind = Call::Post { channel: channel.to_owned() };
        let mut body = Post {
            channel: channel.to_owned(),
            content,
            thread_ts,
            metadata: Metadata::of(key),
            unfurl_links: false,
            unfurl_media: false,
        };
        let mut outcome = self.method("chat.postMessage", &kind, &body).await;
        if let Outcome::OurBug(why) = &outcome {
            tracing::error!(%why, key, "Slack does not take our blocks");
            body.content = plain(&body.content);
            outcome = self.method("chat.postMessage", &kind, &body).await;
        }
        if let Outcome::Done(Some(anchor)) = &outcome {
            self.learn(channel, &anchor.channel).await;
        }
        outcome
    }

    /// A channel may be configured by name, and only its id can be looked into: kept, so that a
    /// lost post is found after a restart too.
    async fn learn(&mut self, channel: &str, id: &str) {
        if self.channels.get(channel).map(String::as_str) != Some(id) {
            self.channels.insert(channel.to_owned(), id.to_owned());
            if channel != id {
                self.outbox.remember(SLACK, &channel_subject(channel), id).await;
            }
        }
    }

    /// The channel's id if a post of ours ever taught it, else what was configured.
    pub(super) async fn channel_id(&self, channel: &str) -> Result<String, End> {
        if let Some(id) = self.channels.get(channel) {
            return Ok(id.clone());
        }
        let known = self.reference(&channel_subject(channel)).await?;
        Ok(known.unwrap_or_else(|| channel.to_owned()))
    }

    pub(super) async fn edit(
        &mut self,
        key: &str,
        anchor: &Anchor,
        content: Content,
        progress: bool,
    ) -> Outcome {
        let kind = Call::Edit { anchor: anchor.clone(), progress };
        let mut body = Update {
            channel: anchor.channel.clone(),
            ts: anchor.ts.clone(),
            content,
            metadata: Metadata::of(key),
        };
        let outcome = self.method("chat.update", &kind, &body).await;
        if let Outcome::OurBug(why) = &outcome {
            tracing::error!(%why, key, "Slack does not take our blocks");
            body.content = plain(&body.content);
            return self.method("chat.update", &kind, &body).await;
        }
        outcome
    }

    async fn method(&mut self, method: &str, kind: &Call, body: &impl Serialize) -> Outcome {
        if let Err(End::Later { wait, .. }) = self.pace(kind).await {
            return Outcome::Wait(wait);
        }
        let Some(url) = self.method_url(method) else {
            return Outcome::OutletOff("slack.api_url is not a URL".into());
        };
        let request = self.client.post(url).bearer_auth(self.settings.token.expose()).json(body);
        let outcome = match call(request).await {
            Ok(got) => answer::of_method(got.status, got.retry_after.as_deref(), &got.body),
            Err(NoAnswer::Unsent(why)) => Outcome::Unsent(why),
            Err(NoAnswer::Unclear(why)) => Outcome::Unclear(why),
        };
        let now = self.clock.instant();
        self.pacing.made(kind, now);
        match &outcome {
            Outcome::Done(_) => {
                self.failures = 0;
                self.troubles.answered(match kind {
                    Call::Post { channel } => Some(channel.as_str()),
                    Call::Edit { .. } | Call::Look => None,
                });
            }
            Outcome::Wait(wait) => self.pacing.refused(kind, *wait, now),
            Outcome::Unsent(_)
            | Outcome::Unclear(_)
            | Outcome::OurBug(_)
            | Outcome::ParentLost(_)
            | Outcome::SetUp(_)
            | Outcome::OutletOff(_) => {}
        }
        outcome
    }

    /// Sits out a short wait; a long one puts the row back.
    async fn pace(&self, kind: &Call) -> Result<(), End> {
        let now = self.clock.instant();
        let Some(at) = self.pacing.wait(kind, now) else { return Ok(()) };
        if at - now > SIT_OUT_MAX {
            return Err(End::Later { wait: at - now, why: "its turn is later".into() });
        }
        tokio::time::sleep(at - now).await;
        Ok(())
    }
}

fn channel_subject(channel: &str) -> String {
    format!("channel {channel}")
}
