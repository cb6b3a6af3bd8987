//! What was measured in one row, and what is asked of it.

/// One round of one server.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub rate: f64,
    /// Processor time of one of what the rate counts, until the last answer.
    pub cpu_last: f64,
    /// The same until the server had nothing to do any more.
    pub cpu_idle: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Ours,
    /// A part of ours, or a limit: shown beside ours, no peer.
    Beside,
    Peer,
}

/// All rounds of one server.
#[derive(Debug, Clone)]
pub struct Line {
    pub name: String,
    pub role: Role,
    pub samples: Vec<Sample>,
    /// What must be said with the numbers: incomplete transfers, what else was limiting.
    pub notes: Vec<String>,
}

/// What the numbers count.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    pub rate: &'static str,
    pub cpu: &'static str,
}

pub const EACH: Unit = Unit { rate: "/s", cpu: "us" };
pub const MEGABYTES: Unit = Unit { rate: " MB/s", cpu: "ms/MB" };
pub const MEBIBYTES: Unit = Unit { rate: " MiB", cpu: "" };

/// Whom a bar speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    Named(&'static str),
    /// The peer with the highest rate.
    BestPeer,
    Nobody,
}

#[derive(Debug, Clone, Copy)]
pub enum Demand {
    /// Ours by theirs.
    RateAtLeast(f64),
    /// Ours by theirs, until idle.
    CpuAtMost(f64),
    /// Ours alone.
    AtMost(f64),
}

#[derive(Debug, Clone, Copy)]
pub struct Bar {
    pub against: Against,
    pub demand: Demand,
}

/// One row of the bar.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub id: &'static str,
    pub title: String,
    pub unit: Unit,
    pub lines: Vec<Line>,
    pub bars: Vec<Bar>,
    /// Servers that were not measured, and why.
    pub skipped: Vec<(String, String)>,
}

impl Line {
    pub fn rate(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.rate))
    }

    pub fn cpu_last(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.cpu_last))
    }

    pub fn cpu_idle(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.cpu_idle))
    }

    /// The lowest and the highest rate.
    pub fn spread(&self) -> (f64, f64) {
        let rates = self.samples.iter().map(|sample| sample.rate);
        rates.fold((f64::INFINITY, 0.0), |(low, high), rate| (low.min(rate), high.max(rate)))
    }
}

impl Outcome {
    pub fn new(id: &'static str, title: impl Into<String>, unit: Unit, bars: &[Bar]) -> Self {
        let (lines, skipped) = (Vec::new(), Vec::new());
        Self { id, title: title.into(), unit, lines, bars: bars.to_vec(), skipped }
    }

    pub fn ours(&self) -> Option<&Line> {
        self.lines.iter().find(|line| line.role == Role::Ours)
    }

    /// The bars that speak of this line.
    pub fn bars_of(&self, line: &Line) -> impl Iterator<Item = &Bar> {
        let best = self.best_peer().map(|best| best.name.clone());
        let name = line.name.clone();
        self.bars.iter().filter(move |bar| match bar.against {
            Against::Named(named) => named == name,
            Against::BestPeer => best.as_deref() == Some(&name),
            Against::Nobody => false,
        })
    }

    /// Adds a round to the line of this name, which is made if it is not there yet.
    pub fn add(&mut self, name: &str, role: Role, sample: Sample, note: Option<String>) {
        let place = self.lines.iter().position(|line| line.name == name);
        let place = place.unwrap_or_else(|| {
            let (samples, notes) = (Vec::new(), Vec::new());
            self.lines.push(Line { name: name.to_owned(), role, samples, notes });
            self.lines.len() - 1
        });
        let line = &mut self.lines[place];
        line.samples.push(sample);
        if let Some(note) = note {
            self.add_note(name, note);
        }
    }

    pub fn add_note(&mut self, name: &str, note: String) {
        let line = self.lines.iter_mut().find(|line| line.name == name);
        if let Some(line) = line.filter(|line| !line.notes.contains(&note)) {
            line.notes.push(note);
        }
    }

    pub fn skip(&mut self, name: &str, why: String) {
        if !self.skipped.iter().any(|(known, _)| known == name) {
            self.skipped.push((name.to_owned(), why));
        }
    }

    fn best_peer(&self) -> Option<&Line> {
        let peers = self.lines.iter().filter(|line| line.role == Role::Peer);
        peers.max_by(|a, b| a.rate().total_cmp(&b.rate()))
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
