//! The store: SQLite behind the channels of `service/memory`. One writer groups what is waiting
//! into one transaction, so durability costs a flush per group; a reader of its own never waits for
//! the writer.
//!
//! The SQL keeps to what SQLite and PostgreSQL both take: `$1` placeholders, TEXT, BIGINT, partial
//! indices, `ON CONFLICT`.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::mpsc;

use crate::error::{Code, Error};
use crate::service::memory::{Memory, Refused};

mod forget;
mod read;
mod rows;
mod schema;
mod write;

/// Commits and questions that may wait: beyond it the askers wait, which slows intake instead of
/// filling memory.
const QUEUE: usize = 4096;

/// Opens the store at `file`, makes or upgrades its tables, and starts its writer and reader.
/// They end when the last [`Memory`] is dropped.
pub async fn open(file: &Path) -> Result<Memory, Error> {
    let trouble = |doing: &str, error: sqlx::Error| {
        Error::new(Code::Store, format!("{doing} {}: {error}", file.display()))
            .hint("the directory must exist, be writable and have space")
    };
    let options = SqliteConnectOptions::from_str("sqlite::memory:")
        .map_err(|error| trouble("reading the options of", error))?
        .filename(file)
        .in_memory(false)
        .shared_cache(false)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging();
    let mut writer =
        options.connect().await.map_err(|error| trouble("opening the store", error))?;
    private(file).map_err(|error| trouble("guarding", sqlx::Error::Io(error)))?;
    schema::make(&mut writer).await.map_err(|error| trouble("making the tables of", error))?;
    let reader: SqliteConnection =
        options.connect().await.map_err(|error| trouble("opening the store", error))?;
    let (commits, waiting_commits) = mpsc::channel(QUEUE);
    let (queries, waiting_queries) = mpsc::channel(QUEUE);
    tokio::spawn(write::run(writer, waiting_commits));
    tokio::spawn(read::run(reader, waiting_queries));
    Ok(Memory { commits, queries })
}

/// Who may read the store reads who is where: nobody but the server's own user. SQLite gives the
/// files beside it the same rights.
fn private(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))
}

fn unavailable(error: &sqlx::Error) -> Refused {
    Refused::Unavailable { why: error.to_string() }
}
