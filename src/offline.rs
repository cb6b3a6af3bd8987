//! The commands that need no running server: `check`, `render`, `init`, `schema`, `platform`,
//! `explain`.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::complaint::Complaint;
use crate::error::{Code, Error};
use crate::faces::cli::{Check, Format, Init, Render, Schema, example, report, schema};
use crate::files;

pub mod explain;
pub mod platform;

/// `greenlight check`.
pub fn check(config: &Path, check: &Check) -> ExitCode {
    let (complaints, remarks) = match files::load(config) {
        Ok(mut loaded) => {
            let mut remarks = std::mem::take(&mut loaded.remarks);
            let found = files::images::look(&loaded, &mut reading);
            remarks.extend(found.remarks);
            remarks.extend(files::platforms::limits(&loaded));
            // The process ends here: freeing a plan of 100,000 devices first takes a tenth of the
            // time.
            std::mem::forget(loaded);
            (found.complaints, remarks)
        }
        Err(complaints) => (complaints, Vec::new()),
    };
    match check.format {
        Format::Json => print(&report::json(&complaints)),
        Format::Text => {
            print(&report::text(&complaints));
            eprint!("{}", report::remarks(&remarks));
        }
    }
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How far a large image was read, for whoever waits at a terminal.
fn reading(name: &str, done: u64, all: u64) {
    const LARGE: u64 = 64 << 20;
    if all < LARGE || !std::io::stderr().is_terminal() {
        return;
    }
    let percent = |bytes: u64| bytes.saturating_mul(100) / all;
    if percent(done) != percent(done.saturating_sub(1 << 20)) || done == all {
        let end = if done == all { "\n" } else { "" };
        eprint!("\rreading {name}: {} %{end}", percent(done));
    }
}

/// `greenlight render DEVICE`.
pub fn render(config: &Path, render: &Render) -> Result<(), Error> {
    let loaded = files::load(config).map_err(|complaints| complained(&complaints))?;
    let Some(device) = loaded.inventory.device(&render.device) else {
        let message = format!("no device is called `{}`", render.device);
        let names = loaded.inventory.devices.iter().map(|device| device.name.as_str());
        let hint = crate::complaint::did_you_mean(&render.device, names, || {
            "names stand in the inventory".to_owned()
        });
        return Err(Error::new(Code::UnknownDevice, message).hint(hint));
    };
    let chosen = match render.configuration {
        true => device.configured(),
        false => Cow::Borrowed(device.as_ref()),
    };
    let text = match render.show_secrets {
        true => loaded.renderer.render(&chosen, &loaded.inventory),
        false => loaded.renderer.render_masked(&chosen, &loaded.inventory),
    };
    print(&text.map_err(|error| Error::new(Code::Inventory, error.to_string()))?);
    Ok(())
}

/// Shows complaints to a person who wanted something else.
fn complained(complaints: &[Complaint]) -> Error {
    eprint!("{}", report::text(complaints));
    Error::new(Code::Configuration, "the files have complaints").hint("see `greenlight check`")
}

/// `greenlight init DIR`. Looks first, so that either all files are written or none.
pub fn init(init: &Init) -> Result<(), Error> {
    let files = example::files();
    for (name, _) in &files {
        let path = init.directory.join(name);
        if path.symlink_metadata().is_ok() {
            let message = format!("{} is there already", path.display());
            return Err(Error::new(Code::NotNow, message).hint(
                "nothing was written; take an empty \
                directory",
            ));
        }
    }
    for (name, text) in &files {
        let path = init.directory.join(name);
        write_new(&path, text).map_err(|error| {
            Error::new(Code::Configuration, format!("cannot write {}: {error}", path.display()))
        })?;
        eprintln!("wrote {}", path.display());
    }
    let config = init.directory.join("configs/greenlight.yaml");
    eprintln!("next: greenlight check --config {}", config.display());
    Ok(())
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::File::create_new(path)?.write_all(text.as_bytes())
}

/// `greenlight schema inventory|config`.
pub fn schema(schema: &Schema) {
    print(&schema::text(schema.of));
}

/// To standard output; a reader that went away, as `head` does, is no error.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_writes_a_working_example_and_never_overwrites() {
        let directory = tempfile::tempdir().unwrap();
        let order = Init { directory: directory.path().join("site") };
        init(&order).unwrap();
        let config = order.directory.join("configs/greenlight.yaml");
        let loaded = files::load(&config).unwrap_or_else(|list| panic!("{}", report::text(&list)));
        assert!(loaded.inventory.devices.len() >= 4);
        assert_eq!(init(&order).unwrap_err().code, Code::NotNow);
    }
}
