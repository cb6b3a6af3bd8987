//! Reads from disk what the operator wrote, checks all of it together, and hands it over as meant.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use crate::complaint::{Complaint, Complaints};
use crate::config::meant::Config;
use crate::config::resolve::configure;
use crate::domain::inventory::meant::Inventory;
use crate::domain::inventory::parts;
use crate::domain::inventory::resolve::{Known, Planned, plan, plan_read};
use crate::domain::inventory::written::WrittenInventory;
use crate::domain::notice::{self, Languages};
use crate::domain::template::Renderer;
use crate::platform::Platforms;
use crate::written::{At, SYNTAX_HINT, shown};

mod check;
mod command;
mod disk;
mod endless;
pub mod images;
pub mod platforms;
mod secrets;

pub use secrets::{Secrets, secret};

/// Everything a server needs to begin.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub inventory: Arc<Inventory>,
    pub platforms: Arc<Platforms>,
    pub languages: Arc<Languages>,
    /// Holds the secrets of the templates, as far as they could be read.
    pub renderer: Arc<Renderer>,
    /// What is no mistake in the files and still deserves a look: secrets that cannot be read here.
    pub remarks: Vec<Complaint>,
}

/// Reads the configuration alone: for whoever only needs to know where the server is.
pub fn configuration(config_path: &Path) -> Result<Config, Vec<Complaint>> {
    let text = disk::text(config_path, disk::CONFIGURATION_BYTES_MAX).map_err(|why| vec![why])?;
    let directory = config_path.parent().unwrap_or(Path::new(""));
    let (config, complaints) = configure(&disk::name(config_path), &text, directory);
    if complaints.is_empty() { Ok(config) } else { Err(complaints) }
}

/// Reads the configuration and all that it names, and renders every device once. All complaints
/// about all files come together.
pub fn load(config_path: &Path) -> Result<Loaded, Vec<Complaint>> {
    let text = disk::text(config_path, disk::CONFIGURATION_BYTES_MAX).map_err(|why| vec![why])?;
    let directory = config_path.parent().unwrap_or(Path::new(""));
    let (config, mut complaints) = configure(&disk::name(config_path), &text, directory);
    if complaints.iter().any(|complaint| complaint.hint == SYNTAX_HINT) {
        // What else would be said follows from settings that could not be read.
        return Err(complaints);
    }
    let platforms = platforms(&config, &mut complaints);
    let words = Spoken::read(&config, &disk::name(config_path), &mut complaints);
    let sources = disk::texts(&config.templates, TEMPLATES, &mut complaints);
    let (renderer, errors) = Renderer::new(&sources);
    for error in &errors {
        complaints.push(check::complaint(&config.templates, &sources, error, String::new()));
    }
    let Planned { inventory, secrets, incomplete, entered } =
        match disk::text(&config.inventory, disk::INVENTORY_BYTES_MAX) {
            Err(why) => {
                complaints.push(why);
                return Err(complaints);
            }
            Ok(text) => {
                let known = Known {
                    platforms: &platforms.by_id.keys().cloned().collect::<BTreeSet<_>>(),
                    languages: &words.languages.names().map(str::to_owned).collect(),
                    templates: renderer.names(),
                    canonical_port: &|platform, port| match platforms.get(platform) {
                        Some(platform) => platform.canonical_port(port),
                        None => port.to_owned(),
                    },
                    directory: config.inventory.parent().unwrap_or(Path::new("")),
                };
                let name = disk::name(&config.inventory);
                let (planned, found) = match side_by_side(&text) {
                    Some(written) => plan_read(&name, &text, &written, &known),
                    None => plan(&name, &text, &known),
                };
                complaints.extend(found);
                planned
            }
        };
    let mut fetched = secrets::Fetched::default();
    let images = config.images.as_ref().and_then(|_| config.reach(None).best().map(str::to_owned));
    let renderer = renderer.with_secrets(fetched.all(secrets)).with_images(images);
    let renderer = Arc::new(renderer);
    let inventory = Arc::new(inventory);
    let mut broken: HashSet<String> = errors.into_iter().map(|error| error.template).collect();
    for (template, device) in endless::templates(&renderer, &inventory) {
        let hint = format!("tried for device `{device}`; look at its loops");
        let path = config.templates.join(&template);
        complaints.push(disk::complaint(&path, "the template does not end", hint));
        broken.insert(template);
    }
    let renders = check::Renders { renderer: &renderer, inventory: &inventory, incomplete, broken };
    complaints.extend(renders.complaints(&config.templates, &sources));
    complaints.extend(check::outside_pools(&config, &inventory));
    complaints.extend(check::our_own_addresses(&config, &inventory));
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let mut remarks = fetched.remarks(&config, &inventory);
    remarks.extend(words.remarks);
    remarks.extend(check::not_asked(&config, (&inventory, &entered), &platforms));
    let languages = Arc::new(words.languages);
    Ok(Loaded { config, inventory, platforms: Arc::new(platforms), languages, renderer, remarks })
}

