//! Greenlight's command line: reads what was typed and calls what it names.

use std::path::Path;
use std::process::ExitCode;

use greenlight::daemon::{self, commands};
use greenlight::error::{Code, Error};
use greenlight::faces::cli::{Arguments, Command};
use greenlight::offline;

fn main() -> ExitCode {
    let arguments = Arguments::read();
    let config = arguments.config(Path::is_file);
    let result = match &arguments.command {
        Command::Check(check) => return offline::check(&config, check),
        Command::Render(render) => offline::render(&config, render),
        Command::Init(init) => offline::init(init),
        Command::Schema(schema) => {
            offline::schema(schema);
            Ok(())
        }
        Command::Platform(what) => {
            let config = arguments.config_if_any(Path::is_file);
            return offline::platform::run(config.as_deref(), what).unwrap_or_else(|e| told(&e));
        }
        Command::Explain(explain) => {
            offline::explain::run(arguments.config_if_any(Path::is_file).as_deref(), explain)
        }
        Command::Serve => running(daemon::serve(&config), "info"),
        Command::Demo(demo) => running(greenlight::demo::run(demo), "error"),
        Command::Status(output) => running(commands::status(&config, output), "error"),
        Command::Log(log) => running(commands::log(&config, log), "error"),
        Command::Watch(output) => running(commands::watch(&config, output), "error"),
        Command::Expect(devices) => running(commands::expect(&config, devices), "error"),
        Command::Rerun(device) => running(commands::act(&config, "rerun", device), "error"),
        Command::Cancel(device) => running(commands::act(&config, "cancel", device), "error"),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => told(&error),
    }
}

fn told(error: &Error) -> ExitCode {
    eprintln!("greenlight: {error}");
    ExitCode::FAILURE
}

/// Runs what needs the network: one crypto provider, a log on standard error, one runtime.
fn running(work: impl Future<Output = Result<(), Error>>, level: &str) -> Result<(), Error> {
    use tracing_subscriber::EnvFilter;
    // A second call would only say that the first one did it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let filter =
        EnvFilter::try_from_env("GREENLIGHT_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Code::Listen, format!("no runtime: {error}")))?;
    runtime.block_on(work)
}
