//! What a person has to mend before an outlet can speak again.

use tokio::sync::watch;

/// The state of an outlet, for `status` and the page of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It speaks.
    None,
    /// It cannot be reached; it is tried again by itself.
    Away(String),
    /// The app may not speak in this channel; the text says what to do.
    SetUp { channel: String, why: String },
    /// The token or the address is good for nothing.
    Off(String),
}

/// Where an outlet's state is shown. Clones share it.
#[derive(Debug, Clone)]
pub struct Troubles {
    state: watch::Sender<Trouble>,
}

impl Default for Troubles {
    fn default() -> Self {
        Self { state: watch::Sender::new(Trouble::None) }
    }
}

impl Troubles {
    pub fn current(&self) -> Trouble {
        self.state.borrow().clone()
    }

    pub fn watch(&self) -> watch::Receiver<Trouble> {
        self.state.subscribe()
    }

    /// Slack took a call, into this channel if it was a post. A channel that is not set up stays
    /// so until it takes one itself.
    pub(super) fn answered(&self, posted_into: Option<&str>) {
        if let Trouble::SetUp { channel, .. } = self.current()
            && posted_into != Some(channel.as_str())
        {
            return;
        }
        self.set(Trouble::None);
    }

    /// Sets the state; each change is logged once.
    pub(super) fn set(&self, trouble: Trouble) {
        self.state.send_if_modified(|current| {
            if *current == trouble {
                return false;
            }
            match &trouble {
                Trouble::None => tracing::info!("Slack answers again"),
                Trouble::Away(why) => tracing::warn!(%why, "Slack is away, messages wait"),
                Trouble::SetUp { why, .. } => tracing::error!(%why, "Slack needs to be set up"),
                Trouble::Off(why) => tracing::error!(%why, "Slack does not take us"),
            }
            *current = trouble;
            true
        });
    }
}
