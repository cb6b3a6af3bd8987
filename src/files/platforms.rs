//! Platform files of the operator, and the samples beside them.
//!
//! A directory of platforms holds `<id>.yaml` for each, and may hold what proves it:
//! `<id>/<question>/<story>.raw`, what a device said, and `<story>.yaml`, what must be read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::complaint::{Complaint, Complaints, Place, did_you_mean};
use crate::files::{Loaded, disk};
use crate::platform::{self, Platforms, Question};

/// Platform files: what each is called in complaints, and its text.
pub type Texts = Vec<(String, String)>;

/// The platform files of a directory. Samples are none.
pub fn texts(directory: &Path, complaints: &mut Vec<Complaint>) -> Texts {
    let files = disk::texts(directory, &[".yaml"], complaints).into_iter();
    let named = files.filter(|(name, _)| !is_rows(name));
    named.map(|(name, text)| (disk::name(&directory.join(name)), text)).collect()
}

/// The rows of a sample: `<id>/<question>/<story>.yaml`.
fn is_rows(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    matches!(parts[..], [_, question, _] if self::question(question).is_some())
}

fn question(name: &str) -> Option<Question> {
    Question::ALL.into_iter().find(|question| question.name() == name)
}

/// The built-in platforms with these over them, or everything that is wrong with these. They may
/// name templates of the directory `ntc`.
pub fn over_built_in(texts: &Texts, ntc: Option<&Path>) -> Result<Platforms, Vec<Complaint>> {
    if let Some(directory) = ntc
        && let Err(error) = fs::read_dir(directory)
    {
        let hint = "`ntc_templates` names a directory with files such as \
                    `cisco_ios_show_inventory.textfsm`";
        return Err(vec![disk::complaint(directory, format!("cannot be read: {error}"), hint)]);
    }
    Platforms::with_templates(texts, &|name| template(ntc, name)).map_err(|found| {
        let mut by_file: BTreeMap<String, Complaints> = BTreeMap::new();
        for platform::Complaint { file, line, column, message, hint } in found {
            let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            let place = Place { line: narrow(line), column: narrow(column) };
            let about = by_file.entry(file.clone()).or_insert_with(|| Complaints::about(&file));
            about.at(place, message, hint);
        }
        let text = |file: &str| {
            let found = texts.iter().find(|(name, _)| name == file);
            found.map_or("", |(_, text)| text.as_str())
        };
        by_file.into_iter().flat_map(|(file, about)| about.finish(text(&file))).collect()
    })
}

fn template(ntc: Option<&Path>, name: &str) -> Result<String, String> {
    let Some(directory) = ntc else {
        return Err("`ntc_templates` of the configuration names no directory".to_owned());
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.starts_with('.') || !name.ends_with(".textfsm") || !name.chars().all(plain) {
        return Err(format!("expected a file's name that ends in `.textfsm`, found `{name}`"));
    }
    let path = directory.join(name);
    disk::text(&path, disk::TEXT_BYTES_MAX).map_err(|why| format!("{}: {}", why.file, why.message))
}

/// One raw answer, and what must be read from it.
#[derive(Debug)]
pub struct Sample {
    pub platform: String,
    pub question: Question,
    pub story: String,
    pub raw: String,
    /// Where the rows stand, or would.
    pub rows_file: PathBuf,
    pub rows: Option<String>,
}

/// A directory of platforms with their samples.
#[derive(Debug, Default)]
pub struct Shelf {
    pub texts: Texts,
    /// By platform, question and story.
    pub samples: Vec<Sample>,
}

/// Reads a directory of platforms with their samples. What lies there and belongs to nothing is
/// complained about.
pub fn shelf(directory: &Path, complaints: &mut Vec<Complaint>) -> Shelf {
    let mut shelf = Shelf::default();
    for path in listed(directory, complaints) {
        if path.is_dir() {
            samples_of(&path, &mut shelf.samples, complaints);
        } else if ends_in(&path, "yaml") {
            match disk::text(&path, disk::TEXT_BYTES_MAX) {
                Ok(text) => shelf.texts.push((disk::name(&path), text)),
                Err(why) => complaints.push(why),
            }
        }
    }
    shelf
}

fn samples_of(folder: &Path, samples: &mut Vec<Sample>, complaints: &mut Vec<Complaint>) {
    let platform = last(folder);
    for path in listed(folder, complaints).into_iter().filter(|path| path.is_dir()) {
        let name = last(&path);
        let Some(question) = question(&name) else {
            let names = Question::ALL.map(Question::name);
            let hint = did_you_mean(&name, names, || format!("questions are {}", names.join(", ")));
            complaints.push(disk::complaint(&path, "is no question", hint));
            continue;
        };
        for file in listed(&path, complaints) {
            if ends_in(&file, "raw") {
                let read = sample(&platform, question, &file);
                match read {
                    Ok(sample) => samples.push(sample),
                    Err(why) => complaints.push(why),
                }
            } else if !file.with_extension("raw").exists() {
                let hint = "put what the device said beside it, in a file that ends in `.raw`";
                complaints.push(disk::complaint(&file, "has no raw answer", hint));
            }
        }
    }
}

fn sample(platform: &str, question: Question, file: &Path) -> Result<Sample, Complaint> {
    let rows_file = file.with_extension("yaml");
    let rows = match rows_file.exists() {
        true => Some(disk::text(&rows_file, disk::TEXT_BYTES_MAX)?),
        false => None,
    };
    let raw = disk::text(file, disk::TEXT_BYTES_MAX)?;
    let story = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let story = story.unwrap_or_default();
    Ok(Sample { platform: platform.to_owned(), question, story, raw, rows_file, rows })
}

/// What a directory holds, by name; names that begin with a dot belong to others.
fn listed(directory: &Path, complaints: &mut Vec<Complaint>) -> Vec<PathBuf> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            complaints.push(disk::complaint(directory, format!("cannot be read: {error}"), ""));
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| !last(path).starts_with('.'));
    paths.sort();
    paths
}

