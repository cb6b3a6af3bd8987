//! A visit over SSH: connect, check the host key, log in, ask, leave.
//!
//! Everything that can go wrong has its place in [`Outcome`]:
//!
//! | where it ends | outcome |
//! |---|---|
//! | no TCP connection, no greeting, or broken off before the keys are exchanged | `Unreachable` |
//! | no algorithm in common, or a violated protocol | `Broken` |
//! | another host key than the pinned one | `HostKeyChanged`; nothing was sent |
//! | no credential taken, no answer to the login, a new password or no enable | `LoginRefused` |
//! | a jump host let nobody through, or no key of ours can be read | `OurSide` |
//! | logged in, and no end of the dialogue | `Broken` |

mod algorithms;
mod ask;
mod login;
mod memory;
mod session;
mod step;
#[cfg(test)]
mod toy;
mod way;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::config::meant::Ssh;
use crate::platform::dialogue::Limits;
use crate::platform::observation::{Observation, Reading};
use crate::platform::{Channel, Output, Question};
use crate::service::probe::{Order, Outcome, Prober, Purpose, Report};
use memory::Memory;
pub use memory::{Shelf, Shelves};
use session::{Failed, Step, Trace};
use way::Way;

/// In this order, so that who it is and who is beside it is known even of a slow device.
const QUESTIONS: [Question; 7] = [
    Question::Facts,
    Question::Lldp,
    Question::Cdp,
    Question::Interfaces,
    Question::Environment,
    Question::Running,
    Question::Saved,
];
/// So many of them tell who it is, whom it hears and which links it has.
const NEIGHBOURS: usize = 4;
/// Saying goodbye may take this long; the visit's result does not wait for more.
const GOODBYE: Duration = Duration::from_secs(1);

/// The prober that visits over SSH. It remembers what worked, for as long as it lives.
pub fn prober(settings: Ssh) -> Prober {
    remembering(settings, Memory::default())
}

/// The same with somebody who keeps what worked, and the keys of jump hosts, over restarts.
pub fn prober_keeping(settings: Ssh, kept: Shelves) -> Prober {
    remembering(settings, Memory::keeping(kept))
}

fn remembering(settings: Ssh, memory: Memory) -> Prober {
    let settings = Arc::new(settings);
    Arc::new(move |order| {
        let (settings, memory) = (Arc::clone(&settings), memory.clone());
        Box::pin(async move {
            match &order.purpose {
                Purpose::Step(step) => step::report(&order, step, (&settings, &memory)).await,
                Purpose::Observe | Purpose::SaveAndObserve | Purpose::Neighbours => {
                    report(&order, &settings, &memory).await
                }
            }
        })
    })
}

async fn report(order: &Order, settings: &Ssh, memory: &Memory) -> Report {
    let trace = Trace::default();
    let limit = order.deadline.min(settings.visit_timeout);
    let outcome = match timeout(limit, visit(order, settings, memory, &trace)).await {
        Ok(Ok(observation)) => Outcome::Observed(Box::new(observation)),
        Ok(Err(outcome)) => outcome,
        Err(_) => out_of_time(trace.reached().step, limit),
    };
    Report { host_key: trace.reached().host_key, outcome }
}

fn out_of_time(step: Step, limit: Duration) -> Outcome {
    let seconds = limit.as_secs_f32();
    match step {
        Step::Passing(jump) => {
            Outcome::OurSide { why: format!("jump host {jump}: not passed within {seconds} s") }
        }
        Step::Connecting => Outcome::Unreachable { why: format!("no SSH within {seconds} s") },
        Step::LoggingIn => {
            Outcome::LoginRefused { why: format!("the login was not answered within {seconds} s") }
        }
        Step::LoggedIn => Outcome::Broken { why: format!("the visit took more than {seconds} s") },
    }
}

async fn visit(
    order: &Order,
    settings: &Ssh,
    memory: &Memory,
    trace: &Trace,
) -> Result<Observation, Outcome> {
    let (answers, further) = ask_all(order, settings, memory, trace).await?;
    let mut seen = order.platform.read(&answers);
    seen.further = further;
    Ok(seen)
}

