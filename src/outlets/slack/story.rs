//! What the tests of both senders have in common: notices, a queue on paper, and quick settings.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::double::TOKEN;
use super::{Delays, Settings, Troubles};
use crate::clock::{Clock, Timestamp};
use crate::domain::fault::Fault as Wrong;
use crate::domain::notice::{ChecklistLine, Kind, LineState, Notice};
use crate::entropy::Entropy;
use crate::proto::slack::pacing::Limits;
use crate::secret::Secret;
use crate::service::memory::Change;
use crate::service::outbox::paper::Paper;
use crate::service::outbox::{ChatOutlet, Outbox, rows_for_notice};

pub const QUICK: Delays = Delays {
    backoff: Duration::from_millis(5),
    backoff_max: Duration::from_millis(20),
    look_after: Duration::from_millis(10),
    set_up: Duration::from_millis(20),
    poll: Duration::from_millis(5),
};
pub const UNPACED: Limits = Limits {
    between_posts: Duration::ZERO,
    between_edits_of_one: Duration::ZERO,
    edits_for_progress: 1000,
    edits_for_all: 1000,
};

pub fn crypto() {
    // A second test in this process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub fn settings(address: SocketAddr) -> Settings {
    crypto();
    Settings {
        limits: UNPACED,
        delays: QUICK,
        timeout: Duration::from_secs(5),
        entropy: Entropy::seeded(1),
        ..Settings::new(Secret::new(TOKEN), format!("http://{address}/api/"))
    }
}

pub fn notice(kind: Kind, seq: u64) -> Notice {
    let fault = match kind {
        Kind::ActionNeeded => Some(Wrong::SwappedPair),
        Kind::Started
        | Kind::Progress
        | Kind::Cleared
        | Kind::Upgrading
        | Kind::StillWaiting
        | Kind::Done
        | Kind::Ended => None,
    };
    Notice {
        run: "R".into(),
        seq,
        at: Clock::System.now(),
        device: "acc-sw-17".into(),
        site: "bma".into(),
        location: "Building 2, rack 4".into(),
        kind,
        headline: format!("{kind:?} {seq}"),
        body: "body".into(),
        fault,
        act: fault.map_or("", Wrong::code).into(),
        checklist: vec![ChecklistLine {
            mark: "done".into(),
            state: LineState::Working,
            text: "checking cables".into(),
            at: Some(Timestamp::from_seconds(1_795_261_396)),
        }],
    }
}

pub struct Story {
    pub paper: Paper,
    pub wake: watch::Sender<u64>,
    pub troubles: Troubles,
    pub end: watch::Sender<bool>,
    pub outlets: Vec<ChatOutlet>,
}

impl Story {
    pub fn new(channel: &str) -> Self {
        Self {
            paper: Paper::open(),
            wake: watch::Sender::new(0),
            troubles: Troubles::default(),
            end: watch::Sender::new(false),
            outlets: vec![ChatOutlet::SlackBot { channel: channel.into() }],
        }
    }

    pub fn outbox(&self) -> Outbox {
        Outbox::new(self.paper.memory.clone(), Clock::System, self.wake.subscribe())
    }

    pub fn start(&self, settings: Settings) -> JoinHandle<()> {
        let (outbox, troubles) = (self.outbox(), self.troubles.clone());
        let end = self.end.subscribe();
        tokio::spawn(super::run(settings, outbox, Clock::System, troubles, end))
    }

    pub async fn tell(&self, kind: Kind, seq: u64) {
        self.say(&notice(kind, seq)).await;
    }

    pub async fn say(&self, notice: &Notice) {
        let rows: Vec<Change> = rows_for_notice(notice, &self.outlets);
        self.paper.memory.commit(rows).await.unwrap();
        self.wake.send_modify(|count| *count += 1);
    }

    /// Waits until every row has its end.
    pub async fn settled(&self) {
        self.until(|| self.paper.idle()).await;
    }

    pub async fn until(&self, mut holds: impl FnMut() -> bool) {
        let patience = tokio::time::timeout(Duration::from_secs(30), async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(patience.await.is_ok(), "{:?}", self.paper.states());
    }
}
