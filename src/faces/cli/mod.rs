//! The command line: what can be typed, and how complaints look in a terminal.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub mod example;
pub mod explained;
pub mod platform;
pub mod reference;
pub mod report;
pub mod schema;
pub mod trial;

/// Zero-touch provisioning: gives each network device its planned configuration, proves that it
/// took and that every cable is where the plan says, and tells the installer what to do next.
#[derive(Debug, Clone, PartialEq, Parser)]
#[command(name = "greenlight", version, disable_help_subcommand = true)]
pub struct Arguments {
    /// The configuration [default: configs/greenlight.yaml, else
    /// /etc/greenlight/configs/greenlight.yaml].
    #[arg(long, global = true, value_name = "FILE", env = "GREENLIGHT_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum Command {
    /// Run the server.
    Serve,
    /// Run everything on loopback with simulated switches, and show how faults are found and
    /// mended.
    Demo(Demo),
    /// Show every device that has a run, with its phase.
    Status(Output),
    /// Show what happened to one device.
    Log(Log),
    /// Follow all devices as it happens.
    Watch(Output),
    /// Expect devices that are about to be powered on: one that is not heard is told.
    Expect(Devices),
    /// Begin a new run: log in and prove the device once more, where it is.
    Rerun(Device),
    /// End the run of a device.
    Cancel(Device),
    /// Check the configuration, the inventory and all templates; exit 1 if there are complaints.
    Check(Check),
    /// Show what a device would be served.
    Render(Render),
    /// Write a working example into a directory; nothing is overwritten.
    Init(Init),
    /// Print the JSON Schema of a file, for editors.
    Schema(Schema),
    /// Show which platforms are known and what each can do, or try one that is being written.
    #[command(subcommand)]
    Platform(Platform),
    /// Show what is seen in a captured request, whose it is, and what would be answered and why.
    Explain(Explain),
}

#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum Platform {
    /// A table of all platforms by what they can do.
    List(Output),
    /// Everything about one platform.
    Show(Show),
    /// Hold the platform files of a directory against the samples beside them; exit 1 if one is
    /// read otherwise.
    Test(Test),
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Show {
    /// Its file's name without the ending, such as `cisco_ios`.
    pub id: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Test {
    /// Holds `<platform>.yaml`, and samples as `<platform>/<question>/<story>.raw` and `.yaml`.
    pub directory: PathBuf,
    /// Write what is read beside each sample that nobody has said it for, to be read over.
    #[arg(long)]
    pub write: bool,
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Explain {
    /// A capture (pcap or pcapng), or one message as hexadecimal digits.
    #[arg(value_name = "FILE|HEX")]
    pub what: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Demo {
    /// Print events as JSON lines.
    #[arg(long)]
    pub json: bool,
    /// How many times faster than real time the simulated devices boot.
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = speed)]
    pub speed: f64,
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Output {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Log {
    /// Its name in the inventory.
    pub device: String,
    /// Only the last N entries.
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    pub number: u32,
    /// Go on with what happens next.
    #[arg(short, long)]
    pub follow: bool,
    /// Print JSON; what follows comes one object a line.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Devices {
    /// Their names in the inventory.
    #[arg(required = true, value_name = "DEVICE")]
    pub devices: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Device {
    /// Its name in the inventory.
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Check {
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: each complaint with the line it is about.
    Text,
    /// One list of all complaints.
    Json,
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Render {
    /// Its name in the inventory.
    pub device: String,
    /// What it must run, instead of the file that it fetches first.
    #[arg(long)]
    pub configuration: bool,
    /// Show the secrets in it.
    #[arg(long)]
    pub show_secrets: bool,
}

#[derive(Debug, Clone, PartialEq, Args)]
pub struct Init {
    /// The directory, made if it does not exist.
    pub directory: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Args)]
pub struct Schema {
    #[arg(value_enum)]
    pub of: Written,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Written {
    /// `inventory.yaml`.
    Inventory,
    /// `greenlight.yaml`.
    Config,
}

impl Arguments {
    /// What was typed; ends the process with help or a hint if it cannot be understood.
    pub fn read() -> Self {
        Self::parse()
    }

    /// The configuration to use. `exists` tells whether there is such a file.
    pub fn config(&self, exists: impl Fn(&std::path::Path) -> bool) -> PathBuf {
        self.config_if_any(exists).unwrap_or_else(|| PathBuf::from(SYSTEM))
    }

    /// The same for commands that work without one: the one that was named, or one that exists.
    pub fn config_if_any(&self, exists: impl Fn(&std::path::Path) -> bool) -> Option<PathBuf> {
        let usual = || [HERE, SYSTEM].into_iter().map(PathBuf::from).find(|path| exists(path));
        self.config.clone().or_else(usual)
    }
}

/// Where `greenlight init .` writes the configuration.
const HERE: &str = "configs/greenlight.yaml";

/// Where `greenlight init /etc/greenlight` does.
const SYSTEM: &str = "/etc/greenlight/configs/greenlight.yaml";

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && (0.1..=100.0).contains(&speed) => Ok(speed),
        Ok(_) | Err(_) => Err("expected a number from 0.1 to 100".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_is_typed_is_understood() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        let log = parse("greenlight log access-1 -n 3 --follow").unwrap();
        let expected = Log { device: "access-1".to_owned(), number: 3, follow: true, json: false };
        assert_eq!(log.command, Command::Log(expected));
        let check = parse("greenlight check --config a.yaml --format json").unwrap();
        assert_eq!(check.command, Command::Check(Check { format: Format::Json }));
        assert_eq!(check.config(|_| true), Path::new("a.yaml"));
        assert!(parse("greenlight demo --speed 0").is_err());
        assert!(parse("greenlight").is_err());
    }

    #[test]
    fn the_configuration_here_comes_before_that_of_the_system() {
        let arguments = Arguments { config: None, command: Command::Serve };
        assert_eq!(arguments.config(|_| true), Path::new("configs/greenlight.yaml"));
        let system = Path::new("/etc/greenlight/configs/greenlight.yaml");
        assert_eq!(arguments.config(|_| false), system);
        assert_eq!(arguments.config_if_any(|_| false), None);
        assert_eq!(arguments.config_if_any(|path| path == system).as_deref(), Some(system));
    }
}
