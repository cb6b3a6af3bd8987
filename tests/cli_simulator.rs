//! The SSH probe against a public simulator of command lines that we did not write: fakenos, from
//! PyPI. Its answers are fixed transcripts, some of them mangled or of another release than our
//! platforms expect; judged is only what they truly say, and nothing may be read that is not there.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use greenlight::config::meant::Ssh;
use greenlight::platform::observation::{Facts, Observation, Reading};
use greenlight::platform::{Platform, Platforms, Question};
use greenlight::probes::ssh;
use greenlight::secret::Secret;
use greenlight::service::probe::{Credential, Order, Outcome, Purpose};

/// One simulated device: what the simulator calls its system, and its name, which is its prompt
/// without the last letter.
struct Simulated {
    system: &'static str,
    name: &'static str,
    address: SocketAddr,
}

/// The simulator with all its devices, ended with its standard input and by its id.
struct Simulator {
    process: Child,
    devices: Vec<Simulated>,
}

impl Simulator {
    fn start(systems: &[(&'static str, &'static str)]) -> Self {
        let devices: Vec<Simulated> = systems
            .iter()
            .map(|(system, name)| {
                let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
                let address = free.local_addr().expect("it is bound");
                Simulated { system, name, address }
            })
            .collect();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/lab/simulator/bin/python");
        assert!(python.exists(), "no {}: run tests/lab/prepare first", python.display());
        let arguments = devices
            .iter()
            .map(|device| format!("{}:{}:{}", device.system, device.address.port(), device.name));
        let mut process = Command::new(python)
            .arg(root.join("tests/lab/simulator.py"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python is there");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let up = lines.map_while(Result::ok).any(|line| line == "up");
        assert!(up, "the simulator ended before its devices listened");
        Self { process, devices }
    }

    /// A visit with the platform of ours, changed by `change`.
    async fn visit(
        &self,
        system: &str,
        platform: &str,
        change: impl FnOnce(&mut Platform),
    ) -> Observation {
        let device = self.devices.iter().find(|device| device.system == system);
        let shipped = Platforms::built_in().by_id.remove(platform).expect("it is built in");
        let mut platform = Arc::into_inner(shipped).expect("nobody else holds it");
        change(&mut platform);
        let order = Order {
            further: Default::default(),
            target: device.expect("it was started").address,
            platform: Arc::new(platform),
            credentials: vec![Credential {
                username: "admin".to_owned(),
                password: Some(Secret::new("admin123")),
                key: None,
                enable: Some(Secret::new("enable-secret")),
            }],
            jumps: Vec::new(),
            pinned_host_key: None,
            purpose: Purpose::Observe,
            deadline: Duration::from_secs(120),
        };
        let settings = Ssh {
            connect_timeout: Duration::from_secs(20),
            visit_timeout: Duration::from_secs(120),
            output_bytes_max: 1_000_000,
        };
        let report = ssh::prober(settings)(order).await;
        match report.outcome {
            Outcome::Observed(observation) => {
                eprintln!("{system}: {:?}", observation.facts);
                *observation
            }
            other => panic!("{system}: {other:?}"),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks of the facts this one command alone, and under this name: the simulator knows no other.
fn only_command(platform: &mut Platform, index: usize, command: &str) {
    let facts = platform.questions.get_mut(&Question::Facts).expect("it has facts");
    facts.readers = vec![facts.readers.remove(index)];
    facts.commands = vec![command.to_owned()];
}

fn seen(observation: &Observation) -> &Facts {
    match &observation.facts {
        Reading::Seen(facts) => facts,
        other => panic!("expected facts, found {other:?}"),
    }
}

#[tokio::test]
#[ignore = "needs the simulator that tests/lab/prepare installs; ./test runs it with the lab"]
async fn the_systems_of_a_public_simulator_are_visited_and_read() {
    let simulator = Simulator::start(&[
        ("cisco_ios", "sw-ios"),
        ("arista_eos", "sw-eos"),
        ("cisco_xr", "RP/0/RSP0/CPU0:sw-xr"),
        ("dell_force10", "sw-dell"),
        ("hp_procurve", "sw-hp"),
        ("huawei_vrp", "<sw-vrp"),
        ("hp_comware", "<sw-comware"),
        ("extreme_exos", "sw-exos.1 "),
    ]);

    let ios = simulator.visit("cisco_ios", "cisco_ios", |_| ()).await;
    let running = ios.running.seen().expect("its running configuration ends with `end`");
    assert!(running.contains("\nhostname sw-ios\n") && running.ends_with("end\n"), "{running}");
    assert!(!running.contains("sw-ios#") && !running.contains("show running"), "{running}");
    // The transcript lacks the count of entries at its end: whether it is whole is not known.
    assert!(matches!(ios.lldp, Reading::Unreadable { .. }), "{:?}", ios.lldp);

    // Nothing in JSON here: what the simulator does not know is refused, and never empty.
    let eos = simulator.visit("arista_eos", "arista_eos", |_| ()).await;
    assert!(matches!(eos.facts, Reading::Unreadable { .. }), "{:?}", eos.facts);
    assert!(matches!(eos.lldp, Reading::Unreadable { .. }), "{:?}", eos.lldp);

    let xr = simulator
        .visit("cisco_xr", "cisco_iosxr", |platform| only_command(platform, 0, "show version"))
        .await;
    assert_eq!(seen(&xr).software.as_deref(), Some("4.1.0"));

    let dell = simulator
        .visit("dell_force10", "dell_os9", |platform| only_command(platform, 0, "show version"))
        .await;
    assert_eq!(seen(&dell).software.as_deref(), Some("9.9(0.0)"));
    assert_eq!(seen(&dell).model.as_deref(), Some("S4820T"));

    let hp = simulator
        .visit("hp_procurve", "aruba_aosswitch", |platform| {
            only_command(platform, 0, "show system");
        })
        .await;
    let expected = Facts {
        hostname: Some("HP_Procurve-01".to_owned()),
        serials: vec!["AB12CDE3FG".to_owned()],
        model: None,
        software: Some("K.15.06.0017".to_owned()),
    };
    assert_eq!(seen(&hp), &expected);

    let vrp = simulator
        .visit("huawei_vrp", "huawei_vrp", |platform| only_command(platform, 0, "display version"))
        .await;
    let software = seen(&vrp).software.as_deref();
    assert!(software.is_some_and(|software| software.starts_with("8.180")), "{software:?}");

    let comware = simulator
        .visit("hp_comware", "hpe_comware", |platform| {
            only_command(platform, 2, "display device manuinfo");
        })
        .await;
    assert!(!seen(&comware).serials.is_empty(), "{:?}", comware.facts);

    // Its transcripts have neither of the commands of our platform.
    let exos = simulator.visit("extreme_exos", "extreme_exos", |_| ()).await;
    assert!(matches!(exos.facts, Reading::Unreadable { .. }), "{:?}", exos.facts);
}
