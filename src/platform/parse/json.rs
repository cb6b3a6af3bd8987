//! Structured answers: paths into JSON that give rows.

use std::fmt;

use regex::Regex;
use serde_json::Value;

use crate::platform::parse::{Row, field::Field, quote};

/// Most rows one answer may hold. The largest chassis in service has some 1200 ports.
const ROWS_MAX: usize = 20_000;

/// The longest text that may be noted on the way to a row: each row below has a copy of it. Names
/// of ports stay far below.
const NOTED_BYTES_MAX: usize = 1024;

/// A way into a JSON document: `/lldp/*/interface?/*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A key of an object or an index of an array.
    Key(String),
    /// `key?a,b`: a key of an object whose absence means "none", where nothing but these keys
    /// stands in its stead: a renamed list, or a warning, is no empty list. `key?*`: whatever
    /// stands there.
    Optional { name: String, beside: Beside },
    /// `*`: every element of an array, every value of an object.
    Each,
    /// `+`: every element of an array; anything else stands for itself. Some systems write a list
    /// of one without its brackets.
    OneOrMany,
    /// `{field}`: every value of an object; its key is that field.
    Keyed(Field),
    /// `{field=key}`: stays where it is; what stands there under `key` is that field.
    Noted(Field, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Beside {
    Anything,
    Only(Vec<String>),
}

/// One row for each place that `at` leads to.
#[derive(Debug)]
pub struct Rows {
    pub at: Path,
    /// Where the device says how many rows there are.
    pub count: Option<Path>,
    /// Only rows whose value there matches; others are knowingly left out.
    pub only: Option<(Path, Regex)>,
    pub fields: Vec<(Field, Vec<Path>)>,
}

impl Path {
    /// Reads `/a/*/{local_port}/b?`. The error says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let Some(steps) = text.strip_prefix('/') else {
            return Err(format!("expected a path that begins with `/`, found `{text}`"));
        };
        let step = |step: &str| {
            if step == "*" {
                return Ok(Step::Each);
            }
            if step == "+" {
                return Ok(Step::OneOrMany);
            }
            if let Some(inner) = step.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                let (name, key) = inner.split_once('=').unwrap_or((inner, ""));
                let field = Field::named(name).ok_or_else(|| format!("`{name}` is no field"))?;
                let noted = !key.is_empty();
                return Ok(if noted { Step::Noted(field, key.into()) } else { Step::Keyed(field) });
            }
            let Some((name, beside)) = step.split_once('?') else {
                return Ok(Step::Key(step.to_owned()));
            };
            let keys = beside.split(',').filter(|key| !key.is_empty());
            let beside = match beside {
                "*" => Beside::Anything,
                _ => Beside::Only(keys.map(str::to_owned).collect()),
            };
            Ok(Step::Optional { name: name.to_owned(), beside })
        };
        steps.split('/').map(step).collect::<Result<_, _>>().map(Path)
    }

    /// The fields that the path itself tells.
    pub fn keyed(&self) -> impl Iterator<Item = Field> {
        self.0.iter().filter_map(|step| match step {
            Step::Keyed(field) | Step::Noted(field, _) => Some(*field),
            Step::Key(_) | Step::Optional { .. } | Step::Each | Step::OneOrMany => None,
        })
    }

    /// True if it leads to one place at most.
    pub fn is_plain(&self) -> bool {
        self.0.iter().all(|step| matches!(step, Step::Key(_) | Step::Optional { .. }))
    }

    /// The single place of a plain path.
    fn single<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Key(name) | Step::Optional { name, .. } => child(value, name),
            Step::Each | Step::OneOrMany | Step::Keyed(_) | Step::Noted(..) => None,
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            match step {
                Step::Key(name) => write!(f, "/{name}")?,
                Step::Optional { name, beside: Beside::Anything } => write!(f, "/{name}?*")?,
                Step::Optional { name, beside: Beside::Only(keys) } => {
                    write!(f, "/{name}?{}", keys.join(","))?;
                }
                Step::Each => f.write_str("/*")?,
                Step::OneOrMany => f.write_str("/+")?,
                Step::Keyed(field) => write!(f, "/{{{}}}", field.name())?,
                Step::Noted(field, key) => write!(f, "/{{{}={key}}}", field.name())?,
            }
        }
        Ok(())
    }
}

