//! The demo's plan against the demo's boxes, without a server in between: what a box answers is
//! read by its platform's file and judged against the plan, before and after the hands have done
//! what was said.

use std::collections::BTreeMap;

use super::*;
use crate::clock::ManualClock;
use crate::demo::people::{Act, act};
use crate::demo::stories::{LOST_LINE, Twist};
use crate::domain::check::{self, Findings, Plan, Problem};
use crate::domain::fault::Fault;
use crate::files::{self, Loaded};
use crate::platform::{Output, Platforms, Question};
use crate::sim::cli::{Answer, answer};
use crate::sim::device::Device;
use crate::sim::inside::Inside;

struct Scene {
    loaded: Loaded,
    platforms: Platforms,
    stories: Vec<Story>,
    site: Site,
    clock: ManualClock,
}

fn scene() -> Scene {
    let clock = ManualClock::starting_at(Timestamp::from_seconds(1_795_261_396));
    let entropy = Entropy::seeded(11);
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let stories = stories::all();
    let ground = Ground {
        dhcp: nowhere,
        tftp_port: 9,
        corner: Corner::any(&entropy),
        password: "Wonder!Land".into(),
        pace: Pace(1.0),
        clock: Clock::Manual(clock.clone()),
        entropy,
        diary: Diary::default(),
    };
    let directory = tempfile::tempdir().unwrap();
    let written = plan::Written {
        stories: &stories,
        corner: ground.corner,
        pace: ground.pace,
        dhcp: nowhere,
        tftp: nowhere,
        http: nowhere,
        doubles: nowhere,
        password: &ground.password,
    };
    let config = plan::write(directory.path(), &written).unwrap();
    let loaded = match files::load(&config) {
        Ok(loaded) => loaded,
        Err(complaints) => panic!("{complaints:#?}"),
    };
    assert!(loaded.remarks.is_empty(), "{:?}", loaded.remarks);
    let site = Site::build(&stories, &ground);
    Scene { loaded, platforms: Platforms::built_in(), stories, site, clock }
}

impl Scene {
    async fn inside(&self, story: &Story) -> Inside {
        let mut found = None;
        self.site
            .device(&story.device, async |device: &Device| found = Some(device.inside.clone()))
            .await;
        found.unwrap()
    }

    fn rendered(&self, story: &Story) -> String {
        let device = self.loaded.inventory.device(&story.device).unwrap();
        self.loaded.renderer.render(device, &self.loaded.inventory).unwrap()
    }

    /// The box as it is after it took its file, saved, and everybody has said hello.
    async fn configured(&self, story: &Story) -> Inside {
        let inside = self.inside(story).await;
        inside.power_on();
        let loses = (story.twist == Twist::LostLine).then_some(LOST_LINE);
        inside.apply(&self.rendered(story), loses);
        inside.save();
        inside.speak();
        self.clock.advance(Duration::from_secs(2));
        inside
    }

    /// A visit without SSH: every command of every question, asked of the command line itself.
    fn judge(&self, story: &Story, inside: &Inside) -> Findings {
        let device = self.loaded.inventory.device(&story.device).unwrap();
        let platform = self.platforms.get(&device.platform).unwrap();
        let view = inside.view();
        let mut outputs: BTreeMap<Question, Vec<Output>> = BTreeMap::new();
        for (question, asked) in &platform.questions {
            if *question == Question::Save {
                continue;
            }
            for (command, reader) in asked.commands.iter().zip(&asked.readers) {
                let output = match answer(&view, true, command) {
                    Answer::Text(text) => Output::Text(text),
                    // How its links run is more than a simulated device knows.
                    Answer::Unknown { .. } if reader.details => {
                        Output::Refused { why: "unknown command".to_owned() }
                    }
                    other => panic!("{}: `{command}` is answered by {other:?}", story.device),
                };
                outputs.entry(*question).or_default().push(output);
            }
        }
        let seen = platform.read(&outputs);
        let plan = Plan {
            device,
            inventory: &self.loaded.inventory,
            platforms: &self.platforms,
            rendered: &self.rendered(story),
            neighbours_due: true,
        };
        check::judge(&plan, &seen)
    }
}

fn plainly(findings: &Findings) -> String {
    format!("{:#?}", (&findings.verdicts, &findings.remarks))
}

/// What the visit finds is the story's fault, where a visit can find it; nothing otherwise.
fn seen_by_a_visit(twist: Twist) -> Option<Fault> {
    twist.fault().filter(|fault| fault.layer() >= Fault::OtherBox.layer())
}

#[tokio::test]
async fn each_twist_is_found_by_its_code_and_ends_when_the_notice_is_obeyed() {
    let scene = scene();
    for story in &scene.stories {
        let inside = scene.configured(story).await;
        let findings = scene.judge(story, &inside);
        let found: Option<Problem> = check::most_urgent(&findings).cloned();
        assert_eq!(
            found.as_ref().map(|problem| problem.fault),
            seen_by_a_visit(story.twist),
            "{}: {}",
            story.device,
            plainly(&findings)
        );
        if let Some(problem) = found {
            obey(&scene, story, &inside, act(&story.device, &problem)).await;
            // The old neighbours' time to live ends.
            scene.clock.advance(Duration::from_secs(5));
        }
        let after = scene.judge(story, &inside);
        assert!(check::all_proven(&after), "{}: {}", story.device, plainly(&after));
    }
}

async fn obey(scene: &Scene, story: &Story, inside: &Inside, act: Act) {
    let site = &scene.site;
    match act {
        Act::Exchange { a, b } => {
            site.move_plugs(&a, &b, |cabling, a, b, now| cabling.swap(&a, &b, now)).unwrap();
        }
        Act::Move { from, to } => {
            let mv = |cabling: &mut crate::sim::cabling::Cabling, from, to, now| {
                cabling.move_plug(&from, &to, now)
            };
            site.move_plugs(&from, &to, mv).unwrap();
        }
        Act::Plug { a, b } => {
            site.move_plugs(&a, &b, |cabling, a, b, now| cabling.connect(a, b, now)).unwrap();
        }
        Act::EnterLine => {
            inside.apply(&site.lost_line, None);
            inside.save();
        }
        Act::ExchangeBox => {
            inside.exchange(site.planned_chassis(&story.device).unwrap());
            scene.configured(story).await;
        }
        other => panic!("{}: a visit led to {other:?}", story.device),
    }
}

#[tokio::test]
async fn what_is_not_saved_is_not_proven() {
    let scene = scene();
    let story = &scene.stories[0];
    let inside = scene.inside(story).await;
    inside.power_on();
    inside.apply(&scene.rendered(story), None);
    inside.speak();
    scene.clock.advance(Duration::from_secs(2));
    let findings = scene.judge(story, &inside);
    assert!(!check::all_proven(&findings));
    inside.save();
    assert!(check::all_proven(&scene.judge(story, &inside)));
}

#[test]
fn every_planned_device_has_a_file_that_a_transfer_can_break_in() {
    let scene = scene();
    for story in &scene.stories {
        let text = scene.rendered(story);
        assert!(text.contains(&format!("hostname {}\n", story.device)), "{text}");
        if story.twist == Twist::BadCable {
            assert!(text.len() > 1024, "{} bytes", text.len());
        }
    }
}

#[test]
fn a_bad_speed_is_refused_before_anything_starts() {
    let start: Start = Box::new(|_| panic!("nothing may start"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refused = runtime.block_on(run_against(&Options { json: false, speed: 0.0 }, start));
    assert_eq!(refused.unwrap_err().code, Code::BadRequest);
}