fn last(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn ends_in(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

/// What is expected of a device whose platform names no transport.
const VISITED_ALONE: &str = "It asks for no file: its configuration is yours to bring, with an \
    address by DHCP and a login by SSH; once it has the address it is visited and proven.";

/// What cannot be done with the platforms of managed devices: one remark for each limit of each
/// platform, however many devices use it.
pub fn limits(loaded: &Loaded) -> Vec<Complaint> {
    let mut used: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for device in loaded.inventory.devices.iter().filter(|device| device.managed) {
        let (_, count) = used.entry(&device.platform).or_insert((&device.name, 0));
        *count += 1;
    }
    let mut remarks = Vec::new();
    for (id, (device, count)) in used {
        let others = match count {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let platform = loaded.platforms.get(id);
        let limits = platform.map_or(&[][..], |platform| &platform.limits[..]);
        let visited = platform.is_some_and(|platform| platform.transports.is_empty());
        let expected = visited.then_some(VISITED_ALONE);
        for limit in limits.iter().map(String::as_str).chain(expected) {
            let message = format!("`{id}` (device `{device}`{others}): {limit}");
            let hint = format!("`greenlight platform show {id}` tells all of it");
            remarks.push(disk::complaint(&loaded.config.inventory, message, hint));
        }
    }
    remarks
}

/// A complaint about a whole file or directory.
pub fn complaint(path: &Path, message: &str, hint: &str) -> Complaint {
    disk::complaint(path, message, hint)
}

/// Writes the rows of a sample, unless there are some already.
pub fn write_rows(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    fs::File::create_new(file)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    #[test]
    fn samples_beside_a_platform_are_no_platforms() {
        let directory = written(&[
            ("acme_os.yaml", "x"),
            ("acme_os/facts/one.raw", "a"),
            ("acme_os/facts/one.yaml", "seen:\n"),
            ("vendors/other_os.yaml", "y"),
        ]);
        let mut complaints = Vec::new();
        let texts = texts(directory.path(), &mut complaints);
        let ends: Vec<bool> = ["acme_os.yaml", "vendors/other_os.yaml"]
            .iter()
            .zip(&texts)
            .map(|(end, (name, _))| name.ends_with(end))
            .collect();
        assert_eq!((ends, texts.len(), complaints.len()), (vec![true, true], 2, 0));
    }

    #[test]
    fn what_belongs_to_no_sample_is_told() {
        let directory = written(&[
            ("acme_os/fact/one.raw", "a"),
            ("acme_os/lldp/two.yaml", "seen: []\n"),
            ("acme_os/lldp/three.raw", "b"),
        ]);
        let mut complaints = Vec::new();
        let shelf = shelf(directory.path(), &mut complaints);
        let told: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].ends_with("fact: is no question (did you mean `facts`?)"), "{told:?}");
        assert!(told[1].contains("two.yaml: has no raw answer"), "{told:?}");
        let [Sample { question: Question::Lldp, rows: None, story, .. }] = &shelf.samples[..]
        else {
            panic!("{shelf:?}")
        };
        assert_eq!(story, "three");
    }

    #[test]
    fn the_limits_of_a_platform_are_told_once_for_all_its_devices() {
        let inventory = "sites: { zurich: {} }\ndefaults: { template: a.j2, \
            credentials: [{ username: u, password: { env: HOME } }] }\ndevices:\n  \
            - { name: n-1, site: zurich, platform: cisco_nxos, serial: A1 }\n  \
            - { name: n-2, site: zurich, platform: cisco_nxos, serial: A2 }\n  \
            - { name: s-1, site: zurich, platform: sonic, serial: A3, managed: false }\n  \
            - { name: f-1, site: zurich, platform: frr, serial: A4 }\n";
        let directory = written(&[
            ("greenlight.yaml", "tftp: {}\n"),
            ("inventory.yaml", inventory),
            ("templates/a.j2", "hostname {{ device.name }}\n"),
        ]);
        let loaded = crate::files::load(&directory.path().join("greenlight.yaml"));
        let loaded = loaded.unwrap_or_else(|list| panic!("{list:#?}"));
        let told: Vec<String> = limits(&loaded).into_iter().map(|remark| remark.message).collect();
        let nxos = &loaded.platforms.by_id["cisco_nxos"].limits;
        assert_eq!(told.len(), nxos.len(), "{told:?}");
        assert_eq!(told[0], format!("`cisco_nxos` (device `n-1` and 1 more): {}", nxos[0]));
    }

    #[test]
    fn of_a_platform_that_fetches_nothing_it_is_told_what_is_expected() {
        let inventory = "sites: { zurich: {} }\ndefaults: { template: a.j2, \
            credentials: [{ username: u, password: { env: HOME } }] }\ndevices:\n  \
            - { name: m-1, site: zurich, platform: mikrotik_routeros, serial: A1 }\n  \
            - { name: f-1, site: zurich, platform: fortinet_fortios, serial: A2 }\n  \
            - { name: n-1, site: zurich, platform: cisco_nxos, serial: A3 }\n";
        let directory = written(&[
            ("greenlight.yaml", "tftp: {}\n"),
            ("inventory.yaml", inventory),
            ("templates/a.j2", "hostname {{ device.name }}\n"),
        ]);
        let loaded = crate::files::load(&directory.path().join("greenlight.yaml"));
        let loaded = loaded.unwrap_or_else(|list| panic!("{list:#?}"));
        let told: Vec<String> = limits(&loaded).into_iter().map(|remark| remark.message).collect();
        let visited = |device: &str| {
            let of = |line: &&String| line.contains(device) && line.contains(VISITED_ALONE);
            told.iter().filter(of).count()
        };
        assert_eq!([visited("`m-1`"), visited("`f-1`"), visited("`n-1`")], [1, 1, 0], "{told:#?}");
    }

    #[test]
    fn a_template_of_ntc_is_read_by_its_name_or_complained_about_in_its_place() {
        let platform = "title: Acme OS\nsettle: 30s\nmust_save: false\n\
            cli: {channel: exec, command_timeout: 30s}\nquestions:\n  facts:\n    \
            - command: show version\n      read:\n        ntc:\n          \
            template: acme.textfsm\n          fields: {serial: [SN]}\n";
        let template = "Value SN (\\S+)\n\nStart\n  ^Serial ${SN} -> Record\n";
        let directory = written(&[("ntc/acme.textfsm", template)]);
        let (ntc, missing) = (directory.path().join("ntc"), directory.path().join("nothing"));
        let told = |text: String, ntc: Option<&Path>| {
            let told = over_built_in(&vec![("acme_os.yaml".to_owned(), text)], ntc).unwrap_err();
            told[0].to_string().replace(&directory.path().display().to_string(), "")
        };
        let texts = vec![("acme_os.yaml".to_owned(), platform.to_owned())];
        assert!(over_built_in(&texts, Some(&ntc)).is_ok());
        let start = "acme_os.yaml:10:21: ";
        let none = told(platform.to_owned(), None);
        assert!(none.starts_with(&format!("{start}`ntc_templates` of")), "{none}");
        let other = told(platform.replace("acme.textfsm", "acne.textfsm"), Some(&ntc));
        assert!(other.starts_with(&format!("{start}/ntc/acne.textfsm: cannot be read")), "{other}");
        let above = told(platform.replace("acme.textfsm", "../acme.textfsm"), Some(&ntc));
        assert!(above.starts_with(&format!("{start}expected a file's name")), "{above}");
        let value = told(platform.replace("[SN]", "[SERIAL]"), Some(&ntc));
        assert_eq!(
            value,
            "acme_os.yaml:11:29: the template has no value `SERIAL` (its values are SN)"
        );
        let absent = told(platform.to_owned(), Some(&missing));
        assert!(absent.starts_with("/nothing: cannot be read: No such file"), "{absent}");
    }

    #[test]
    fn a_bad_platform_file_is_told_with_its_path_its_place_and_its_line() {
        let directory = written(&[("acme_os.yaml", "title: Acme OS\nsettel: 30s\n")]);
        let mut complaints = Vec::new();
        let shelf = shelf(directory.path(), &mut complaints);
        let told = over_built_in(&shelf.texts, None).unwrap_err();
        assert!(told[0].file.ends_with("/acme_os.yaml"), "{told:?}");
        assert_eq!((told[0].line, told[0].excerpt.as_str()), (2, "settel: 30s"), "{told:?}");
    }
}
