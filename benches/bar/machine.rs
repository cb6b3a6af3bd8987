//! What the machine is, and what a process has used of it (proc(5)).

use std::fs;
use std::time::Duration;

use greenlight::clock::Clock;

/// Servers run here, the readers on [`LOAD_CORE`].
pub const SERVER_CORE: &str = "0";
pub const LOAD_CORE: &str = "1";

/// One tick of processor time in /proc/PID/stat (USER_HZ is 100 on every Linux we run on).
const TICK: Duration = Duration::from_millis(10);

/// A process is idle that uses no more than this in a second: timers tick in every server.
const IDLE_TICKS: u32 = 2;

/// Cores, processor, memory and kernel in one line.
pub fn line() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let about = read("/proc/cpuinfo");
    let all = about.lines().filter(|line| line.starts_with("processor")).count();
    let model = about.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let memory = read("/proc/meminfo");
    let total = number_behind(&memory, "MemTotal:") / 1024 / 1024;
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or_default().to_owned();
    format!(
        "{} cores, {model}, {total} GiB, Linux {}, load at the start {load}",
        all.max(cores),
        kernel.trim()
    )
}

/// Processor time used so far, ended children included.
pub fn cpu(process: u32) -> Duration {
    let stat = read(&format!("/proc/{process}/stat"));
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<u32> =
        behind_name.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    // utime, stime, cutime, cstime (fields 14 to 17).
    let ticks: u32 = fields.iter().skip(11).take(4).sum();
    TICK * ticks
}

/// Memory of a process in KiB: `VmRSS:` is what it has, `VmHWM:` the most it ever had.
pub fn memory_kib(process: u32, what: &str) -> u64 {
    number_behind(&read(&format!("/proc/{process}/status")), what)
}

/// Waits until the process has nothing to do any more; returns how long that took, or `None` if
/// it was still busy after `patience`.
pub fn until_idle(process: u32, patience: Duration) -> Option<Duration> {
    let clock = Clock::System;
    let begin = clock.instant();
    let window = Duration::from_secs(1);
    loop {
        let (before, at) = (cpu(process), clock.instant());
        std::thread::sleep(window);
        if cpu(process).saturating_sub(before) <= TICK * IDLE_TICKS {
            return Some(at.duration_since(begin));
        }
        if clock.instant().duration_since(begin) > patience {
            return None;
        }
    }
}

fn number_behind(text: &str, key: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
