//! What one run of the harness was asked for.

use std::path::PathBuf;

use super::servers::Place;

#[derive(Debug, Clone)]
pub struct Settings {
    pub rounds: usize,
    /// Ids of rows; empty means all.
    pub rows: Vec<String>,
    /// Small counts, to see that everything works.
    pub quick: bool,
    /// Only ours is run, and its processor time is explained.
    pub profile: bool,
    pub place: Place,
}

impl Settings {
    /// From the arguments behind `measure`, which `benches/run` writes.
    pub fn of(arguments: &[String], directory: PathBuf) -> Result<Self, String> {
        let mut settings = Self {
            rounds: 5,
            rows: Vec::new(),
            quick: false,
            profile: false,
            place: Place {
                peers: "target/peers".into(),
                greenlight: "target/release/greenlight".into(),
                directory,
                results: "target/bench".into(),
            },
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--rounds" => {
                    let rounds = value()?.parse();
                    settings.rounds = rounds.map_err(|error| format!("--rounds: {error}"))?;
                }
                "--rows" => settings.rows = value()?.split(',').map(str::to_owned).collect(),
                "--quick" => settings.quick = true,
                "--profile" => settings.profile = true,
                "--peers" => settings.place.peers = absolute(value()?),
                "--greenlight" => settings.place.greenlight = absolute(value()?),
                other => return Err(format!("{other} is no option")),
            }
        }
        settings.place.results = absolute("target/bench");
        Ok(settings)
    }

    pub fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| wanted == row)
    }
}

fn absolute(path: &str) -> PathBuf {
    std::path::absolute(path).expect("the working directory exists")
}
