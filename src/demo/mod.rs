//! `greenlight demo`: the whole server on loopback against twelve simulated switches with faults,
//! and an installer who repairs what the notices name. It ends well only if every story ends as it
//! must.
//!
//! [`stories`] says what is to happen, [`site`] builds it, [`people`] repair, [`doubles`] take the
//! messages and hand-offs, [`show`] shows. The server comes from outside, as a [`Start`].

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};

use crate::clock::{Clock, Timestamp};
use crate::daemon::{self, commands};
use crate::demo::doubles::Doubles;
use crate::demo::people::{Deed, Read};
use crate::demo::show::Show;
use crate::demo::site::{Corner, Ground, Site};
use crate::demo::stories::Story;
use crate::demo::watch::Watch;
use crate::entropy::Entropy;
use crate::error::{Code, Error};
use crate::service::runner::Told;
use crate::sim::device::Pace;
use crate::sim::diary::{Diary, Entry};

pub use crate::faces::cli::Demo as Options;

pub mod doubles;
pub mod people;
pub mod plan;
pub mod show;
pub mod site;
pub mod stories;
pub mod watch;

/// A running server, as far as the demo needs it.
pub struct Server {
    pub feed: broadcast::Receiver<Told>,
    /// Ends the server; ready when it has ended.
    pub stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Starts the server from the path of its `greenlight.yaml`.
pub type Start =
    Box<dyn FnOnce(PathBuf) -> Pin<Box<dyn Future<Output = Result<Server, Error>> + Send>> + Send>;

/// The longest demo, at speed 1: the stories take about a minute, and a slow machine twice that.
const LONGEST: Duration = Duration::from_secs(180);
/// Messages and hand-offs that come after the last light turned green come within this time.
const QUIET: Duration = Duration::from_millis(1500);
/// Between two pictures.
const FRAME: Duration = Duration::from_millis(150);

/// The demo against this program's own server.
pub async fn run(options: &Options) -> Result<(), Error> {
    let start: Start = Box::new(|config| {
        Box::pin(async move {
            let loaded = commands::load(&config)?;
            let running = daemon::start(&loaded, Clock::System, Entropy::System).await?;
            Ok(Server { feed: running.feed(), stop: Box::pin(running.stop()) })
        })
    });
    run_against(options, start).await
}

/// Runs all stories against the server that `start` starts, and prints how they ended.
pub async fn run_against(options: &Options, start: Start) -> Result<(), Error> {
    if !(0.1..=20.0).contains(&options.speed) {
        let text = format!("a speed from 0.1 to 20 is expected, found {}", options.speed);
        return Err(Error::new(Code::BadRequest, text));
    }
    let (clock, entropy) = (Clock::System, Entropy::System);
    let directory =
        std::env::temp_dir().join(format!("greenlight-demo-{}", entropy.ulid(clock.now())));
    let result = play(options, start, &directory, (clock, entropy)).await;
    match &result {
        Ok(()) => {
            // Left-overs in the temporary directory harm nobody.
            let _ = std::fs::remove_dir_all(&directory);
        }
        Err(_) => eprintln!("the demo's files are kept in {}", directory.display()),
    }
    result
}

/// Everything on stage.
struct Stage {
    stories: Vec<Story>,
    site: Site,
    doubles: Doubles,
    feed: broadcast::Receiver<Told>,
    diary: broadcast::Receiver<Entry>,
    notices: mpsc::Sender<Read>,
    deeds: mpsc::Receiver<Deed>,
    clock: Clock,
    give_up: Timestamp,
}

async fn play(
    options: &Options,
    start: Start,
    directory: &Path,
    (clock, entropy): (Clock, Entropy),
) -> Result<(), Error> {
    let stories = stories::all();
    let pace = Pace(options.speed);
    let doubles = Doubles::start().await.map_err(|error| listen(&error))?;
    let (dhcp, tftp) = (free_udp()?, free_udp()?);
    let ground = Ground {
        dhcp,
        tftp_port: tftp.port(),
        corner: Corner::any(&entropy),
        password: format!("demo-{}", &entropy.ulid(clock.now())[16..]),
        pace,
        clock: clock.clone(),
        entropy,
        diary: Diary::default(),
    };
    let written = plan::Written {
        stories: &stories,
        corner: ground.corner,
        pace,
        dhcp,
        tftp,
        http: free_tcp()?,
        doubles: doubles.address,
        password: &ground.password,
    };
    let config = plan::write(directory, &written).map_err(|error| {
        let text = format!("{} cannot be written: {error}", directory.display());
        Error::new(Code::Configuration, text).hint("the demo needs room in the temporary directory")
    })?;
    let Server { feed, stop } = start(config).await?;
    let site = Site::build(&stories, &ground);
    let diary = ground.diary.read();
    let (notices, waiting) = mpsc::channel(people::QUEUE);
    let (done, deeds) = mpsc::channel(people::QUEUE);
    let installer = tokio::spawn(people::work(site.clone(), waiting, done));
    let give_up = clock.now().plus(LONGEST.div_f64(pace.0));
    let mut stage = Stage { stories, site, doubles, feed, diary, notices, deeds, clock, give_up };
    let result = stage.perform(options).await;
    installer.abort();
    stage.site.power_off_all().await;
    stop.await;
    result
}

impl Stage {
    async fn perform(&mut self, options: &Options) -> Result<(), Error> {
        let mut show = Show::new(options.json, &self.stories, self.clock.now());
        let mut watch = Watch::new(&self.stories);
        let (site, stories) = (self.site.clone(), self.stories.clone());
        let walk = tokio::spawn(async move { site.power_on_all(&stories).await });
        let interrupted = self.until_green(&mut show, &mut watch).await;
        walk.abort();
        if !interrupted {
            self.until_quiet(&mut show, &mut watch).await;
        }
        let heard = self.doubles.heard();
        watch.count(&heard);
        let verdicts = watch.verdicts(&self.stories);
        show.finish(&verdicts, &heard, self.clock.now());
        let wrong = verdicts.iter().filter(|verdict| verdict.result.is_err()).count();
        if interrupted {
            return Err(Error::new(Code::Story, "the demo was interrupted"));
        }
        if watch.missed > 0 {
            let text = format!("{} events of the server were missed", watch.missed);
            return Err(Error::new(Code::Story, text).hint("the machine is too busy; try again"));
        }
        if wrong > 0 {
            let text = format!("{wrong} of {} stories did not end as they must", verdicts.len());
            return Err(Error::new(Code::Story, text).hint("the table above says what was missing"));
        }
        Ok(())
    }

