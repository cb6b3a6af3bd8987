//! One step of an upgrade: look whether anything is left to do, do it, and say what the device
//! said. Never whether it took: that is for a visit that reads the version.

use std::time::Duration;

use tokio::time::timeout;

use super::memory::Memory;
use super::session::{self, Step as Reached, Trace};
use super::way::Way;
use super::{GOODBYE, ask, not_entered, out_of_time};
use crate::config::meant::Ssh;
use crate::domain::run::upgrade::StepEnd;
use crate::platform::dialogue::Limits;
use crate::platform::observation::Reading;
use crate::platform::software::{Filled, StepKind};
use crate::platform::{Channel, Cli, Output, Question};
use crate::service::probe::{Order, Outcome, Report};

/// How much of an answer stands in a journal line.
const SAID_CHARS_MAX: usize = 160;

/// Takes the step within the order's deadline.
pub(super) async fn report(order: &Order, step: &Filled, by: (&Ssh, &Memory)) -> Report {
    let trace = Trace::default();
    let outcome = match timeout(order.deadline, take(order, step, by, &trace)).await {
        Ok(Ok(end)) => Outcome::Stepped { end },
        Ok(Err(outcome)) => outcome,
        Err(_) => match trace.reached().step {
            // Where it is now is seen from outside.
            Reached::LoggedIn if step.kind == StepKind::Reload => {
                let why = "the session did not end".to_owned();
                Outcome::Stepped { end: StepEnd::Gone { why } }
            }
            Reached::LoggedIn => {
                let minutes = order.deadline.as_secs() / 60;
                let why = format!("no end of it within {minutes} min");
                Outcome::Stepped { end: StepEnd::Refused { why } }
            }
            before @ (Reached::Passing(_) | Reached::Connecting | Reached::LoggingIn) => {
                out_of_time(before, order.deadline)
            }
        },
    };
    Report { host_key: trace.reached().host_key, outcome }
}

async fn take(
    order: &Order,
    step: &Filled,
    by: (&Ssh, &Memory),
    trace: &Trace,
) -> Result<StepEnd, Outcome> {
    if let Some(end) = look(order, step, by, trace).await? {
        return Ok(end);
    }
    let cli = cli(&order.platform.cli, step);
    match ask_in_session(order, &cli, &step.commands, by, trace).await {
        Ok(outputs) => Ok(judged(step, &outputs)),
        // Logged in and typing: what the device did of it, nobody knows.
        Err(Outcome::Broken { why }) if trace.reached().step == Reached::LoggedIn => {
            Ok(StepEnd::Gone { why })
        }
        Err(outcome) => Err(outcome),
    }
}

/// A session of its own, so that nothing of the step's questions concerns the look.
async fn look(
    order: &Order,
    step: &Filled,
    by: (&Ssh, &Memory),
    trace: &Trace,
) -> Result<Option<StepEnd>, Outcome> {
    let facts = order.platform.questions.get(&Question::Facts);
    let mut commands = facts.map(|asked| asked.commands.clone()).unwrap_or_default();
    let facts_count = commands.len();
    commands.extend(step.look.iter().map(|(command, _)| command.clone()));
    if commands.is_empty() {
        return Ok(None);
    }
    let cli = with_patience(&order.platform.cli, step.timeout);
    let mut outputs = ask_in_session(order, &cli, &commands, by, trace).await?;
    let shown = outputs.split_off(facts_count.min(outputs.len()));
    let seen = order.platform.read(&[(Question::Facts, outputs)].into());
    if let Reading::Seen(facts) = &seen.facts
        && facts.software.as_deref().map(str::trim) == Some(step.version.trim())
    {
        return Ok(Some(StepEnd::AlreadyRuns));
    }
    let done = step.look.iter().any(|(_, shows)| {
        shown.iter().any(|output| matches!(output, Output::Text(text) if shows.is_match(text)))
    });
    Ok(done.then(|| StepEnd::Done { said: "was done already".to_owned() }))
}

async fn ask_in_session(
    order: &Order,
    cli: &Cli,
    commands: &[String],
    by: (&Ssh, &Memory),
    trace: &Trace,
) -> Result<Vec<Output>, Outcome> {
    let (settings, memory) = by;
    let way = Way::open(order, settings, memory, trace).await?;
    let outputs = match ask_device((&way, by), cli, commands, trace).await {
        Ok(outputs) => Ok(outputs),
        Err(outcome) => Err(way.blamed(outcome).await),
    };
    way.leave().await;
    outputs
}

