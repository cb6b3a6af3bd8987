//! The store: SQLite behind the channels of `service/memory`, log first.
//!
//! The writer's thread takes what waits, decides about each commit in memory (`heads`), and stores
//! the whole group as one row of a log: one flush, and the receipts go out (`keeper`). The tables
//! are brought up to date later and in slices (`backlog`, `apply`): when there is time, when much
//! waits, or when the reader's thread is asked about one of them (`desk`, `read`). What a killed
//! process left in the log is brought to the tables before anything is answered.

use std::path::Path;
use std::thread;

use tokio::sync::{mpsc, watch};

use crate::error::Error;
use crate::service::memory::{Memory, Refused};

mod apply;
mod backlog;
mod desk;
mod entry;
mod file;
mod forget;
mod heads;
mod keeper;
mod read;
mod rows;
mod schema;
mod short;
#[cfg(test)]
mod tests;
mod write;
mod writer;

/// Commits and questions that may wait: beyond it the askers wait, which slows intake instead of
/// filling memory.
const QUEUE: usize = 4096;

/// Opens the store at `file`, makes or upgrades its tables, and starts its writer and reader.
/// They end when the last [`Memory`] is dropped.
pub async fn open(file: &Path) -> Result<Memory, Error> {
    let path = file.to_owned();
    // Reading what is stored takes a while, and waits for the disk.
    let opened = tokio::task::spawn_blocking(move || start(&path)).await;
    opened.map_err(|why| file::trouble("opening", file, why))?
}

fn start(path: &Path) -> Result<Memory, Error> {
    let keeper = keeper::Keeper::open(path)?;
    let reader = file::connect(path)?;
    let (commits, waiting_commits) = mpsc::channel(QUEUE);
    let (queries, waiting_queries) = mpsc::channel(QUEUE);
    let (loss, lost) = watch::channel(None);
    let (desk, tickets) = desk::desk(&commits);
    let no_thread = |error| file::trouble("starting the threads of", path, error);
    thread::Builder::new()
        .name("store-writer".into())
        .spawn(move || writer::run(keeper, waiting_commits, (&tickets, &loss)))
        .map_err(no_thread)?;
    thread::Builder::new()
        .name("store-reader".into())
        .spawn(move || read::run(&reader, &desk, waiting_queries))
        .map_err(no_thread)?;
    Ok(Memory { commits, queries, lost })
}

fn unavailable(error: &rusqlite::Error) -> Refused {
    Refused::Unavailable { why: error.to_string() }
}
