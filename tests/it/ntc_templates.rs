//! A directory of ntc-templates as PyPI has it, put in place by `tests/lab/prepare`: platform files
//! name its templates, and read with them what ours read.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `tests/lab/prepare` installs the package.
fn templates() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = root.join("target/lab/ntc-templates/ntc_templates/templates");
    assert!(directory.is_dir(), "ntc-templates are missing; run tests/lab/prepare");
    directory
}

fn written(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The exit status and what was printed.
fn greenlight(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_greenlight"));
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(printed).unwrap())
}

const PLATFORM: &str = "\
title: Cisco IOS by ntc-templates
settle: 30s
must_save: false
cli: {channel: exec, command_timeout: 30s}
questions:
  facts:
    - command: show inventory
      must: [serial]
      read:
        ntc:
          template: cisco_ios_show_inventory.textfsm
          only: {value: NAME, is: '^(?:1|Chassis)$'}
          fields: {serial: [SN], model: [PID]}
  lldp:
    - command: show lldp neighbors detail
      must: [local_port, port_id]
      read:
        ntc:
          template: cisco_ios_show_lldp_neighbors_detail.textfsm
          fields:
            local_port: [LOCAL_INTERFACE]
            system_name: [NEIGHBOR_NAME]
            chassis_id: [CHASSIS_ID]
            port_id: [NEIGHBOR_PORT_ID]
            port_description: [NEIGHBOR_INTERFACE]
";

const INVENTORY: &str = "\
NAME: \"1\", DESCR: \"WS-C2960X-48FPD-L\"
PID: WS-C2960X-48FPD-L , VID: V06  , SN: FOC2048X0AB

NAME: \"Switch 1 - Power Supply 0\", DESCR: \"FEX Power Supply 0\"
PID: PWR-C2-1025WAC    , VID: V02V , SN: LIT20471ABC

";

#[test]
#[ignore = "needs what tests/lab/prepare puts in place; ./test runs it"]
fn platform_files_read_with_the_templates_of_the_package() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let settings = format!("ntc_templates: {}\ntftp: {{}}\n", templates().display());
    written(folder, "greenlight.yaml", &settings);
    written(folder, "p/ntc_ios.yaml", PLATFORM);
    written(folder, "p/ntc_ios/facts/a_switch.raw", INVENTORY);
    let facts = "seen:\n  hostname: null\n  serials: [FOC2048X0AB]\n  model: WS-C2960X-48FPD-L\n  \
                 software: null\n";
    written(folder, "p/ntc_ios/facts/a_switch.yaml", facts);
    let strange = format!("{INVENTORY}Something new\n");
    written(folder, "p/ntc_ios/facts/an_unknown_line.raw", &strange);
    let why = "unreadable:\n  why: \"`show inventory`: line 7 has no place: `Something new`\"\n";
    written(folder, "p/ntc_ios/facts/an_unknown_line.yaml", why);
    // What our own template reads of the same answer is what theirs must.
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/platforms/cisco_ios/lldp");
    let story = |ending: &str| {
        std::fs::read_to_string(ours.join("two_neighbours").with_extension(ending)).unwrap()
    };
    // Their template does not tell how long a neighbour may stay silent.
    let unheard = |line: &str| match line.split_once("last_heard_seconds_ago:") {
        Some((indent, _)) => format!("{indent}last_heard_seconds_ago: null\n"),
        None => format!("{line}\n"),
    };
    let rows: String = story("yaml").lines().map(unheard).collect();
    written(folder, "p/ntc_ios/lldp/two_neighbours.raw", &story("raw"));
    written(folder, "p/ntc_ios/lldp/two_neighbours.yaml", &rows);
    let (passed, printed) =
        greenlight(folder, &["platform", "test", "p", "--config", "greenlight.yaml"]);
    assert!(passed, "{printed}");
}

#[test]
#[ignore = "needs what tests/lab/prepare puts in place; ./test runs it"]
fn the_templates_of_the_package_can_be_named_or_say_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let settings = format!("ntc_templates: {}\ntftp: {{}}\n", templates().display());
    written(folder, "greenlight.yaml", &settings);
    let head = PLATFORM.split("  lldp:").next().unwrap();
    let mut names = 0;
    let entries = std::fs::read_dir(templates()).unwrap();
    let mut all: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    all.retain(|name| name.ends_with(".textfsm"));
    all.sort();
    assert!(all.len() > 900, "{} templates", all.len());
    // Every seventh: each costs a platform file.
    for name in all.iter().step_by(7) {
        let text = head.replace("cisco_ios_show_inventory.textfsm", name);
        let text = text.replace("          only: {value: NAME, is: '^(?:1|Chassis)$'}\n", "");
        let text = text
            .replace("{serial: [SN], model: [PID]}", "{}")
            .replace("must: [serial]", "must: []");
        names += 1;
        written(folder, &format!("p/t{names}.yaml"), &text);
    }
    let (_, printed) =
        greenlight(folder, &["platform", "test", "p", "--config", "greenlight.yaml"]);
    // All were taken if nothing is left to say but that no sample proves them.
    let refused: Vec<&str> = printed.lines().filter(|line| line.contains(".yaml:")).collect();
    let fills = |line: &&str| line.contains("`Fillup` at");
    assert!(names > 100, "{names} templates");
    assert!(refused.iter().all(fills) && refused.len() * 20 < names, "{names}: {refused:#?}");
}
