//! The rows of an answer, and what they must say.

use serde_json::Value;

use super::{Met, Scalar, compares, quote, scalar};
use crate::domain::inventory::expected::{Demand, RowSource, RowTest};
use crate::platform::Platform;
use crate::platform::parse::answer::{Named, ROWS_MAX};

/// One row.
#[derive(Debug)]
pub(super) enum Row {
    Named(Named),
    Json(Value),
}

/// The rows of a text. What cannot be read to its end is an error that says why.
pub(super) fn read(
    source: &RowSource,
    text: &str,
    platform: Option<&Platform>,
) -> Result<Vec<Row>, String> {
    let named = |rows: Vec<Named>| rows.into_iter().map(Row::Named).collect();
    match source {
        RowSource::Template(sheet) => sheet.rows(text).map(named),
        RowSource::Reader(question) => {
            let read = platform.and_then(|platform| platform.rows_of(*question, text));
            let name = question.name();
            read.unwrap_or_else(|| Err(format!("its platform has no reader for {name}"))).map(named)
        }
        RowSource::Json(steps) => {
            let document = serde_json::from_str(text.trim()).map_err(|error| {
                format!("expected JSON ({error}), found {}", quote(text.trim()))
            })?;
            let mut found = vec![document];
            for step in steps {
                found = step_down(found, step)?;
            }
            Ok(found.into_iter().map(Row::Json).collect())
        }
    }
}

fn step_down(places: Vec<Value>, step: &str) -> Result<Vec<Value>, String> {
    let mut next = Vec::new();
    for place in places {
        match (step, place) {
            ("*", Value::Array(list)) => next.extend(list),
            ("*", Value::Object(map)) => next.extend(map.into_iter().map(|(_, value)| value)),
            (step, Value::Object(mut map)) if map.contains_key(step) => {
                next.extend(map.remove(step));
            }
            (step, Value::Array(mut list)) => match step.parse::<usize>() {
                Ok(index) if index < list.len() => next.push(list.swap_remove(index)),
                Ok(_) | Err(_) => return Err(format!("nothing stands at {step}")),
            },
            (step, other) => {
                return Err(format!("expected {step} in {}", quote(&other.to_string())));
            }
        }
        if next.len() > ROWS_MAX {
            return Err(format!("more than {ROWS_MAX} rows"));
        }
    }
    Ok(next)
}

/// Whether the rows say what is demanded. Of no rows nothing is true but their count.
pub(super) fn demanded(demand: &Demand, rows: &[Row]) -> Met {
    match demand {
        Demand::All(_) | Demand::Any(_) if rows.is_empty() => {
            Met::unknown("expected rows, found none")
        }
        Demand::All(tests) => {
            let mut unknown = None;
            for row in rows {
                match passes(row, tests) {
                    Met::Yes => {}
                    Met::No { found } => return Met::No { found },
                    Met::Unknown { why } => unknown = unknown.or(Some(why)),
                }
            }
            unknown.map_or(Met::Yes, |why| Met::Unknown { why })
        }
        Demand::Any(tests) => {
            let mut unknown = None;
            for row in rows {
                match passes(row, tests) {
                    Met::Yes => return Met::Yes,
                    Met::No { .. } => {}
                    Met::Unknown { why } => unknown = unknown.or(Some(why)),
                }
            }
            match unknown {
                Some(why) => Met::Unknown { why },
                None => Met::No { found: format!("none of {} rows", rows.len()) },
            }
        }
        Demand::Count { tests, at_least, at_most } => {
            let (mut passed, mut unknown) = (0, None);
            for row in rows {
                match passes(row, tests) {
                    Met::Yes => passed += 1,
                    Met::No { .. } => {}
                    Met::Unknown { why } => unknown = unknown.or(Some(why)),
                }
            }
            if let Some(why) = unknown {
                return Met::Unknown { why };
            }
            let enough = at_least.is_none_or(|least| passed >= least);
            let few = at_most.is_none_or(|most| passed <= most);
            Met::or(enough && few, || format!("{passed} of {} rows", rows.len()))
        }
    }
}

/// All tests of one row.
fn passes(row: &Row, tests: &[RowTest]) -> Met {
    for test in tests {
        let Some(value) = row.value(&test.field) else {
            return Met::unknown(format!("a row without {}", test.field));
        };
        match compares(&value, &test.comparison) {
            Some(true) => {}
            Some(false) => {
                return Met::No { found: format!("{} is {}", test.field, quote(value.text())) };
            }
            None => {
                let found = quote(value.text());
                return Met::unknown(format!("{} is {found}, which is no number", test.field));
            }
        }
    }
    Met::Yes
}

impl Row {
    fn value(&self, field: &str) -> Option<Scalar<'_>> {
        match self {
            Row::Named(row) => {
                let text = row.get(&field.to_lowercase())?;
                Some(Scalar::Text(text.as_str().into()))
            }
            Row::Json(value) => scalar(value.pointer(&format!("/{field}"))?),
        }
    }
}
