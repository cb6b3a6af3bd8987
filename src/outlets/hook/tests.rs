//! Hooks against a receiver that fails, and against real commands.

use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

use super::*;
use crate::clock::Timestamp;
use crate::domain::inventory::meant::{Device, Variables};
use crate::domain::run::{Phase, Run, Timing, Transfers};
use crate::outlets::wire::{Heard, Said, serve};
use crate::service::outbox::paper::Paper;
use crate::service::outbox::rows_for_handoff;

const T0: Timestamp = Timestamp::from_seconds(1_795_261_396);

fn run_of(id: &str) -> Run {
    let second = Duration::from_secs(1);
    Run {
        id: id.into(),
        device: "acc-sw-17".into(),
        site: "bma".into(),
        platform: "cisco_ios".into(),
        location: String::new(),
        opened: T0,
        last_heard: T0,
        rev: 1,
        seq: 1,
        phase: Phase::HandingOff { since: T0, waiting_for: vec!["takeover".into()] },
        timing: Timing {
            ask_patience: second,
            file_patience: second,
            settle: second,
            back_deadline: second,
            recheck: second,
            neighbour_patience: second,
            login_patience: second,
            still_waiting: second,
            fetches: true,
            save: false,
            hooks_required: vec!["takeover".into()],
            hooks_optional: vec![],
        }
        .into(),
        actor: None,
        address: Some("172.29.50.18".parse().unwrap()),
        repeats: 0,
        transfers: Transfers::default(),
        served_sha256: Some("ab".repeat(32)),
        host_key: None,
        attempt: 0,
        first_visit: None,
        milestones: BTreeMap::new(),
        handed: BTreeMap::new(),
        findings: None,
        suspected: None,
        told: Vec::new(),
        saving: false,
        strange_file: None,
        oddities: Vec::new(),
        missed: 0,
        gave_way: None,
        upgrade: None,
        upstream: Default::default(),
    }
}

