//! A full disk under the store, for real: a small tmpfs that is filled to the last byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use greenlight::domain::run::Phase;
use greenlight::service::memory::{Query, Refused};

use crate::service::{asked, ended, house};

/// A mounted tmpfs, gone with the value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn of_mebibytes(folder: &Path, size: u32) -> Self {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}m"), "tmpfs"])
            .arg(folder)
            .status()
            .expect("mount is part of every Linux");
        assert!(mounted.success(), "mounting a small disk needs root: run ./test as root");
        Self(folder.to_owned())
    }

    /// Fills what is left, and a little at a time at the end, until not one byte fits.
    fn fill(&self) -> PathBuf {
        use std::io::Write;
        let path = self.0.join("filler");
        let mut filler = fs::File::create(&path).unwrap();
        for size in [65536, 4096, 1] {
            let block = vec![0; size];
            while filler.write_all(&block).and_then(|()| filler.flush()).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "mounts a small disk, which needs root; ./test runs it with the lab"]
async fn a_full_disk_is_said_and_nothing_confirmed_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::of_mebibytes(folder.path(), 4);
    let house = house(folder.path()).await;
    house.runs.stored(asked("sw1")).await.unwrap();
    let filler = disk.fill();
    // What needs a confirmation is refused with the reason, as often as it is asked. Space that
    // SQLite still holds inside its files may take a few first.
    let mut refused = None;
    for _ in 0..5000 {
        if let Err(why) = house.runs.stored(asked("sw2")).await {
            refused = Some(why);
            break;
        }
    }
    let Some(Refused::Unavailable { why }) = refused else { panic!("{refused:?}") };
    assert!(why.contains("full") || why.contains("disk"), "{why}");
    // What nobody would bring again waits until there is room.
    house.runs.send(ended("sw1")).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    fs::remove_file(filler).unwrap();
    let run = house.until(|run| run.device == "sw1" && run.transfers.complete == 1).await;
    assert!(!matches!(run.phase, Phase::Fetching { .. }), "{:?}", run.phase);
    let before = house.memory.ask(Query::LatestRuns).await.unwrap();
    house.runs.stored(asked("sw2")).await.unwrap();
    house.end().await;
    let again = crate::service::house(folder.path()).await;
    let after = again.memory.ask(Query::LatestRuns).await.unwrap();
    assert_eq!(after.len(), 2.max(before.len()));
    again.end().await;
}
