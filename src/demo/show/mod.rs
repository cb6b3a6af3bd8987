//! What the person before the terminal sees: a living table, or plain lines where standard output
//! is no terminal, or events as JSON; and at the end the chat and the verdicts.

use std::io::IsTerminal;

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::demo::doubles::Heard;
use crate::demo::people::Deed;
use crate::demo::stories::Story;
use crate::demo::watch::{Verdict, Watch};
use crate::domain::notice::{Kind, Notice};
use crate::service::runner::Told;
use crate::sim::diary::{Doing, Entry};

mod end;
mod live;

/// The view.
pub struct Show {
    how: How,
    began: Timestamp,
}

enum How {
    Live(Box<live::Live>),
    Lines,
    Json,
}

impl Show {
    pub fn new(json: bool, stories: &[Story], now: Timestamp) -> Self {
        let how = if json {
            How::Json
        } else if std::io::stdout().is_terminal() {
            live::Live::open(stories).map_or(How::Lines, |live| How::Live(Box::new(live)))
        } else {
            How::Lines
        };
        let show = Self { how, began: now };
        if matches!(show.how, How::Lines) {
            println!("Twelve switches are powered on, one after the other. About a minute.");
        }
        show
    }

    /// Something became true in the server.
    pub fn told(&mut self, told: &Told, now: Timestamp) {
        let seconds = self.seconds(now);
        match (&mut self.how, &told.notice) {
            (How::Json, _) => print_json(&event(told, now)),
            (How::Live(live), notice) => live.told(told, notice.as_ref(), seconds),
            (How::Lines, Some(notice)) if notice.kind != Kind::Progress => {
                println!("{}", line(seconds, &notice.device, &loud(notice)));
            }
            (How::Lines, Some(_) | None) => {}
        }
    }

    /// A person did something.
    pub fn deed(&mut self, deed: &Deed, now: Timestamp) {
        let seconds = self.seconds(now);
        match &mut self.how {
            How::Json => {
                let Deed { device, text } = deed;
                print_json(&json!({
                    "at": now.to_string(), "is": "deed", "device": device, "text": text,
                }));
            }
            How::Live(live) => live.log(seconds, &deed.device, &deed.text),
            How::Lines => println!("{}", line(seconds, &deed.device, &format!("-- {}", deed.text))),
        }
    }

    /// A simulated device did something. Only the JSON view tells all of it.
    pub fn entry(&mut self, entry: &Entry, now: Timestamp) {
        let text = doing(&entry.doing);
        match &mut self.how {
            How::Json => print_json(&json!({
                "at": now.to_string(), "is": "simulated", "device": entry.place, "text": text,
            })),
            How::Live(live) => live.simulated(&entry.place, &text),
            How::Lines => {}
        }
    }

    /// Draws the picture anew.
    pub fn draw(&mut self, watch: &Watch, now: Timestamp) {
        let seconds = self.seconds(now);
        if let How::Live(live) = &mut self.how {
            live.draw(watch, seconds);
        }
    }

    /// Leaves the picture and says how everything ended.
    pub fn finish(&mut self, verdicts: &[Verdict], heard: &Heard, now: Timestamp) {
        let seconds = self.seconds(now);
        if let How::Live(live) = &mut self.how {
            live.close();
        }
        match &self.how {
            How::Json => print_json(&end::as_json(verdicts, seconds)),
            How::Live(_) | How::Lines => {
                println!("{}", end::chat(heard));
                println!("{}", end::table(verdicts, seconds));
            }
        }
    }

    fn seconds(&self, now: Timestamp) -> f64 {
        now.since(self.began).as_secs_f64()
    }
}

fn print_json(value: &Value) {
    println!("{value}");
}

fn line(seconds: f64, device: &str, text: &str) -> String {
    format!("{seconds:5.1} s  {device:<10}  {text}")
}

/// A notice in one line, its kind in a word before it.
fn loud(notice: &Notice) -> String {
    let word = match notice.kind {
        Kind::Started => "started",
        Kind::Progress => "",
        Kind::ActionNeeded => "LOOK",
        Kind::Cleared => "solved",
        Kind::Upgrading => "updates",
        Kind::StillWaiting => "waiting",
        Kind::Done => "GREEN",
        Kind::Ended => "ended",
    };
    let code = notice.fault.map_or_else(String::new, |fault| format!("{} ", fault.code()));
    format!("{word:<7}  {code}{}", shown(&notice.headline))
}

/// Text that may come from devices, without what would steer a terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn event(told: &Told, now: Timestamp) -> Value {
    let run = &told.run;
    let (proven, planned) = run.score();
    json!({
        "at": now.to_string(),
        "is": "told",
        "device": run.device,
        "run": run.id,
        "phase": run.phase.name(),
        "repeats": run.repeats,
        "checks": format!("{proven} of {planned}"),
        "notes": told.notes,
        "notice": told.notice,
    })
}

fn doing(doing: &Doing) -> String {
    match doing {
        Doing::PoweredOn => "power on".to_owned(),
        Doing::PoweredOff => "power off".to_owned(),
        Doing::Discovering => "asks for an address".to_owned(),
        Doing::Leased { address, file } => format!("has {address}, is told of {file}"),
        Doing::Refused { name, why } => format!("did not get {name}: {why}"),
        Doing::BrokeOff { name } => format!("broke {name} off"),
        Doing::Downloaded { name, bytes } => format!("read {name}, {bytes} bytes"),
        Doing::GaveUp => "gave up asking".to_owned(),
        Doing::Applied { lost: None } => "took its configuration".to_owned(),
        Doing::Applied { lost: Some(line) } => {
            format!("took its configuration, but not `{line}`")
        }
        Doing::Reloading { version } => format!("reloads into {version}"),
        Doing::Hung => "hangs".to_owned(),
        Doing::DoorOpen { at, .. } => format!("answers SSH on {at}"),
    }
}