/// Reads a long inventory on all processors; `None` if it has to be read whole.
fn side_by_side(text: &str) -> Option<WrittenInventory> {
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get());
    let count = threads.min(text.len() / PART_BYTES_MIN);
    if count < 2 {
        return None;
    }
    let cut = parts::cut(text, count)?;
    thread::scope(|scope| {
        let readers: Vec<_> =
            cut.parts.iter().map(|part| scope.spawn(move || part.read())).collect();
        cut.join(readers.into_iter().map(|reader| reader.join().expect("reading does not panic")))
    })
}

/// A shorter text is not worth a thread.
const PART_BYTES_MIN: usize = 128 << 10;

/// The endings of templates.
#[cfg(feature = "tera")]
const TEMPLATES: &[&str] = &[".j2", ".tera"];
#[cfg(not(feature = "tera"))]
const TEMPLATES: &[&str] = &[".j2"];

/// The operator's files of a directory, by their whole paths.
fn overlay(directory: Option<&Path>, complaints: &mut Vec<Complaint>) -> Vec<(String, String)> {
    let Some(directory) = directory else { return Vec::new() };
    let files = disk::texts(directory, &[".yaml"], complaints);
    files.into_iter().map(|(name, text)| (disk::name(&directory.join(name)), text)).collect()
}

/// The built-in platforms, and the operator's directory over them.
fn platforms(config: &Config, complaints: &mut Vec<Complaint>) -> Platforms {
    let directory = config.platforms.as_deref();
    let texts = directory.map(|path| platforms::texts(path, complaints)).unwrap_or_default();
    platforms::over_built_in(&texts, config.ntc_templates.as_deref()).unwrap_or_else(|found| {
        complaints.extend(found);
        Platforms::built_in()
    })
}

/// The platforms of this configuration.
pub fn platforms_of(config: &Config) -> Result<Platforms, Vec<Complaint>> {
    let mut complaints = Vec::new();
    let platforms = platforms(config, &mut complaints);
    if complaints.is_empty() { Ok(platforms) } else { Err(complaints) }
}

/// The languages, and what there is to say about the operator's words.
struct Spoken {
    languages: Languages,
    remarks: Vec<Complaint>,
}