/// The unread answers of one visit, for taking samples of a platform. The deadline is the caller's.
pub async fn answers(
    order: &Order,
    settings: &Ssh,
) -> Result<BTreeMap<Question, Vec<Output>>, Outcome> {
    let answers = ask_all(order, settings, &Memory::default(), &Trace::default()).await;
    answers.map(|(answers, _)| answers)
}

/// The answers to the platform's questions, and those to further commands.
type Answers = (BTreeMap<Question, Vec<Output>>, BTreeMap<String, Reading<String>>);

async fn ask_all(
    order: &Order,
    settings: &Ssh,
    memory: &Memory,
    trace: &Trace,
) -> Result<Answers, Outcome> {
    let way = Way::open(order, settings, memory, trace).await?;
    let answers = match ask_device(order, settings, memory, &way, trace).await {
        Ok(answers) => Ok(answers),
        Err(outcome) => Err(way.blamed(outcome).await),
    };
    way.leave().await;
    answers
}

async fn ask_device(
    order: &Order,
    settings: &Ssh,
    memory: &Memory,
    way: &Way<'_>,
    trace: &Trace,
) -> Result<Answers, Outcome> {
    let asked = commands(order);
    let device = way.device(trace);
    let logged_in = session::log_in(&device, &way.to_device(), settings, memory).await;
    let (handle, credential) = logged_in.map_err(not_entered)?;
    let limits = Limits { output_bytes_max: settings.output_bytes_max };
    let cli = &order.platform.cli;
    let texts: Vec<String> =
        asked.iter().map(|(_, command)| command).chain(&order.further).cloned().collect();
    let outputs = match cli.channel {
        Channel::Shell => {
            ask::in_shell(&handle, cli, credential.enable.clone(), texts, limits).await
        }
        Channel::Exec => ask::by_exec(&handle, cli, &texts, limits).await,
    };
    let goodbye = handle.disconnect(russh::Disconnect::ByApplication, "", "");
    let _ = timeout(GOODBYE, goodbye).await;
    let mut by_question: BTreeMap<Question, Vec<Output>> = BTreeMap::new();
    let mut outputs = outputs?.into_iter();
    for ((question, _), output) in asked.iter().zip(outputs.by_ref()) {
        by_question.entry(*question).or_default().push(output);
    }
    let further = order.further.iter().cloned().zip(outputs.map(as_reading)).collect();
    Ok((by_question, further))
}

fn as_reading(output: Output) -> Reading<String> {
    match output {
        Output::Text(text) => Reading::Seen(text),
        Output::Refused { why } => Reading::Unreadable { why },
    }
}

/// What it means that there is no session with the device.
fn not_entered(failed: Failed) -> Outcome {
    match failed {
        Failed::NoConnection(why) | Failed::BrokenOff(why) => Outcome::Unreachable { why },
        Failed::NoSession(why) => Outcome::Broken { why },
        Failed::ForeignKey(found) => Outcome::HostKeyChanged { found },
        Failed::LoginRefused(why) => Outcome::LoginRefused { why },
        Failed::NoWay(why) | Failed::NoKey(why) => Outcome::OurSide { why },
    }
}

