//! Which words for whom? The languages built into the program, and the operator's files over them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::complaint::Complaint;
use crate::domain::notice::lint::lint;
use crate::domain::notice::words::Words;

/// The languages that are built in: file names and texts.
const BUILT_IN: [(&str, &str); 2] = [
    ("de.yaml", include_str!("../../../configs/words/de.yaml")),
    ("en.yaml", include_str!("../../../configs/words/en.yaml")),
];

/// What is spoken where nothing else is asked for.
pub const USUAL: &str = "en";

/// All languages of this server, by the name of their file without its ending: `en`, `de`.
#[derive(Debug, Clone)]
pub struct Languages {
    by_name: BTreeMap<String, Arc<Words>>,
}

impl Languages {
    pub fn built_in() -> Self {
        Self::with_overlay(&[]).expect("the built-in words are read by a test")
    }

    /// The built-in languages with the operator's files over them: `fr.yaml` adds a language,
    /// `en.yaml` replaces one. Each file is a path and its text; all complaints come together.
    pub fn with_overlay(files: &[(String, String)]) -> Result<Self, Vec<Complaint>> {
        let mut by_name = BTreeMap::new();
        let mut complaints = Vec::new();
        let overlay = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        for (path, text) in BUILT_IN.into_iter().chain(overlay) {
            match Words::parse(text) {
                Ok(words) => {
                    by_name.insert(language(path).to_owned(), Arc::new(words));
                }
                Err(error) => complaints.push(Complaint {
                    file: path.to_owned(),
                    line: error.place().line,
                    column: error.place().column,
                    message: error.to_string(),
                    hint: "configs/words/en.yaml shows what belongs in".to_owned(),
                    excerpt: String::new(),
                }),
            }
        }
        if complaints.is_empty() { Ok(Self { by_name }) } else { Err(complaints) }
    }

    pub fn get(&self, language: &str) -> Option<&Arc<Words>> {
        self.by_name.get(language)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The words of a language that has been checked to exist; otherwise the usual ones.
    pub fn of(&self, language: &str) -> &Words {
        let usual = || self.by_name.get(USUAL).expect("English is built in");
        self.by_name.get(language).unwrap_or_else(usual)
    }
}

/// What the operator's words files say in a way that an installer will not understand at once.
pub fn remarks(files: &[(String, String)]) -> Vec<Complaint> {
    let judged =
        files.iter().filter_map(|(path, text)| Some((path, lint(&Words::parse(text).ok()?))));
    judged
        .flat_map(|(path, found)| {
            found.into_iter().map(move |message| Complaint {
                file: path.clone(),
                line: 0,
                column: 0,
                message,
                hint: "one thing to do, in words that everybody knows".to_owned(),
                excerpt: String::new(),
            })
        })
        .collect()
}

/// `words/fr.yaml` is `fr`.
fn language(path: &str) -> &str {
    let last = path.rsplit('/').next().unwrap_or(path);
    last.strip_suffix(".yaml").unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_languages_are_complete_and_plain() {
        let languages = Languages::built_in();
        assert_eq!(languages.names().collect::<Vec<_>>(), ["de", "en"]);
        for name in languages.names() {
            assert_eq!(lint(languages.of(name)), Vec::<String>::new(), "{name}");
        }
        assert_eq!(languages.of("xx").language, "English");
    }

    #[test]
    fn every_language_says_the_same_in_other_words() {
        let languages = Languages::built_in();
        let english = languages.of(USUAL);
        for name in languages.names().filter(|name| *name != USUAL) {
            for ((entry, ours), (_, theirs)) in
                english.entries().into_iter().zip(languages.of(name).entries())
            {
                // The same fillings, so that nothing known is left unsaid.
                assert_eq!(fillings(ours), fillings(theirs), "{name}: {entry}");
                let same = ours.headline.iter().find(|text| theirs.headline.contains(text));
                let bare = same.is_some_and(|text| text.starts_with('{') && text.ends_with('}'));
                assert!(same.is_none() || bare, "{name}: {entry} is not translated: {same:?}");
            }
        }
    }

    fn fillings(entry: &crate::domain::notice::written::Entry) -> Vec<String> {
        let texts = entry.headline.iter().chain(&entry.body);
        let mut names: Vec<String> = texts
            .flat_map(|text| text.split('{').skip(1))
            .filter_map(|part| Some(part.split_once('}')?.0.to_owned()))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    #[test]
    fn an_operators_file_adds_a_language_or_replaces_one() {
        let french = BUILT_IN[1].1.replace("language: English", "language: Français");
        let overlay =
            [("words/fr.yaml".to_owned(), french.clone()), ("w/en.yaml".to_owned(), french)];
        let languages = Languages::with_overlay(&overlay).unwrap();
        assert_eq!(languages.names().collect::<Vec<_>>(), ["de", "en", "fr"]);
        assert_eq!(languages.of("fr").language, "Français");
        assert_eq!(languages.of("en").language, "Français");
    }

    #[test]
    fn a_broken_file_is_complained_about_where_it_breaks() {
        let broken = BUILT_IN[1].1.replace("  silent:\n", "  sillent:\n");
        let line = broken.lines().position(|line| line == "  sillent:").unwrap() + 1;
        let complaints = Languages::with_overlay(&[("words/en.yaml".to_owned(), broken)]);
        let complaints = complaints.unwrap_err();
        assert_eq!(complaints.len(), 1);
        assert_eq!(complaints[0].line as usize, line, "{}", complaints[0]);
        assert!(complaints[0].message.contains("sillent"), "{}", complaints[0]);
    }

    #[test]
    fn jargon_and_two_things_to_do_are_remarked() {
        let told = BUILT_IN[1]
            .1
            .replace("is silent. Push in", "has no DHCP lease. Push it. Hold")
            .replace("{device}: fixed", "{devise}: fixed");
        let found = remarks(&[("words/en.yaml".to_owned(), told)]);
        let found: String = found.iter().map(|remark| format!("{remark}\n")).collect();
        for wanted in ["`dhcp`", "`lease`", "2 instructions", "`{devise}` is no placeholder"] {
            assert!(found.contains(wanted), "{wanted} in:\n{found}");
        }
    }
}
