//! `docs/adding/platform.md`, followed to the letter: its files are written into an empty
//! directory, its commands are run, and what they print is what the page says. `UPDATE=1` writes it into the
//! page anew.

use std::path::Path;
use std::process::Command;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/adding/platform.md");

/// A line `` `name`: `` gives the block below it a name.
fn named(line: &str) -> Option<&str> {
    line.strip_prefix('`')?.strip_suffix("`:").filter(|name| !name.contains('`'))
}

/// Runs one line in the directory, as somebody types it there: the program is in the path.
fn typed(line: &str, directory: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_greenlight")).parent().unwrap().display();
    let path = format!("{program}:{}", std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{line}")])
        .current_dir(directory)
        .env("PATH", path)
        .env_remove("GREENLIGHT_CONFIG")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_page_on_adding_a_platform_is_true() {
    let directory = tempfile::tempdir().unwrap();
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut found = String::new();
    let mut commands = 0;
    let mut block: Option<(String, Vec<String>)> = None;
    let mut console = false;
    let mut last = String::new();
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut block) {
            (Some("console"), None) => {
                console = true;
                found.push_str("```console\n");
            }
            (Some(""), None) if console => {
                console = false;
                found.push_str("```\n");
            }
            (Some(_), None) => {
                block = Some((last.clone(), Vec::new()));
                found.push_str(&format!("{line}\n"));
            }
            (Some(_), Some((above, lines))) => {
                if let Some(name) = named(above) {
                    let path = directory.path().join(name);
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, format!("{}\n", lines.join("\n"))).unwrap();
                }
                block = None;
                found.push_str(&format!("{line}\n"));
            }
            (None, Some((_, lines))) => {
                lines.push(line.to_owned());
                found.push_str(&format!("{line}\n"));
            }
            (None, None) if console => {
                if let Some(command) = line.strip_prefix("$ ") {
                    commands += 1;
                    found.push_str(&format!("{line}\n{}", typed(command, directory.path())));
                }
            }
            (None, None) => found.push_str(&format!("{line}\n")),
        }
        last = line.to_owned();
    }
    assert!(commands >= 10, "{commands} commands were run");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(PAGE, &found).unwrap();
        return;
    }
    for (number, (says, is)) in page.lines().zip(found.lines()).enumerate() {
        assert_eq!(says, is, "docs/adding/platform.md:{}: UPDATE=1 writes it anew", number + 1);
    }
    assert_eq!(page.lines().count(), found.lines().count(), "it ends otherwise");
}
