//! Greenlight's command line.

use std::path::Path;
use std::process::ExitCode;

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
        Command::Serve
        | Command::Demo(_)
        | Command::Status(_)
        | Command::Log(_)
        | Command::Watch(_)
        | Command::Rerun(_)
        | Command::Cancel(_) => {
            Err(Error::new(Code::NoServer, "this build holds the offline commands only"))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("greenlight: {error}");
            ExitCode::FAILURE
        }
    }
}
