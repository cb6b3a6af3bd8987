//! Where a server's processor time goes: perf's samples, put into groups that have a meaning here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::servers::Place;

/// Samples a second: no multiple of any timer.
const FREQUENCY: &str = "1999";

/// Lines of the list of single functions.
const FUNCTIONS_SHOWN: usize = 40;

/// From here on addresses belong to the kernel (x86-64 and arm64 with 48 bits).
const KERNEL: u64 = 0xffff_0000_0000_0000;

/// Kernel groups, by any function of the stack, in the order of importance.
const IN_KERNEL: &[(&str, &[&str])] = &[
    ("kernel: UDP send, with the receiver's half on loopback", &["sendmmsg", "sendmsg", "sendto"]),
    ("kernel: UDP receive", &["recvmmsg", "recvmsg", "recvfrom"]),
    ("kernel: futex", &["futex"]),
    ("kernel: epoll", &["epoll"]),
    ("kernel: file system and disk", &["sync_file", "fsync", "ksys_", "vfs_", "ext4", "xfs_"]),
    ("kernel: page faults and memory", &["page_fault", "mmap", "madvise", "munmap", "brk"]),
    ("kernel: scheduling and timers", &["schedule", "timer", "softirq", "interrupt"]),
];

/// User groups, by the innermost function that names one of them.
const IN_USER: &[(&str, &[&str])] = &[
    ("SHA-256", &["sha2::", "sha256"]),
    ("store", &["sqlite3", "sqlx", "greenlight::store", "libsqlite"]),
    ("render", &["minijinja", "greenlight::domain::template"]),
    (
        "TFTP engine",
        &[
            "greenlight::servers::tftp",
            "greenlight::proto::tftp",
            "greenlight::servers::socket",
            "greenlight::servers::files",
        ],
    ),
    (
        "DHCP engine",
        &[
            "greenlight::servers::dhcp",
            "greenlight::proto::dhcp",
            "greenlight::service::leases",
            "dhcproto",
        ],
    ),
    ("intake, runs and journal", &["greenlight::service", "greenlight::domain"]),
    ("log", &["tracing"]),
    ("tokio", &["tokio", "mio::"]),
];

const SYSTEM_CALLS: &str = "kernel: entry of system calls and the rest";
const ELSE: &str = "else (C library, maps, allocation outside of the above)";

/// perf, watching one process.
pub struct Recording {
    perf: Child,
    data: PathBuf,
}

impl Recording {
    pub fn start(process: u32, place: &Place) -> Result<Self, String> {
        let data = place.directory.join("perf.data");
        let perf = Command::new("perf")
            .args(["record", "-q", "-F", FREQUENCY, "--call-graph", "fp", "-p"])
            .arg(process.to_string())
            .arg("-o")
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("perf (linux-perf) does not start: {error}"))?;
        Ok(Self { perf, data })
    }

    /// Ends it and writes the summary.
    pub fn end(mut self, name: &str, place: &Place) -> Result<(), String> {
        // perf writes its data when it is interrupted.
        let interrupt = Command::new("kill").arg("-INT").arg(self.perf.id().to_string()).status();
        interrupt.map_err(|error| error.to_string())?;
        self.perf.wait().map_err(|error| error.to_string())?;
        let output = Command::new("perf")
            .args(["script", "--no-inline", "-F", "comm,ip,sym", "-i"])
            .arg(&self.data)
            .stderr(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        let text = summary(&String::from_utf8_lossy(&output.stdout));
        let file = place.results.join(format!("profile-{name}.txt"));
        fs::write(&file, text).map_err(|error| error.to_string())?;
        eprintln!("profile: {}", show(&file));
        Ok(())
    }
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

/// Samples are paragraphs: a head, then a line for each function, the innermost first.
fn summary(script: &str) -> String {
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    let mut functions: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let mut total = 0;
    for sample in script.split("\n\n") {
        let frames: Vec<(u64, &str)> = sample.lines().skip(1).filter_map(frame).collect();
        let Some((_, innermost)) = frames.first() else { continue };
        let group = group(&frames);
        total += 1;
        *groups.entry(group).or_default() += 1;
        *functions.entry((group, (*innermost).to_owned())).or_default() += 1;
    }
    let share = |count: usize| 100.0 * count as f64 / total.max(1) as f64;
    let mut text = format!("{total} samples, {FREQUENCY} a second of processor time\n\n");
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (group, count) in groups {
        writeln!(text, "{:5.1} %  {group}", share(count)).expect("memory takes it");
    }
    text.push_str("\nSingle functions\n\n");
    let mut functions: Vec<_> = functions.into_iter().collect();
    functions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for ((group, name), count) in functions.into_iter().take(FUNCTIONS_SHOWN) {
        let (space, rest) = group.split_once(": ").unwrap_or(("", group));
        let kind = rest.split([',', '(']).next().unwrap_or_default();
        let kind = format!("{space} {kind}");
        writeln!(text, "{:5.1} %  {kind:<24}  {name}", share(count)).expect("memory takes it");
    }
    text
}

fn frame(line: &str) -> Option<(u64, &str)> {
    let (address, name) = line.trim().split_once(' ').unwrap_or((line.trim(), "[unknown]"));
    Some((u64::from_str_radix(address, 16).ok()?, name.trim()))
}

fn group(frames: &[(u64, &str)]) -> &'static str {
    let in_kernel = frames.first().is_some_and(|(address, _)| *address >= KERNEL);
    if in_kernel {
        let kernel: Vec<&str> = frames
            .iter()
            .take_while(|(address, _)| *address >= KERNEL)
            .map(|(_, name)| *name)
            .collect();
        let found = IN_KERNEL.iter().find(|(_, words)| {
            kernel.iter().any(|name| words.iter().any(|word| name.contains(word)))
        });
        return found.map_or(SYSTEM_CALLS, |(group, _)| group);
    }
    for (_, name) in frames {
        let found = IN_USER.iter().find(|(_, words)| words.iter().any(|word| name.contains(word)));
        if let Some((group, _)) = found {
            return group;
        }
    }
    ELSE
}