fn device() -> Device {
    Device {
        site: "bma".into(),
        serial: Some("FDO1234X0AB".into()),
        variables: Variables::from(
            serde_json::from_str::<serde_json::Map<_, _>>(r#"{"snmp_secret": "hunter2"}"#).unwrap(),
        ),
        ..Device::named("acc-sw-17", "cisco_ios")
    }
}

struct Story {
    paper: Paper,
    told: Arc<Mutex<Vec<Answered>>>,
    end: watch::Sender<bool>,
    wake: watch::Sender<u64>,
}

impl Story {
    async fn of(runs: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let paper = Paper::open();
        for run in runs {
            let row = || rows_for_handoff(&run_of(run), &device(), "takeover", T0);
            // Asked for twice, as after a crash between step and commit.
            paper.memory.commit(vec![row(), row()]).await.unwrap();
        }
        let (end, wake) = (watch::Sender::new(false), watch::Sender::new(0));
        Self { paper, told: Arc::default(), end, wake }
    }

    fn outbox(&self) -> Outbox {
        Outbox::new(self.paper.memory.clone(), Clock::System, self.wake.subscribe())
    }

    fn start(&self, target: Target, timeout: Duration) -> tokio::task::JoinHandle<()> {
        let settings = Settings {
            name: "takeover".into(),
            target,
            timeout,
            retries: vec![Duration::from_millis(5); 3],
            source: "urn:greenlight:test".into(),
            concurrent_max: 4,
            poll: Duration::from_millis(5),
        };
        let told = self.told.clone();
        let answered: CallBack = Arc::new(move |answer| {
            told.lock().unwrap().push(answer);
            Box::pin(async {})
        });
        let end = self.end.subscribe();
        tokio::spawn(run(settings, self.outbox(), Clock::System, answered, end))
    }

    async fn told(&self, count: usize) -> Vec<Answered> {
        let patience = tokio::time::timeout(Duration::from_secs(20), async {
            while self.told.lock().unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(patience.await.is_ok(), "{:?}", self.paper.rows());
        self.told.lock().unwrap().clone()
    }
}

fn answered(accepted: bool, answer: &str) -> Answered {
    let (run, hook) = ("R1".into(), "takeover".into());
    Answered { run, hook, accepted, answer: answer.into() }
}

async fn receiver(answers: Vec<Said>) -> (Target, Arc<Mutex<Vec<Heard>>>) {
    let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
    let (seen, answers) = (heard.clone(), Mutex::new(answers.into_iter()));
    let address = serve(Arc::new(move |request| {
        seen.lock().unwrap().push(request);
        answers.lock().unwrap().next().unwrap_or_else(|| Said::text(202, "job 4711"))
    }))
    .await;
    let target = Target::Http {
        url: format!("http://{address}/greenlight"),
        headers: BTreeMap::from([("x-site".into(), "bma".into())]),
        secret_headers: BTreeMap::from([("authorization".into(), Secret::new("Bearer s3cret"))]),
        signing: Some(Secret::new("shared")),
    };
    (target, heard)
}

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_ready_device_is_handed_over_once_with_everything_a_receiver_needs() {
    let story = Story::of(&["R1"]).await;
    let (target, heard) = receiver(vec![]).await;
    let _worker = story.start(target, PATIENCE);
    assert_eq!(story.told(1).await, [answered(true, "HTTP 202\njob 4711")]);
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 1);
    let request = &heard[0];
    for (name, value) in [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "R1-ready"),
        ("ce-type", "greenlight.device.ready.v1"),
        ("ce-source", "urn:greenlight:test"),
        ("ce-subject", "FDO1234X0AB"),
        ("ce-correlationid", "R1"),
        ("webhook-id", "R1-ready"),
        ("idempotency-key", "R1-ready:takeover"),
        ("authorization", "Bearer s3cret"),
        ("x-site", "bma"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert!(request.header("webhook-signature").unwrap().starts_with("v1,"));
    let body = request.json();
    assert_eq!(body["type"], "greenlight.device.ready");
    assert_eq!(body["id"], "R1-ready");
    assert_eq!(body["data"]["device"]["name"], "acc-sw-17");
    assert_eq!(body["data"]["device"]["address"], "172.29.50.18");
    assert_eq!(body["data"]["config"]["sha256"], "ab".repeat(32));
    assert!(!String::from_utf8_lossy(&request.body).contains("hunter2"));
}

#[tokio::test]
async fn a_busy_receiver_is_asked_again_with_the_same_id() {
    let story = Story::of(&["R1"]).await;
    let busy = vec![Said::text(503, "later"), Said::HangUp, Said::text(408, "")];
    let (target, heard) = receiver(busy).await;
    let _worker = story.start(target, PATIENCE);
    assert_eq!(story.told(1).await, [answered(true, "HTTP 202\njob 4711")]);
    let heard = heard.lock().unwrap();
    let ids: Vec<_> = heard.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!(ids, [Some("R1-ready"); 4]);
}

#[tokio::test]
async fn after_the_last_retry_or_a_clear_no_it_is_over() {
    for (answers, expected, calls) in [
        ((0..9).map(|_| Said::text(500, "")).collect::<Vec<_>>(), "HTTP 500", 4),
        (vec![Said::text(404, "no such hook")], "HTTP 404\nno such hook", 1),
        (
            vec![Said::Answer {
                status: 302,
                headers: vec![("location", "http://127.0.0.1:9/".into())],
                body: String::new(),
            }],
            "HTTP 302",
            1,
        ),
    ] {
        let story = Story::of(&["R1"]).await;
        let (target, heard) = receiver(answers).await;
        let _worker = story.start(target, PATIENCE);
        assert_eq!(story.told(1).await, [answered(false, expected)]);
        assert_eq!(heard.lock().unwrap().len(), calls, "{expected}");
        assert_eq!(
            story.outbox().handoff_answers("R1").await.unwrap(),
            [("takeover".to_owned(), false, expected.to_owned())]
        );
    }
}

fn shell(script: &str) -> Target {
    Target::Exec { argv: vec!["/bin/sh".into(), "-c".into(), script.into()] }
}

#[tokio::test]
async fn a_command_gets_the_event_and_its_last_lines_are_the_answer() {
    let story = Story::of(&["R1"]).await;
    let script = "seq 1 30; grep -o '\"name\":\"[^\"]*\"'; echo \"$GREENLIGHT_DEVICE\" >&2; \
                  printf '\\033[31mred\\033[0m\\n'";
    let _worker = story.start(shell(script), PATIENCE);
    let told = story.told(1).await;
    assert!(told[0].accepted);
    let lines: Vec<&str> = told[0].answer.lines().collect();
    assert_eq!(lines.len(), 20);
    assert!(lines.contains(&"\"name\":\"acc-sw-17\""), "{lines:?}");
    assert!(lines.contains(&"acc-sw-17") && lines.contains(&"red"), "{lines:?}");
}

#[tokio::test]
async fn a_command_without_a_shell_takes_its_arguments_as_they_are() {
    let story = Story::of(&["R1"]).await;
    let argv = ["/bin/echo", "$(id); `id` && x"].map(str::to_owned).to_vec();
    let _worker = story.start(Target::Exec { argv }, PATIENCE);
    // Only the backticks are cleaned away.
    assert_eq!(story.told(1).await, [answered(true, "$(id); id && x")]);
}

#[tokio::test]
async fn exit_75_is_tried_again_and_any_other_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let script = format!("if mkdir {0} 2>/dev/null; then exit 75; fi; echo ok", mark.display());
    let story = Story::of(&["R1"]).await;
    let _worker = story.start(shell(&script), PATIENCE);
    assert_eq!(story.told(1).await, [answered(true, "ok")]);

    let story = Story::of(&["R1"]).await;
    let _worker = story.start(shell("echo bad host >&2; exit 3"), PATIENCE);
    assert_eq!(story.told(1).await, [answered(false, "exit 3\nbad host")]);
}

#[tokio::test]
async fn a_command_that_does_not_end_is_ended_with_its_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    let (alive, child) = (folder.path().join("alive"), folder.path().join("child"));
    std::fs::write(&child, format!("#!/bin/sh\nsleep 3\ntouch {}\n", alive.display())).unwrap();
    std::fs::set_permissions(&child, std::fs::Permissions::from_mode(0o755)).unwrap();
    let story = Story::of(&["R1"]).await;
    let script = format!("echo begun; {} & sleep 60", child.display());
    let _worker = story.start(shell(&script), Duration::from_secs(1));
    let told = story.told(1).await;
    assert_eq!(told, [answered(false, "no end within 1 s, stopped\nbegun")]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!alive.exists(), "the command's child outlived it");
}

#[tokio::test]
async fn what_a_command_leaves_behind_does_not_hold_us() {
    let story = Story::of(&["R1"]).await;
    let _worker = story.start(shell("echo done; sleep 60 &"), Duration::from_secs(30));
    assert_eq!(story.told(1).await, [answered(true, "done")]);
}

#[tokio::test]
async fn a_flood_of_output_is_bounded() {
    let story = Story::of(&["R1"]).await;
    let script = "head -c 30000000 /dev/zero | tr '\\0' x; echo; echo end";
    let _worker = story.start(shell(script), Duration::from_secs(20));
    let told = story.told(1).await;
    assert!(told[0].answer.ends_with("\nend") && told[0].answer.len() < 20 * 600);
}

#[tokio::test]
async fn a_command_cut_off_by_a_restart_is_not_run_twice() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let story = Story::of(&["R1"]).await;
    let script = format!("echo run >> {}; sleep 60", log.display());
    let worker = story.start(shell(&script), PATIENCE * 10);
    while std::fs::read_to_string(&log).unwrap_or_default().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    worker.abort();
    let _ = worker.await;
    let _worker = story.start(shell(&script), PATIENCE);
    let told = story.told(1).await;
    assert!(!told[0].accepted && told[0].answer.contains("look what it did"), "{told:?}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "run\n");
}

#[tokio::test]
async fn one_slow_device_does_not_hold_the_others() {
    let story = Story::of(&["R1", "R2", "R3"]).await;
    let script = "if [ \"$GREENLIGHT_RUN\" = R1 ]; then sleep 2; fi; echo ok";
    let _worker = story.start(shell(script), PATIENCE);
    let order: Vec<String> = story.told(3).await.into_iter().map(|answer| answer.run).collect();
    assert_eq!(order[2], "R1", "{order:?}");
}

#[tokio::test]
async fn an_end_lets_the_command_under_way_finish_and_begins_no_other() {
    let story = Story::of(&["R1"]).await;
    let worker = story.start(shell("sleep 1; echo ok"), PATIENCE);
    while story.paper.states()[0].1 != "sending" {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    story.end.send_replace(true);
    let row = rows_for_handoff(&run_of("R2"), &device(), "takeover", T0);
    story.paper.memory.commit(vec![row]).await.unwrap();
    tokio::time::timeout(PATIENCE, worker).await.unwrap().unwrap();
    assert_eq!(story.told(1).await, [answered(true, "ok")]);
    assert_eq!(story.paper.states()[1].1, "pending");
}

#[tokio::test]
async fn a_command_does_not_inherit_our_environment() {
    // The test runner sets this one for us.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let story = Story::of(&["R1"]).await;
    let _worker = story.start(shell("echo \"[$CARGO_MANIFEST_DIR]\""), PATIENCE);
    assert_eq!(story.told(1).await, [answered(true, "[]")]);
}
