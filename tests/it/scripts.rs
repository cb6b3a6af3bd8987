//! A device that fetches a script first: what it gets by which name, and what it is compared with.

use greenlight::clock::Clock;
use greenlight::domain::compare;
use greenlight::platform::checksum::Kind;
use greenlight::service::serving::{Refusal, Serving};

use crate::digests::{CONFIGURATION, ask, nexus, text};
use crate::service::house_of;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poap_gets_its_script_first_and_its_configuration_by_the_serial() {
    let folder = tempfile::tempdir().unwrap();
    let plan = nexus();
    let house = house_of(folder.path(), plan.clone()).await;
    for (name, address) in [("sw1", "127.7.0.61"), ("sw2", "127.7.0.62")] {
        house.bind(name, address).await;
    }
    let serving =
        Serving::new(plan, house.intake.clone(), house.runs.clone(), Clock::System, false);
    for name in ["sw1.py", "poap.py", "/SW1.PY"] {
        let script = text(&serving, "127.7.0.61", name).await;
        assert!(script.starts_with("#!/bin/env python\n#md5sum="), "{name}: {script}");
    }
    for name in ["conf.FDO12345678", "conf_001122334455.cfg", "/conf/sw1.cfg"] {
        assert_eq!(text(&serving, "127.7.0.61", name).await, CONFIGURATION, "{name}");
    }
    let digest = text(&serving, "127.7.0.61", "conf.FDO12345678.md5").await;
    assert_eq!(digest, format!("{}  conf.FDO12345678\n", Kind::Md5.digest(CONFIGURATION)));
    let only_one_file = text(&serving, "127.7.0.62", "conf.FDO12345679").await;
    assert!(only_one_file.starts_with("#!/bin/env python"), "{only_one_file}");
    let refused = serving.artifacts(vec![ask("127.7.0.61", "image.bin")]).await.remove(0);
    assert!(matches!(refused, Err(Refusal::NotFound { .. })), "{refused:?}");
    house.end().await;
}

#[test]
fn the_configuration_is_compared_with_what_runs_and_not_the_script() {
    let plan = nexus().get();
    let running = include_str!("../platforms/cisco_nxos/running/a_leaf.raw");
    let device = plan.inventory.device("sw1").unwrap();
    let rules = &plan.platforms.by_id["cisco_nxos"].comparison;
    let compared = |planned: &str| compare::configuration(planned, running, rules);
    let difference = compared(&plan.configuration(device).unwrap());
    assert!(difference.is_satisfied() && difference.planned_lines > 4, "{difference:?}");
    assert!(!compared(&plan.first_file(device).unwrap()).is_satisfied());
    let alone = plan.inventory.device("sw2").unwrap();
    assert_eq!(plan.configuration(alone), plan.first_file(alone));
}