fn child<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => map.get(name),
        Value::Array(list) => list.get(name.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

impl Rows {
    pub fn read(&self, text: &str) -> Result<Vec<Row>, String> {
        let document = document(text)?;
        let mut places: Vec<(Row, &Value)> = vec![(Row::new(), &document)];
        for step in &self.at.0 {
            let mut next = Vec::new();
            for (row, value) in places {
                enter(step, row, value, &mut next)?;
            }
            places = next;
        }
        self.whole(&document, places.len())?;
        let mut rows = Vec::new();
        for (mut row, value) in places {
            if let Some((path, pattern)) = &self.only {
                let found = path.single(value).and_then(scalar);
                let found = found.ok_or_else(|| format!("a row without `{path}`"))?;
                if !pattern.is_match(&found) {
                    continue;
                }
            }
            fill(&mut row, value, &self.fields);
            rows.push(row);
        }
        Ok(rows)
    }

    /// The count must be there and agree.
    fn whole(&self, document: &Value, rows: usize) -> Result<(), String> {
        let Some(path) = &self.count else { return Ok(()) };
        let stated = path.single(document).and_then(scalar);
        match stated.as_deref().map(|text| text.trim().parse::<usize>()) {
            Some(Ok(count)) if count == rows => Ok(()),
            Some(Ok(count)) => Err(format!("the device counts {count} rows, {rows} were read")),
            Some(Err(_)) | None => Err("the count of rows is missing".to_owned()),
        }
    }
}

fn enter<'v>(
    step: &Step,
    row: Row,
    value: &'v Value,
    next: &mut Vec<(Row, &'v Value)>,
) -> Result<(), String> {
    if next.len() + places(step, value) > ROWS_MAX {
        return Err(format!("more than {ROWS_MAX} rows"));
    }
    match (step, value) {
        (Step::Key(name), _) => match child(value, name) {
            Some(value) => next.push((row, value)),
            None => return Err(format!("expected `{name}` in {}", quote(&value.to_string()))),
        },
        (Step::Optional { name, beside }, _) => match (child(value, name), value) {
            (Some(value), _) => next.push((row, value)),
            (None, Value::Object(map)) if beside.allows(map) => {}
            (None, _) => return Err(format!("expected `{name}` in {}", quote(&value.to_string()))),
        },
        (Step::Each, Value::Array(list)) => {
            next.extend(list.iter().map(|value| (row.clone(), value)));
        }
        (Step::Each, Value::Object(map)) => {
            next.extend(map.values().map(|value| (row.clone(), value)));
        }
        (Step::OneOrMany, Value::Array(list)) => {
            next.extend(list.iter().map(|value| (row.clone(), value)));
        }
        (Step::OneOrMany, value) => next.push((row, value)),
        (Step::Noted(field, key), value) => {
            let noted = child(value, key).and_then(scalar);
            let noted =
                noted.ok_or_else(|| format!("no `{key}` in {}", quote(&value.to_string())))?;
            let mut row = row;
            row.push((*field, short(noted)?));
            next.push((row, value));
        }
        (Step::Keyed(field), Value::Object(map)) => {
            for (key, value) in map {
                let mut row = row.clone();
                row.push((*field, short(key.clone())?));
                next.push((row, value));
            }
        }
        (Step::Each | Step::Keyed(_), other) => {
            return Err(format!("expected a list, found {}", quote(&other.to_string())));
        }
    }
    Ok(())
}

impl Beside {
    fn allows(&self, map: &serde_json::Map<String, Value>) -> bool {
        match self {
            Beside::Anything => true,
            Beside::Only(keys) => map.keys().all(|key| keys.contains(key)),
        }
    }
}

/// How many places a step leads to at most.
fn places(step: &Step, value: &Value) -> usize {
    match (step, value) {
        (Step::Key(_) | Step::Optional { .. } | Step::Noted(..), _) => 1,
        (Step::Each | Step::OneOrMany, Value::Array(list)) => list.len(),
        (Step::Each | Step::Keyed(_), Value::Object(map)) => map.len(),
        (Step::Each | Step::OneOrMany | Step::Keyed(_), _) => 1,
    }
}

fn short(text: String) -> Result<String, String> {
    if text.len() > NOTED_BYTES_MAX {
        let found = text.len();
        return Err(format!("expected a name of at most {NOTED_BYTES_MAX} bytes, found {found}"));
    }
    Ok(text)
}

/// One row from one document.
pub fn fields(text: &str, fields: &[(Field, Vec<Path>)]) -> Result<Row, String> {
    let mut row = Row::new();
    fill(&mut row, &document(text)?, fields);
    Ok(row)
}

fn fill(row: &mut Row, value: &Value, fields: &[(Field, Vec<Path>)]) {
    for (field, paths) in fields {
        let mut texts = paths.iter().filter_map(|path| path.single(value).and_then(scalar));
        let found = texts.find(|text| !text.trim().is_empty());
        row.extend(found.map(|text| (*field, text)));
    }
}

/// A value as text; a list of words is joined by spaces.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Array(list) => {
            let words: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            words.map(|words| words.join(" "))
        }
        Value::Null | Value::Object(_) => None,
    }
}