impl Spoken {
    fn read(config: &Config, config_name: &str, complaints: &mut Vec<Complaint>) -> Self {
        let files = overlay(config.words.as_deref(), complaints);
        let languages = Languages::with_overlay(&files).unwrap_or_else(|found| {
            complaints.extend(found);
            Languages::built_in()
        });
        let At { value, place } = &config.language;
        if languages.get(value).is_none() {
            let mut about = Complaints::about(config_name);
            let names: Vec<&str> = languages.names().collect();
            let message = format!("there are no words for the language `{}`", shown(value));
            about.at(*place, message, format!("known are {}", names.join(", ")));
            complaints.extend(about.finish(""));
        }
        Self { languages, remarks: notice::remarks(&files) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::domain::inventory::meant::SecretSource;

    /// A directory with these files; `greenlight.yaml` is the one to load.
    fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    fn told(directory: &tempfile::TempDir) -> String {
        let complaints = match load(&directory.path().join("greenlight.yaml")) {
            Ok(_) => Vec::new(),
            Err(complaints) => complaints,
        };
        let base = format!("{}/", directory.path().display());
        complaints
            .iter()
            .map(|complaint| format!("{complaint}\n"))
            .collect::<String>()
            .replace(&base, "")
    }

    const INVENTORY: &str = "\
defaults:
  credentials: [{ username: u, password: { env: GREENLIGHT_NO_SUCH_SECRET } }]
  secrets: { password: { file: password } }
sites: { zurich: {} }
groups: { access: { platform: frr, template: a.j2 } }
devices:
  - { name: a-1, site: zurich, group: access, serial: A1 }
  - { name: a-2, site: zurich, group: access, serial: A2 }
";

    #[test]
    fn a_sound_directory_is_loaded_and_its_secrets_are_fetched() {
        let directory = written(&[
            ("greenlight.yaml", "tftp: {}\n"),
            ("inventory.yaml", INVENTORY),
            ("password", "hunter2\r\n"),
            ("templates/a.j2", "{{ secrets.password }}{% include 'parts/end.j2' %}"),
            ("templates/parts/end.j2", " end {{ device.name }}"),
        ]);
        let loaded = load(&directory.path().join("greenlight.yaml")).unwrap();
        let device = loaded.inventory.device("a-2").unwrap();
        assert_eq!(loaded.renderer.render(device, &loaded.inventory).unwrap(), "hunter2 end a-2");
        let remarks: Vec<&str> =
            loaded.remarks.iter().map(|remark| remark.message.as_str()).collect();
        assert_eq!(remarks, ["the environment variable GREENLIGHT_NO_SUCH_SECRET is not set"]);
    }

    #[test]
    fn a_configuration_behind_a_script_is_checked_and_rendered_beside_it() {
        let inventory = INVENTORY
            .replace(
                "platform: frr, template: a.j2",
                "platform: frr, template: a.j2, configuration: b.j2",
            )
            .replace("serial: A2", "serial: A2, configuration: a.j2");
        let mut files = vec![
            ("greenlight.yaml", "tftp: {}\n"),
            ("inventory.yaml", inventory.as_str()),
            ("password", "hunter2\n"),
            ("templates/a.j2", "#!/bin/sh\n"),
            ("templates/b.j2", "hostname {{ device.name }}"),
        ];
        let directory = written(&files);
        let loaded = load(&directory.path().join("greenlight.yaml")).unwrap();
        let rendered = |name: &str| {
            let device = loaded.inventory.device(name).unwrap();
            assert_eq!(loaded.renderer.render(device, &loaded.inventory).unwrap(), "#!/bin/sh\n");
            loaded.renderer.render(&device.configured(), &loaded.inventory).unwrap()
        };
        assert_eq!(rendered("a-1"), "hostname a-1");
        assert_eq!(rendered("a-2"), "#!/bin/sh\n", "the same file is no configuration of its own");
        files[4].1 = "{{ nothing }}";
        let complained = told(&written(&files));
        assert!(
            complained.contains("b.j2:1:4: ")
                && complained.contains("see `greenlight render a-1 --configuration`"),
            "{complained}"
        );
        let lost = inventory.replace("configuration: b.j2", "configuration: c.j2");
        files[1].1 = lost.as_str();
        let complained = told(&written(&files));
        assert!(complained.contains("there is no template `c.j2`"), "{complained}");
    }

    #[test]
    fn complaints_about_all_files_come_together() {
        let directory = written(&[
            (
                "greenlight.yaml",
                "tftp: { tiemout: 2s }\n\
              dhcp: { server_address: 192.0.2.2, pools: [{ subnet: 192.0.2.0/24 }] }\n",
            ),
            ("inventory.yaml", &INVENTORY.replace("serial: A2", "mac: x, address: 198.51.100.1")),
            ("templates/a.j2", "hostname {{ device.name }}\n  {{ nothing }}\n"),
            ("templates/b.tera", "{% if %}\n"),
        ]);
        let told = told(&directory);
        let starts = [
            "greenlight.yaml:1:9: this tftp section has no setting `tiemout` (did you mean \
             `timeout`?)",
            "templates/b.tera:1:7: ",
            "inventory.yaml:8:52: expected a MAC address",
            "templates/a.j2:2:6: `nothing` is not defined for this device (met by device `a-1` \
             and 1 more; see `greenlight render a-1`)",
            "inventory.yaml:8:5: the address 198.51.100.1 of `a-2` lies in no pool",
        ];
        assert_eq!(told.lines().count(), starts.len(), "{told}");
        for (line, start) in told.lines().zip(starts) {
            assert!(line.starts_with(start), "{line}\n{start}");
        }
    }

    #[test]
    fn what_is_no_yaml_is_told_without_what_follows_from_it() {
        let directory = written(&[("greenlight.yaml", "inventory: plan.yaml\ndhcp: {\n")]);
        let told = told(&directory);
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains("this is not YAML"), "{told}");
    }

    #[test]
    fn a_device_in_service_that_was_to_be_asked_and_cannot_be_is_remarked() {
        let remarks = |lines: &str| {
            let inventory = INVENTORY.replace(
                "groups: {",
                "groups: { core: { managed: false, \
                 credentials: [{ username: r, password: { file: password } }] },",
            );
            let directory = written(&[
                ("greenlight.yaml", "tftp: {}\n"),
                ("inventory.yaml", &format!("{inventory}{lines}")),
                ("password", "x"),
                ("templates/a.j2", "x"),
            ]);
            let loaded = load(&directory.path().join("greenlight.yaml"));
            let loaded = loaded.unwrap_or_else(|found| panic!("{found:#?}"));
            let told = loaded.remarks.iter().map(|remark| remark.message.clone());
            told.filter(|message| message.contains("whom it hears")).collect::<Vec<_>>()
        };
        let cabled = "  - { name: a-3, site: zurich, group: access, serial: A3, \
                      neighbours: ['swp1 -> d-1, swp1'] }\n";
        let upstream =
            |rest: &str| format!("{cabled}  - {{ name: d-1, site: zurich, group: core{rest} }}\n");
        let none: [&str; 0] = [];
        assert_eq!(remarks(&upstream(", platform: frr, address: 192.0.2.9")), none);
        let why =
            |why: &str| format!("`d-1` has credentials and is not asked whom it hears: {why}");
        assert_eq!(remarks(&upstream(", platform: frr")), [why("it has no address")]);
        assert_eq!(
            remarks(&upstream(", platform: onie, address: 192.0.2.9")),
            [why("its platform has no question for neighbours")]
        );
        // Nobody asked for it: the login is that of all devices, or it is nobody's upstream.
        let plain = "  - { name: d-1, site: zurich, platform: frr, managed: false }\n";
        assert_eq!(remarks(&format!("{cabled}{plain}")), none);
        assert_eq!(remarks(&upstream(", credentials: []")), none);
        assert_eq!(remarks("  - { name: d-1, site: zurich, group: core }\n"), none);
    }

    #[test]
    fn no_device_is_planned_at_the_server_s_own_address() {
        let directory = written(&[
            (
                "greenlight.yaml",
                "dhcp: { server_address: 192.0.2.2, pools: [{ subnet: 192.0.2.0/24 }] }\n",
            ),
            ("inventory.yaml", &INVENTORY.replace("serial: A2", "serial: A2, address: 192.0.2.2")),
            ("templates/a.j2", "x"),
        ]);
        assert_eq!(
            told(&directory),
            "inventory.yaml:8:5: `a-2` has our own address 192.0.2.2 (mend it here, or \
             `dhcp.server_address` of the configuration)\n"
        );
    }

    #[test]
    fn a_language_needs_words_and_its_words_are_judged() {
        let german = include_str!("../../configs/words/de.yaml");
        let fine = [
            ("greenlight.yaml", "language: at\nwords: words\n"),
            ("inventory.yaml", &INVENTORY.replace("zurich: {", "zurich: { language: de ")),
            ("templates/a.j2", "hostname {{ device.name }}\n"),
            ("words/at.yaml", &german.replace("ist stumm.", "hat keine Lease.")),
        ];
        let loaded = load(&written(&fine).path().join("greenlight.yaml")).unwrap();
        assert_eq!(loaded.languages.names().collect::<Vec<_>>(), ["at", "de", "en"]);
        let remarks: Vec<String> = loaded.remarks.iter().map(ToString::to_string).collect();
        assert!(
            remarks.iter().any(|line| line.contains("at.yaml: faults.Silent: `lease`")),
            "{remarks:?}"
        );
        let broken = [
            ("greenlight.yaml", "language: fr\nwords: words\n"),
            ("inventory.yaml", &INVENTORY.replace("zurich: {", "zurich: { language: xx ")),
            ("templates/a.j2", "hostname {{ device.name }}\n"),
            ("words/at.yaml", &german.replace("  silent:", "  silence:")),
        ];
        let told = told(&written(&broken));
        for wanted in [
            "greenlight.yaml:1:11: there are no words for the language `fr` (known are de, en)",
            "words/at.yaml:",
            "inventory.yaml:4:30: ",
            "no words for the language `xx`",
        ] {
            assert!(told.contains(wanted), "{wanted}\n{told}");
        }
    }

    #[cfg(feature = "tera")]
    #[test]
    fn a_tera_template_that_does_not_end_is_a_complaint_and_holds_nobody_up() {
        let loops = "{% for a in range(end=99999) %}{% for b in range(end=99999) %}\
             {%- if b < 0 %}x{% endif -%}{% endfor %}{% endfor %}";
        let directory = written(&[
            ("greenlight.yaml", "tftp: {}\n"),
            ("inventory.yaml", &INVENTORY.replace("a.j2", "a.tera")),
            ("templates/a.tera", loops),
        ]);
        let told = told(&directory);
        assert!(
            told.contains("a.tera: the template does not end (tried for device `a-1`"),
            "{told}"
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_name() {
        let directory = written(&[]);
        assert!(told(&directory).starts_with("greenlight.yaml: cannot be read: "));
        let directory = written(&[("greenlight.yaml", "platforms: nowhere\n")]);
        let told = told(&directory);
        for file in ["nowhere: ", "templates: ", "inventory.yaml: "] {
            assert!(told.contains(file), "{told}");
        }
    }

    #[test]
    fn text_that_is_not_utf_8_is_told_with_its_line() {
        let directory = written(&[("greenlight.yaml", "tftp: {}\n")]);
        fs::write(directory.path().join("greenlight.yaml"), b"a: 1\nb: \xff\n").unwrap();
        assert!(told(&directory).starts_with("greenlight.yaml:2:1: is not UTF-8 text"));
    }

    #[test]
    fn the_shipped_files_pass_and_their_plan_is_told_from_both_ends() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/greenlight.yaml");
        let loaded = load(&path).unwrap_or_else(|list| panic!("{list:#?}"));
        let distribution = loaded.inventory.device("zrh-dist-1").unwrap();
        assert_eq!(distribution.neighbours.len(), 2);
        for name in ["zrh-access-1", "zrh-access-2", "brn-edge-1"] {
            let device = loaded.inventory.device(name).unwrap();
            let text = loaded.renderer.render_masked(device, &loaded.inventory).unwrap();
            assert!(text.starts_with("hostname ") || text.starts_with("frr defaults"), "{text}");
            for cable in &device.neighbours {
                assert!(text.contains(&format!("interface {}\n", cable.local_port)));
                assert!(text.contains(&format!("description {} {}\n", cable.device, cable.port)));
            }
        }
    }

    #[test]
    fn a_file_is_called_by_its_shortest_name_unless_that_is_another_file() {
        let directory = written(&[("a/x", ""), ("y", "")]);
        let base = directory.path().display().to_string();
        let name = |path: &str| disk::name(&directory.path().join(path)).replace(&base, "");
        assert_eq!(name("a/../y"), "/y");
        assert_eq!(name("a/../z"), "/a/../z");
        fs::create_dir_all(directory.path().join("b/c")).unwrap();
        fs::write(directory.path().join("b/y"), "").unwrap();
        std::os::unix::fs::symlink("b/c", directory.path().join("link")).unwrap();
        assert_eq!(name("link/../y"), "/link/../y");
    }

    #[test]
    fn a_secret_is_read_without_its_line_end_and_never_told() {
        let directory = written(&[("one", "hunter2\n"), ("none", "\n")]);
        let file = |name: &str| {
            secret(&SecretSource::File(directory.path().join(name).display().to_string()))
        };
        assert_eq!(file("one").unwrap().expose(), "hunter2");
        assert!(file("none").unwrap_err().ends_with("none is empty"));
        assert!(file("absent").unwrap_err().contains("cannot be read"));
    }
}
