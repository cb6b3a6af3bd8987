//! What the machine is (proc(5)), and which core is whose.

use std::fs;

use super::process::number_behind;

/// Servers run here, the readers on [`LOAD_CORE`].
pub const SERVER_CORE: &str = "0";
pub const LOAD_CORE: &str = "1";

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

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
