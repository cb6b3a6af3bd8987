//! A device that types anything at any time into our dialogue with its command line.

use std::sync::OnceLock;
use std::time::Duration;

use greenlight::clock::Clock;
use greenlight::platform::dialogue::{Action, Dialogue, End, Limits};
use greenlight::platform::{Cli, Output, Platform, Platforms};
use greenlight::secret::Secret;

use super::tape::Tape;

const SECRET: &str = "Kq7-enable-secret";
const COMMANDS: [&str; 2] = ["show version", "show lldp neighbors"];
const LIMITS: Limits = Limits { output_bytes_max: 2000 };

/// Far more than a dialogue of two commands needs: each turn types something or ends.
const TURNS_MAX: usize = 10_000;

/// The platform of this name; of any other name, one of them.
pub fn platform(name: &[u8]) -> &'static Platform {
    static PLATFORMS: OnceLock<Platforms> = OnceLock::new();
    let platforms = PLATFORMS.get_or_init(Platforms::built_in);
    let named = std::str::from_utf8(name).ok().and_then(|name| platforms.get(name.trim()));
    let sum: usize = name.iter().map(|byte| usize::from(*byte)).sum();
    let any = || platforms.by_id.values().nth(sum % platforms.by_id.len());
    named.or_else(any).expect("there are platforms")
}

/// The first line names the platform. Then comes a script of what the device says and when.
pub fn check(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (name, rest) = bytes.split_at(end);
    let cli = &platform(name).cli;
    let mut tape = Tape::new(rest.get(1..).unwrap_or_default());
    let mut now = Clock::System.instant();
    let commands = COMMANDS.map(str::to_owned).to_vec();
    let mut dialogue = Dialogue::new(cli, Some(Secret::new(SECRET)), commands, LIMITS, now);
    while !tape.is_over() {
        let said = tape.piece();
        let actions = dialogue.on_bytes(said, now);
        typed(cli, &actions);
        now += Duration::from_millis(u64::from(tape.byte()) * 8);
        typed(cli, &dialogue.on_time(now));
    }
    let mut turns = 0;
    while let Some(deadline) = dialogue.deadline() {
        now = now.max(deadline);
        typed(cli, &dialogue.on_time(now));
        turns += 1;
        assert!(turns < TURNS_MAX, "a silent device is left");
    }
    judge(dialogue.into_end());
}

/// We type what the platform's file says, our commands, and the secret where it was asked for.
fn typed(cli: &Cli, actions: &[Action]) {
    assert!(actions.len() <= 2);
    for action in actions {
        let Action::Type(text) = action else { continue };
        let line = text.trim_end_matches('\n');
        // To go on behind any pager or banner, and to see the prompt again.
        let ours = [" ", "\n", "q"].contains(&text.as_str())
            || COMMANDS.contains(&line)
            || cli.preparation.iter().any(|known| known == line)
            || cli.pagers.iter().any(|(_, keys)| keys == text)
            || cli.enable.as_ref().is_some_and(|enable| enable.command == line)
            || cli.logout == line;
        assert!(ours, "typed {text:?}");
        assert!(!text.contains(SECRET));
    }
}

fn judge(end: End) {
    match end {
        End::Answered(outputs) => {
            assert_eq!(outputs.len(), COMMANDS.len());
            for output in outputs {
                let (text, most) = match &output {
                    // A byte that is no character becomes three.
                    Output::Text(text) => (text, 3 * LIMITS.output_bytes_max + 1),
                    Output::Refused { why } => (why, 1000),
                };
                assert!(text.len() <= most, "{} bytes: {text:.200}", text.len());
            }
        }
        End::EnableRefused { why } | End::LoginRefused { why } | End::Broken { why } => {
            assert!(why.len() < 2000 && !why.contains(SECRET), "{why}");
        }
    }
}