fn document(text: &str) -> Result<Value, String> {
    serde_json::from_str(text.trim())
        .map_err(|error| format!("expected JSON ({error}), found {}", quote(text.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(at: &str, count: Option<&str>, text: &str) -> Result<Vec<Row>, String> {
        let path = |text: &str| Path::read(text).unwrap();
        let fields = vec![(Field::PortId, vec![path("/id")])];
        Rows { at: path(at), count: count.map(path), only: None, fields }.read(text)
    }

    fn port(id: &str) -> Row {
        vec![(Field::PortId, id.to_owned())]
    }

    #[test]
    fn a_list_of_one_may_come_without_its_brackets() {
        let one = rows("/rows/+", None, r#"{"rows": {"id": "a"}}"#).unwrap();
        assert_eq!(one, [port("a")]);
        let two = rows("/rows/+", None, r#"{"rows": [{"id": "a"}, {"id": "b"}]}"#).unwrap();
        assert_eq!(two, [port("a"), port("b")]);
    }

    #[test]
    fn a_path_is_printed_as_it_was_written() {
        for text in [
            "/lldp/*/interface?/+",
            "/a?b,c/*",
            "/a?*/*",
            "/a/{local_port}/b",
            "/a/{local_port=name}/0",
        ] {
            assert_eq!(Path::read(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_absent_list_is_empty_where_nothing_stands_in_its_stead() {
        for (at, text, empty) in [
            ("/rows?/*", "{}", true),
            ("/rows?/*", r#"{"Rows": [{"id": "a"}]}"#, false),
            ("/rows?about/*", r#"{"about": 1}"#, true),
            ("/rows?about/*", r#"{"about": 1, "warning": "off"}"#, false),
            ("/rows?*/*", r#"{"warning": "off"}"#, true),
            ("/rows?*/*", "[]", false),
        ] {
            assert_eq!(rows(at, None, text).ok(), empty.then(Vec::new), "{at} {text}");
        }
    }

    #[test]
    fn a_count_must_be_there_and_agree() {
        let counted = |text: &str| rows("/rows?count/+", Some("/count"), text);
        assert_eq!(counted(r#"{"count": "0"}"#).unwrap(), Vec::<Row>::new());
        assert_eq!(counted(r#"{"count": 1, "rows": {"id": "a"}}"#).unwrap(), [port("a")]);
        assert!(counted(r#"{"count": "2", "rows": {"id": "a"}}"#).unwrap_err().contains("2 rows"));
        assert!(counted(r#"{"rows": {"id": "a"}}"#).unwrap_err().contains("missing"));
        assert!(counted(r#"{"count": "some", "rows": []}"#).unwrap_err().contains("missing"));
    }

    #[test]
    fn a_long_name_is_not_copied_for_a_million_rows() {
        let many = format!("[{}1]", "1,".repeat(ROWS_MAX));
        let why = rows("/*/*", None, &format!("[{many}]")).unwrap_err();
        assert_eq!(why, "more than 20000 rows");
        let long = "x".repeat(NOTED_BYTES_MAX + 1);
        let told = "expected a name of at most 1024 bytes, found 1025";
        let keyed = rows("/{local_port}/*", None, &format!(r#"{{"{long}": [1]}}"#));
        assert_eq!(keyed.unwrap_err(), told);
        let noted = rows("/{local_port=n}/r/*", None, &format!(r#"{{"n": "{long}", "r": [1]}}"#));
        assert_eq!(noted.unwrap_err(), told);
    }

    #[test]
    fn what_is_noted_on_the_way_belongs_to_every_row_below() {
        let text = r#"[{"name": "e1", "far": [{"id": "a"}, {"id": "b"}]}, {"name": "e2"}]"#;
        let found = rows("/*/{local_port=name}/far?name/*", None, text).unwrap();
        let local = (Field::LocalPort, "e1".to_owned());
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|row| row.contains(&local)), "{found:?}");
        assert!(rows("/*/{local_port=nom}/far?name/*", None, text).unwrap_err().contains("nom"));
    }
}