/// Every command of the visit with the question it belongs to. What the platform cannot answer is
/// not asked.
fn commands(order: &Order) -> Vec<(Question, String)> {
    let (first, questions) = match order.purpose {
        // A step asks what it needs by itself.
        Purpose::Observe | Purpose::Step(_) => (None, &QUESTIONS[..]),
        Purpose::SaveAndObserve => (Some(&Question::Save), &QUESTIONS[..]),
        Purpose::Neighbours => (None, &QUESTIONS[..NEIGHBOURS]),
    };
    let mut commands = Vec::new();
    for question in first.into_iter().chain(questions) {
        if let Some(asked) = order.platform.questions.get(question) {
            commands.extend(asked.commands.iter().map(|command| (*question, command.clone())));
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::toy::{Toy, order, settings, shell};
    use super::*;
    use crate::secret::Secret;

    fn text(text: &str) -> Vec<Output> {
        vec![Output::Text(text.to_owned())]
    }

    async fn reported(order: &Order) -> Report {
        report(order, &settings(), &Memory::default()).await
    }

    async fn visited(toy: &Toy) -> Report {
        reported(&order(toy, shell())).await
    }

    #[tokio::test]
    async fn a_shell_is_asked_every_question_in_order() {
        let toy = Toy::default().start().await;
        let mut order = order(&toy, shell());
        order.purpose = Purpose::SaveAndObserve;
        let answers = answers(&order, &settings()).await.unwrap();
        assert_eq!(answers[&Question::Save], text("[OK]\n"));
        assert_eq!(answers[&Question::Facts], text("acc-sw-17 uptime is 3 minutes\n"));
        assert_eq!(answers[&Question::Running], text("hostname acc-sw-17\nend\n"));
        let refused = Output::Refused { why: "% Invalid input detected".to_owned() };
        assert_eq!(answers[&Question::Lldp], [refused]);
        // The logout after them may still be on its way.
        let expected = [
            "enable",
            "terminal length 0",
            "write memory",
            "show version",
            "show lldp",
            "show running-config",
        ];
        assert_eq!(toy.typed()[..6], expected);
    }

    #[tokio::test]
    async fn exec_is_asked_one_request_per_command() {
        let toy = Toy::default().start().await;
        let answers = answers(&order(&toy, Channel::Exec), &settings()).await.unwrap();
        assert_eq!(answers[&Question::Facts], text("acc-sw-17 uptime is 3 minutes\n"));
        assert_eq!(answers[&Question::Running], text("hostname acc-sw-17\nend\n"));
        let refused = Output::Refused { why: "exit status 1: % Invalid input detected".to_owned() };
        assert_eq!(answers[&Question::Lldp], [refused]);
        assert_eq!(toy.typed(), ["show version", "show lldp", "show running-config"]);
    }

    #[tokio::test]
    async fn further_commands_are_answered_in_the_same_visit() {
        for channel in [shell(), Channel::Exec] {
            let toy = Toy::default().start().await;
            let mut order = order(&toy, channel);
            order.further = vec!["show version".to_owned(), "show nonsense".to_owned()];
            let Outcome::Observed(seen) = reported(&order).await.outcome else {
                panic!("observed")
            };
            let version = seen.further["show version"].seen().map(String::as_str);
            assert_eq!(version, Some("acc-sw-17 uptime is 3 minutes\n"));
            let refused = &seen.further["show nonsense"];
            assert!(matches!(refused, Reading::Unreadable { .. }), "{refused:?}");
            assert_eq!(seen.further.len(), 2);
            assert_eq!(toy.logins().len(), 1, "one visit");
        }
    }

    #[tokio::test]
    async fn the_key_is_told_and_pinned_and_another_one_gets_no_password() {
        let toy = Toy::default().start().await;
        let first = visited(&toy).await;
        assert!(matches!(first.outcome, Outcome::Observed(_)), "{first:?}");
        let key = first.host_key.expect("a key was shown");
        assert!(key.starts_with("SHA256:") && key.len() == 50, "{key}");
        let mut again = order(&toy, shell());
        again.pinned_host_key = Some(key.clone());
        let second = reported(&again).await;
        assert!(matches!(second.outcome, Outcome::Observed(_)), "{second:?}");

        let impostor = Toy::default().start().await;
        again.target = impostor.address();
        let third = reported(&again).await;
        let Outcome::HostKeyChanged { found } = third.outcome else { panic!("{third:?}") };
        assert_ne!(found, key);
        assert_eq!(impostor.logins(), Vec::<String>::new(), "nothing was sent");
    }

    #[tokio::test]
    async fn credentials_are_tried_in_order_by_both_methods() {
        let toy = Toy { interactive_only: true, ..Toy::default() }.start().await;
        let mut order = order(&toy, shell());
        let mut stale = order.credentials[0].clone();
        stale.username = "old".to_owned();
        stale.password = Some(Secret::new("stale-secret"));
        order.credentials.insert(0, stale);
        let report = reported(&order).await;
        assert!(matches!(report.outcome, Outcome::Observed(_)), "{report:?}");
        assert_eq!(
            toy.logins(),
            ["old password", "old interactive", "ops password", "ops interactive"]
        );
    }

    #[tokio::test]
    async fn a_refused_login_says_whose_and_not_with_what() {
        let toy = Toy { password: "another".to_owned(), ..Toy::default() }.start().await;
        let report = visited(&toy).await;
        let Outcome::LoginRefused { why } = report.outcome else { panic!("{report:?}") };
        assert_eq!(why, "`ops`: password and keyboard-interactive were refused");
        assert!(report.host_key.is_some());
        let mut none = order(&toy, shell());
        none.credentials.clear();
        let report = reported(&none).await;
        assert!(matches!(report.outcome, Outcome::LoginRefused { .. }), "{report:?}");
        assert!(report.host_key.is_some(), "it was reached all the same");
    }

    #[tokio::test]
    async fn a_refused_shell_is_broken_at_once() {
        let toy = Toy { no_shell: true, ..Toy::default() }.start().await;
        let report = visited(&toy).await;
        let Outcome::Broken { why } = report.outcome else { panic!("{report:?}") };
        assert_eq!(why, "the device opens no shell");
    }

    #[tokio::test]
    async fn a_wrong_enable_password_is_a_refused_login() {
        let toy = Toy { enable: "another".to_owned(), ..Toy::default() }.start().await;
        let report = visited(&toy).await;
        assert!(matches!(report.outcome, Outcome::LoginRefused { .. }), "{report:?}");
        assert!(!format!("{report:?}").contains("en-secret"));
    }

    #[tokio::test]
    async fn nobody_there_and_nobody_speaking_ssh_are_unreachable() {
        let toy = Toy::default().start().await;
        let mut order = order(&toy, shell());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        order.target = listener.local_addr().unwrap();
        let silent = reported(&order).await;
        assert!(matches!(silent.outcome, Outcome::Unreachable { .. }), "{silent:?}");
        drop(listener);
        let closed = reported(&order).await;
        assert!(matches!(closed.outcome, Outcome::Unreachable { .. }), "{closed:?}");
        assert_eq!(closed.host_key, None);
    }

    #[tokio::test]
    async fn a_shell_without_prompt_is_broken_with_what_it_said() {
        let toy = Toy { mute: true, ..Toy::default() }.start().await;
        let report = visited(&toy).await;
        let Outcome::Broken { why } = report.outcome else { panic!("{report:?}") };
        assert!(why.contains("seen last: `Welcome`"), "{why}");
    }

    #[tokio::test]
    async fn an_answer_of_ten_megabytes_is_refused_and_the_others_are_kept() {
        let toy = Toy { flood_bytes: 10_000_000, ..Toy::default() }.start().await;
        for channel in [shell(), Channel::Exec] {
            let answers = answers(&order(&toy, channel), &settings()).await.unwrap();
            let Output::Refused { why } = &answers[&Question::Running][0] else { panic!("cut") };
            assert!(why.starts_with("expected at most 1000000 bytes, found"), "{why}");
            assert_eq!(answers[&Question::Facts], text("acc-sw-17 uptime is 3 minutes\n"));
        }
    }

    #[tokio::test]
    async fn a_device_that_hangs_up_is_broken() {
        for channel in [shell(), Channel::Exec] {
            let toy = Toy { hangs_up: true, ..Toy::default() }.start().await;
            let report = reported(&order(&toy, channel)).await;
            assert!(matches!(report.outcome, Outcome::Broken { .. }), "{report:?}");
        }
    }

    #[tokio::test]
    async fn the_deadline_holds_for_the_whole_visit() {
        let toy = Toy { mute: true, ..Toy::default() }.start().await;
        let mut order = order(&toy, shell());
        order.deadline = Duration::from_millis(300);
        let report = reported(&order).await;
        let Outcome::Broken { why } = report.outcome else { panic!("{report:?}") };
        assert_eq!(why, "the visit took more than 0.3 s");
    }

    #[tokio::test]
    async fn a_legacy_only_device_is_reached() {
        let toy = Toy { legacy: true, ..Toy::default() }.start().await;
        let report = visited(&toy).await;
        assert!(matches!(report.outcome, Outcome::Observed(_)), "{report:?}");
    }
}
