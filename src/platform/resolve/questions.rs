//! The questions of a platform file: commands, and how their outputs are read.

use std::collections::BTreeMap;

use textfsm_core::{Template, TemplateError};

use super::Desk;
use crate::platform::observation::PartKind;
use crate::platform::parse::field::Field;
use crate::platform::parse::json::{Path, Rows};
use crate::platform::parse::ntc::{self, Borrowed};
use crate::platform::parse::table::Table;
use crate::platform::parse::{Method, Reader, States, text};
use crate::platform::written::{self, Read, Text};
use crate::platform::{Asked, Complaint, Question};

impl Desk<'_> {
    pub(super) fn questions(&mut self, written: written::Questions) -> BTreeMap<Question, Asked> {
        let all = [
            (Question::Facts, written.facts),
            (Question::Lldp, written.lldp),
            (Question::Cdp, written.cdp),
            (Question::Interfaces, written.interfaces),
            (Question::Environment, written.environment),
            (Question::Running, written.running),
            (Question::Saved, written.saved),
            (Question::Save, written.save),
        ];
        let present =
            all.into_iter().filter_map(|(question, commands)| Some((question, commands?)));
        present.map(|(question, commands)| (question, self.asked(question, commands))).collect()
    }

    fn asked(&mut self, question: Question, written: Vec<written::Command>) -> Asked {
        let mut asked = Asked { commands: Vec::new(), readers: Vec::new() };
        for command in written {
            if let Some(reader) = self.reader(question, &command) {
                asked.commands.push(command.command.value);
                asked.readers.push(reader);
            }
        }
        asked
    }

    fn reader(&mut self, question: Question, written: &written::Command) -> Option<Reader> {
        let method = self.method(question, written)?;
        let link = match (&written.link_up, &written.link_down) {
            (Some(up), Some(down)) => Some((self.regex(up)?, self.regex(down)?)),
            (None, None) if question != Question::Interfaces || written.details => None,
            (up, down) => {
                let at = up.as_ref().or(down.as_ref()).unwrap_or(&written.command);
                self.complain(
                    at,
                    "what a link looks like is half said",
                    "write `link_up` and `link_down`",
                );
                None
            }
        };
        if written.details && question != Question::Interfaces {
            let hint = "leave out `details`";
            self.complain(&written.command, "only interfaces have details", hint);
        }
        let no_answer = written.no_answer.iter();
        Some(Reader {
            no_answer: no_answer
                .filter_map(|said| Some((self.regex(&said.line)?, said.means.clone())))
                .collect(),
            method,
            must: written
                .must
                .iter()
                .filter_map(|name| self.field(question, &name.value, name))
                .collect(),
            hold_seconds: written.hold_seconds,
            link,
            states: self.states(question, written),
            kind: written.kind.map(|kind| match kind {
                written::Kind::Power => PartKind::Power,
                written::Kind::Fan => PartKind::Fan,
                written::Kind::Temperature => PartKind::Temperature,
            }),
            details: written.details,
        })
    }

    fn states(&mut self, question: Question, written: &written::Command) -> Option<States> {
        let asked = question == Question::Environment;
        match (&written.good, &written.bad) {
            (Some(good), Some(bad)) if asked => Some(States {
                good: self.regex(good)?,
                bad: self.regex(bad)?,
                absent: written.absent.as_ref().and_then(|text| self.regex(text)),
            }),
            (None, None) if !asked && written.absent.is_none() => None,
            (good, bad) => {
                let at = good.as_ref().or(bad.as_ref()).unwrap_or(&written.command);
                let hint = "the environment has `good` and `bad`, no other question has";
                self.complain(at, "what a part's state looks like is half said", hint);
                None
            }
        }
    }

    fn method(&mut self, question: Question, written: &written::Command) -> Option<Method> {
        let fits = match (&written.read, question) {
            (Read::Patterns(_) | Read::JsonFields(_), Question::Facts)
            | (
                Read::Textfsm(_) | Read::Ntc(_) | Read::JsonRows(_),
                Question::Facts
                | Question::Lldp
                | Question::Cdp
                | Question::Interfaces
                | Question::Environment,
            )
            | (Read::Text(_), Question::Running | Question::Saved)
            | (Read::Accepted(_), Question::Save) => true,
            (
                Read::Patterns(_)
                | Read::JsonFields(_)
                | Read::Textfsm(_)
                | Read::Ntc(_)
                | Read::JsonRows(_)
                | Read::Text(_)
                | Read::Accepted(_),
                _,
            ) => false,
        };
        if !fits {
            let hint =
                "`running` and `saved` are read as `text`, `save` as `accepted`, lists as rows";
            self.complain(&written.command, "this way to read does not fit the question", hint);
            return None;
        }
        match &written.read {
            Read::Textfsm(table) => self.table(question, table).map(Method::Table),
            Read::Ntc(ntc) => self.borrowed(question, ntc).map(Method::Borrowed),
            Read::JsonRows(rows) => self.rows(question, rows).map(Method::JsonRows),
            Read::JsonFields(fields) => {
                Some(Method::JsonFields(self.fields(question, &written.command, fields)?))
            }
            Read::Patterns(patterns) => {
                for text in patterns {
                    for group in self.regex(text)?.capture_names().flatten() {
                        self.field(question, group, text);
                    }
                }
                Some(Method::Patterns(self.regexes(patterns)))
            }
            Read::Text(rule) => Some(Method::Text(text::Rule {
                absent: rule.absent.as_ref().and_then(|text| self.regex(text)),
                last_line: rule.last_line.as_ref().and_then(|text| self.regex(text)),
                may_be_empty: rule.may_be_empty,
            })),
            Read::Accepted(patterns) => Some(Method::Accepted(self.regexes(patterns))),
        }
    }

    fn table(&mut self, question: Question, written: &written::Table) -> Option<Table> {
        let template = match Template::parse_str(&written.template.value) {
            Ok(template) => template,
            Err(error) => {
                self.template_complaint(&written.template, &error);
                return None;
            }
        };
        let fields = match Table::check(&template) {
            Ok(fields) => fields,
            Err(why) => {
                self.complain(&written.template, why, "a template must place every line");
                return None;
            }
        };
        for field in &fields {
            self.field(question, field.name(), &written.template);
        }
        let count = written.count.as_ref().and_then(|text| self.regex(text));
        let none = written.none.as_ref().and_then(|text| self.regex(text));
        Some(Table { template, fields, count, count_required: written.count_required, none })
    }

    /// A template of somebody else's collection.
    fn borrowed(&mut self, question: Question, written: &written::Ntc) -> Option<Borrowed> {
        let at = &written.template;
        let read = (self.templates)(&at.value).and_then(|text| {
            let template = Template::parse_str(&ntc::sealed(&text));
            let template = template.map_err(|error| format!("`{}`: {error}", at.value))?;
            ntc::check(&template).map(|()| template)
        });
        let template = match read {
            Ok(template) => template,
            Err(why) => {
                self.complain(at, why, "a file of the directory `ntc_templates` is wanted");
                return None;
            }
        };
        let mut fields = Vec::new();
        for (name, values) in &written.fields {
            let field = self.field(question, name, values.first().unwrap_or(at))?;
            let places = values.iter().map(|value| self.value_place(&template, value));
            fields.push((field, places.collect::<Option<Vec<usize>>>()?));
        }
        let only = match &written.only {
            Some(only) => Some((self.value_place(&template, &only.value)?, self.regex(&only.is)?)),
            None => None,
        };
        let none = written.none.as_ref().and_then(|text| self.regex(text));
        let passing = self.regexes(&written.passing);
        Some(Borrowed { template, fields, only, none, passing })
    }

    fn value_place(&mut self, template: &Template, name: &Text) -> Option<usize> {
        let place = ntc::place(template, &name.value);
        if place.is_none() {
            let names: Vec<&str> =
                template.values().iter().map(|value| value.name.as_str()).collect();
            let hint = format!("its values are {}", names.join(", "));
            self.complain(name, format!("the template has no value `{}`", name.value), &hint);
        }
        place
    }

    /// The line of the template is added to the line where the template begins.
    fn template_complaint(&mut self, at: &Text, error: &TemplateError) {
        let inner = match error {
            TemplateError::InvalidValue { line, .. }
            | TemplateError::InvalidRule { line, .. }
            | TemplateError::ContinueWithTransition(line)
            | TemplateError::ExpectedBlankLine(line)
            | TemplateError::InvalidSubstitution { line, .. } => *line,
            TemplateError::NoValues
            | TemplateError::DuplicateValue(_)
            | TemplateError::InvalidRegex { .. }
            | TemplateError::MissingStartState
            | TemplateError::DuplicateState(_)
            | TemplateError::InvalidStateName { .. }
            | TemplateError::UndefinedState(_)
            | TemplateError::NonEmptyEndState
            | TemplateError::NonEmptyEofState
            | TemplateError::UnknownOption(_)
            | TemplateError::DuplicateOption(_) => 0,
        };
        let (line, column) = written::place(at);
        self.complaints.push(Complaint {
            file: self.file.to_owned(),
            line: line + inner as u64,
            column,
            message: error.to_string(),
            hint: "a TextFSM template is wanted".to_owned(),
        });
    }

    fn rows(&mut self, question: Question, written: &written::JsonRows) -> Option<Rows> {
        let at = self.path(&written.at)?;
        for field in at.keyed() {
            self.field(question, field.name(), &written.at);
        }
        let only = match &written.only {
            Some(only) => Some((self.plain(&only.path)?, self.regex(&only.is)?)),
            None => None,
        };
        let count = match &written.count {
            Some(count) => Some(self.plain(count)?),
            None => None,
        };
        let fields = self.fields(question, &written.at, &written.fields)?;
        Some(Rows { at, count, only, fields })
    }

    fn fields(
        &mut self,
        question: Question,
        at: &Text,
        written: &BTreeMap<String, written::Paths>,
    ) -> Option<Vec<(Field, Vec<Path>)>> {
        let mut fields = Vec::new();
        for (name, paths) in written {
            let field = self.field(question, name, paths.first().unwrap_or(at))?;
            let paths = paths.iter().map(|path| self.plain(path)).collect::<Option<Vec<_>>>()?;
            fields.push((field, paths));
        }
        Some(fields)
    }

    fn plain(&mut self, text: &Text) -> Option<Path> {
        let path = self.path(text)?;
        if !path.is_plain() {
            self.complain(text, "this path must lead to one place", "leave out `*` and `{…}` here");
            return None;
        }
        Some(path)
    }

    fn path(&mut self, text: &Text) -> Option<Path> {
        Path::read(&text.value)
            .map_err(|why| self.complain(text, why, "a path is written like `/interfaces/*/name`"))
            .ok()
    }

    fn field(&mut self, question: Question, name: &str, at: &Text) -> Option<Field> {
        let known = Field::of(question);
        let field = Field::named(name).filter(|field| known.contains(field));
        if field.is_none() {
            let names: Vec<&str> = known.iter().map(|field| field.name()).collect();
            let hint = format!("the fields here are {}", names.join(", "));
            self.complain(at, format!("`{name}` is no field of this question"), &hint);
        }
        field
    }
}
