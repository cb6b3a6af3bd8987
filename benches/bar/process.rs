//! A server under measurement: started on its core, accounted with all its children, and ended
//! with the value that stands for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use greenlight::clock::Clock;

use super::inventory::PASSWORD;

/// One tick of processor time in /proc/PID/stat (USER_HZ is 100 on every Linux we run on).
const TICK: Duration = Duration::from_millis(10);

/// A server is idle that uses no more than this in a second: timers tick in every one.
const IDLE: Duration = Duration::from_millis(20);
const IDLE_WINDOW: Duration = Duration::from_secs(1);

pub struct Process {
    child: Child,
    /// A control group (version 2) of its own, where the kernel has them. It alone knows what
    /// children used that nobody waited for.
    group: Option<PathBuf>,
}

impl Process {
    /// Starts it with what it says in a file of its own.
    pub fn start(mut command: Command, name: &str, directory: &Path) -> Result<Self, String> {
        let log = fs::File::create(directory.join(format!("{name}.log")));
        let log = log.map_err(|error| error.to_string())?;
        command.env(PASSWORD, "unused").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(|error| format!("{name} does not start: {error}"))?;
        let group = group_of(child.id());
        Ok(Self { child, group })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Processor time used so far, with that of its children. Without control groups those count
    /// once they were waited for.
    pub fn cpu(&self) -> Duration {
        if let Some(group) = &self.group {
            let stat = read(&group.join("cpu.stat"));
            return Duration::from_micros(number_behind(&stat, "usage_usec"));
        }
        let stat = read(Path::new(&format!("/proc/{}/stat", self.id())));
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        let fields = behind_name.split_whitespace().map(|field| field.parse().unwrap_or(0));
        // utime, stime, cutime, cstime (proc(5): fields 14 to 17).
        TICK * fields.skip(11).take(4).sum::<u32>()
    }

    /// Memory in KiB: `VmRSS:` is what it has, `VmHWM:` the most it ever had.
    pub fn memory_kib(&self, what: &str) -> u64 {
        number_behind(&read(Path::new(&format!("/proc/{}/status", self.id()))), what)
    }

    /// Waits until it has nothing to do any more; returns how long that took, or `None` if it was
    /// still busy after `patience`.
    pub fn until_idle(&self, patience: Duration) -> Option<Duration> {
        let clock = Clock::System;
        let begin = clock.instant();
        loop {
            let (before, at) = (self.cpu(), clock.instant());
            std::thread::sleep(IDLE_WINDOW);
            if self.cpu().saturating_sub(before) <= IDLE {
                return Some(at.duration_since(begin));
            }
            if clock.instant().duration_since(begin) > patience {
                return None;
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            // All of it, children too (cgroups(7)).
            let _ = fs::write(group.join("cgroup.kill"), "1");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(group) = &self.group {
            // The kernel lets go of a group a moment after its last process.
            for _ in 0..50 {
                if fs::remove_dir(group).is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Puts a process into a control group of its own.
fn group_of(process: u32) -> Option<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mounts = read(Path::new("/proc/self/mounts"));
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then_some(place)
    })?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let group = Path::new(mount).join(format!("bench-{}-{number}", std::process::id()));
    fs::create_dir(&group).ok()?;
    let joined = fs::write(group.join("cgroup.procs"), process.to_string()).is_ok();
    let counts = read(&group.join("cpu.stat")).contains("usage_usec");
    if joined && counts {
        return Some(group);
    }
    let _ = fs::remove_dir(&group);
    None
}

/// The number in the line that begins with this word.
pub fn number_behind(text: &str, key: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