    /// Watches until all lights are green, or nobody waits any longer. True: interrupted by a
    /// person.
    async fn until_green(&mut self, show: &mut Show, watch: &mut Watch) -> bool {
        let mut frames = tokio::time::interval(FRAME);
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        loop {
            tokio::select! {
                told = self.feed.recv() => self.told(told, show, watch),
                Ok(entry) = self.diary.recv() => show.entry(&entry, self.clock.now()),
                Some(deed) = self.deeds.recv() => show.deed(&deed, self.clock.now()),
                _ = frames.tick() => {
                    show.draw(watch, self.clock.now());
                    let late = self.clock.now() >= self.give_up;
                    if late || watch.server_gone || watch.all_green(&self.stories) {
                        return false;
                    }
                }
                _ = &mut interrupt => return true,
            }
        }
    }

    /// Waits until chat and hook heard nothing new for a while: whatever comes twice has come by
    /// then.
    async fn until_quiet(&mut self, show: &mut Show, watch: &mut Watch) {
        let size = |doubles: &Doubles| {
            let heard = doubles.heard();
            let edits: u32 = heard.messages.iter().map(|message| message.edits).sum();
            (heard.messages.len(), heard.hand_offs.len(), edits)
        };
        let mut before = size(&self.doubles);
        // Half a minute is more than any queue of the demo needs.
        for _ in 0..20 {
            let ended = self.clock.now().plus(QUIET);
            while self.clock.now() < ended {
                let left = ended.since(self.clock.now());
                tokio::select! {
                    told = self.feed.recv() => self.told(told, show, watch),
                    Ok(entry) = self.diary.recv() => show.entry(&entry, self.clock.now()),
                    Some(deed) = self.deeds.recv() => show.deed(&deed, self.clock.now()),
                    () = tokio::time::sleep(left) => {}
                }
                if watch.server_gone {
                    return;
                }
            }
            let now = size(&self.doubles);
            // Chat is paced to a message a second: what waits there is not over yet.
            if now == before && self.everybody_was_heard() {
                return;
            }
            before = now;
        }
    }

    fn everybody_was_heard(&self) -> bool {
        let heard = self.doubles.heard();
        self.stories.iter().all(|story| {
            heard.parents_of(&story.device) > 0 && heard.hand_offs_of(&story.device) > 0
        })
    }

    fn told(
        &self,
        told: Result<Told, broadcast::error::RecvError>,
        show: &mut Show,
        watch: &mut Watch,
    ) {
        match told {
            Ok(told) => {
                if let Some(read) = watch.take(&told) {
                    // A full queue means a person with more to do than a site has devices.
                    let _ = self.notices.try_send(read);
                }
                show.told(&told, self.clock.now());
            }
            Err(broadcast::error::RecvError::Lagged(events)) => watch.missed += events,
            Err(broadcast::error::RecvError::Closed) => watch.server_gone = true,
        }
    }
}

/// A port that is free now. Somebody else may take it before the server does; then the demo says so
/// and is started again.
fn free_udp() -> Result<SocketAddr, Error> {
    std::net::UdpSocket::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .map_err(|error| listen(&error))
}

fn free_tcp() -> Result<SocketAddr, Error> {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .map_err(|error| listen(&error))
}

fn listen(error: &std::io::Error) -> Error {
    Error::new(Code::Listen, format!("no port on 127.0.0.1 can be taken: {error}"))
}

#[cfg(test)]
mod tests;