async fn ask_device(
    (way, (settings, memory)): (&Way<'_>, (&Ssh, &Memory)),
    cli: &Cli,
    commands: &[String],
    trace: &Trace,
) -> Result<Vec<Output>, Outcome> {
    let device = way.device(trace);
    let logged_in = session::log_in(&device, &way.to_device(), settings, memory).await;
    let (handle, credential) = logged_in.map_err(not_entered)?;
    let limits = Limits { output_bytes_max: settings.output_bytes_max };
    let outputs = match cli.channel {
        Channel::Shell => {
            let enable = credential.enable.clone();
            ask::in_shell(&handle, cli, enable, commands.to_vec(), limits).await
        }
        Channel::Exec => ask::by_exec(&handle, cli, commands, limits).await,
    };
    let goodbye = handle.disconnect(russh::Disconnect::ByApplication, "", "");
    let _ = timeout(GOODBYE, goodbye).await;
    outputs
}

/// The command line with the step's own questions, errors and patience.
fn cli(cli: &Cli, step: &Filled) -> Cli {
    let mut own = with_patience(cli, step.silence);
    // A step's question comes before a pager that may look like it.
    own.pagers = step.answers.iter().chain(&cli.pagers).cloned().collect();
    own.errors.extend(step.failure.iter().cloned());
    own
}

fn with_patience(cli: &Cli, silence: Duration) -> Cli {
    Cli { command_timeout: silence, ..cli.clone() }
}

fn judged(step: &Filled, outputs: &[Output]) -> StepEnd {
    let mut said = String::new();
    for output in outputs {
        match output {
            Output::Text(text) => said.push_str(text),
            Output::Refused { why } => return StepEnd::Refused { why: shown(why) },
        }
    }
    if step.succeeded(&said) {
        return StepEnd::Done { said: shown(&said) };
    }
    match step.kind {
        // It may say anything before it goes; whether it went is seen from outside.
        StepKind::Reload => StepEnd::Done { said: shown(&said) },
        StepKind::Copy | StepKind::Verify | StepKind::SetBoot | StepKind::Save => {
            StepEnd::Refused {
                why: format!("the answer says nothing of success: {}", shown(&said)),
            }
        }
    }
}

/// The end of what it said, on one line: results stand last.
fn shown(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: Vec<char> = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    line[line.len().saturating_sub(SAID_CHARS_MAX)..].iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::toy::{Toy, order, settings, shell};
    use super::*;

    fn step(kind: StepKind, command: &str) -> Filled {
        Filled {
            kind,
            version: "17.9.5".into(),
            look: None,
            commands: vec![command.to_owned()],
            answers: Vec::new(),
            success: Vec::new(),
            failure: Vec::new(),
            timeout: Duration::from_secs(5),
            silence: Duration::from_secs(5),
        }
    }

    async fn taken(toy: &Toy, step: &Filled) -> Outcome {
        let order = Order { deadline: Duration::from_secs(20), ..order(toy, shell()) };
        report(&order, step, (&settings(), &Memory::default())).await.outcome
    }

    #[tokio::test]
    async fn a_step_is_done_only_when_its_success_is_seen() {
        let toy = Toy::default().start().await;
        let mut save = step(StepKind::Save, "write memory");
        save.success = vec![r"\[OK\]".parse().unwrap()];
        let Outcome::Stepped { end } = taken(&toy, &save).await else { panic!("no step") };
        assert_eq!(end, StepEnd::Done { said: "[OK]".into() });
        save.success = vec!["copied".parse().unwrap()];
        let Outcome::Stepped { end } = taken(&toy, &save).await else { panic!("no step") };
        assert!(matches!(end, StepEnd::Refused { .. }), "{end:?}");
        save.failure = vec!["OK".parse().unwrap()];
        save.success.clear();
        let Outcome::Stepped { end } = taken(&toy, &save).await else { panic!("no step") };
        assert_eq!(end, StepEnd::Refused { why: "[OK]".into() });
    }

    #[tokio::test]
    async fn what_a_look_shows_as_done_is_not_done_again() {
        let toy = Toy::default().start().await;
        let mut save = step(StepKind::Save, "write memory");
        save.look = Some(("show running-config".into(), "hostname acc".parse().unwrap()));
        let Outcome::Stepped { end } = taken(&toy, &save).await else { panic!("no step") };
        assert_eq!(end, StepEnd::Done { said: "was done already".into() });
        assert!(!toy.typed().contains(&"write memory".to_owned()));
    }

    #[tokio::test]
    async fn a_session_that_ends_during_a_step_leaves_it_open() {
        let toy = Toy { hangs_up: true, ..Toy::default() }.start().await;
        let reload = step(StepKind::Reload, "show running-config");
        let outcome = taken(&toy, &reload).await;
        let gone = matches!(outcome, Outcome::Stepped { end: StepEnd::Gone { .. } });
        assert!(gone || matches!(outcome, Outcome::Broken { .. }), "{outcome:?}");
    }
}
