//! What does a command print that names a secret? It runs without a shell, within a time, and what
//! it prints is bounded; nothing of that is ever told to anybody, nor are its arguments.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::secrets::SECRET_BYTES_MAX;

/// For the whole command. A vault over the network answers within a second or two.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks whether a command has ended that has closed its output.
const LOOK: Duration = Duration::from_millis(5);

/// The name of the program, which is all that is told of a command.
pub(super) fn program(words: &[String]) -> &str {
    words.first().map_or("", String::as_str)
}

/// What the command prints, to the last byte.
pub(super) fn output(words: &[String]) -> Result<String, String> {
    output_within(words, PATIENCE)
}

fn output_within(words: &[String], patience: Duration) -> Result<String, String> {
    let name = program(words);
    let (program, arguments) = words.split_first().ok_or("a command without a program")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("the command {name} cannot be started: {error}"))?;
    let printed = child.stdout.take().map(read_aside);
    let read = printed.and_then(|printed| printed.recv_timeout(patience).ok());
    let ended = match &read {
        Some(_) => wait(&mut child, patience),
        None => None,
    };
    let Some(status) = ended else {
        end(&mut child);
        return Err(format!("the command {name} did not end within {} s", patience.as_secs()));
    };
    let bytes = read.unwrap_or_default();
    if !status.success() {
        return Err(format!("the command {name} ended with {status}"));
    }
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(format!("the command {name} prints more than {SECRET_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| format!("the command {name} prints what is no text"))
}

/// Reads in a thread of its own: a pipe cannot be read with a time limit. What is too much is not
/// kept; the pipe is closed then, and the command finds out.
fn read_aside(stdout: ChildStdout) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if stdout.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).is_ok() {
            // Nobody may be waiting any more.
            let _ = send.send(bytes);
        }
    });
    receive
}

/// Waits for the end of a command that prints nothing any more.
fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let looks = patience.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status);
        }
        std::thread::sleep(LOOK);
    }
    None
}

/// Ends the command with all that it started.
fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        // It may be gone already.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str, patience: Duration) -> Result<String, String> {
        let words = ["/bin/sh", "-c", text].map(str::to_owned);
        output_within(&words, patience)
    }

    const SHORT: Duration = Duration::from_millis(300);

    #[test]
    fn a_command_prints_and_no_shell_reads_its_words() {
        let words = ["echo", "$HOME", ";", "ls"].map(str::to_owned);
        assert_eq!(output(&words).unwrap(), "$HOME ; ls\n");
    }

    #[test]
    fn what_goes_wrong_is_told_without_a_word_of_what_was_printed() {
        for (text, why) in [
            ("echo hunter2; exit 3", "the command /bin/sh ended with exit status: 3"),
            ("echo hunter2; kill -9 $$", "the command /bin/sh ended with signal: 9 (SIGKILL)"),
            ("echo hunter2 >&2; exit 1", "the command /bin/sh ended with exit status: 1"),
            ("printf '\\377hunter2'", "the command /bin/sh prints what is no text"),
        ] {
            assert_eq!(shell(text, PATIENCE).unwrap_err(), why);
        }
        let none = ["/nowhere/hunter", "hunter2"].map(str::to_owned);
        let why = output(&none).unwrap_err();
        assert!(why.starts_with("the command /nowhere/hunter cannot be started: "), "{why}");
        assert!(!why.contains("hunter2"));
    }

    #[test]
    fn a_command_that_does_not_end_is_ended_with_all_that_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let number = directory.path().join("number");
        let text = format!("sleep 60 & echo $! >'{}'; echo hunter2; wait", number.display());
        for text in [text.as_str(), "exec >&-; sleep 60", "echo hunter2; exec sleep 60"] {
            let why = shell(text, SHORT).unwrap_err();
            assert_eq!(why, "the command /bin/sh did not end within 0 s");
        }
        let number = std::fs::read_to_string(number).unwrap();
        let status = format!("/proc/{}/status", number.trim());
        // Nobody may have buried it yet.
        let runs = || {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            status.lines().any(|line| line.starts_with("State:") && !line.contains("zombie"))
        };
        for _ in 0..1000 {
            if !runs() {
                return;
            }
            std::thread::sleep(LOOK);
        }
        panic!("what the command started still runs");
    }

    #[test]
    fn a_flood_is_cut_and_refused() {
        let why = shell("yes hunter2 | head -c 10000000; true", PATIENCE).unwrap_err();
        assert!(
            why.contains("prints more than 65536 bytes") || why.contains("ended with"),
            "{why}"
        );
    }
}
