//! `*.j2`: minijinja with strict undefined names, a limit of steps, and Python's string methods.

use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, filters};
use serde_json::{Map, Value as Json};

use crate::domain::template::{
    Context, DeviceContext, RenderError, Scratch, SiteContext, network, too_long,
};

pub struct Engine {
    environment: Environment<'static>,
}

/// Steps of the template machine for one text. A configuration of ten thousand lines takes about
/// 200 000; twice ten times that is reached within a second and then ends with an error.
const FUEL: u64 = 4_000_000;

impl Engine {
    pub fn new<'a>(
        sources: impl Iterator<Item = (&'a String, &'a String)>,
        errors: &mut Vec<RenderError>,
    ) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
        environment.set_syntax(syntax.build().expect("the delimiters are the usual ones"));
        environment.set_fuel(Some(FUEL));
        environment.set_debug(true);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        addresses(&mut environment);
        bounded(&mut environment);
        for (name, source) in sources {
            if let Err(error) = environment.add_template_owned(name.clone(), source.clone()) {
                errors.push(told(name, &error));
            }
        }
        Self { environment }
    }

    pub fn render(
        &self,
        name: &str,
        context: &Context<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), RenderError> {
        let template = self.environment.get_template(name).map_err(|error| told(name, &error))?;
        let Scratch { output, shared } = scratch;
        let result = template.render_captured_to(shared.value(context), &mut *output);
        if output.full {
            return Err(RenderError::whole(name, too_long()));
        }
        result.map_err(|error| told(name, &error))?;
        Ok(())
    }
}

/// The variables that were shared last, as the template machine wants them: neighbours in the plan
/// mostly have the same.
#[derive(Default)]
pub struct Shared {
    of: Arc<Map<String, Json>>,
    values: Vec<(Value, Value)>,
}

impl Shared {
    fn value(&mut self, context: &Context<'_>) -> Value {
        let variables = &context.device.variables;
        let pair = |(name, value): (&String, &Json)| {
            (Value::from(name.as_str()), Value::from(Serde(value)))
        };
        if !Arc::ptr_eq(&self.of, &variables.shared) {
            self.of = Arc::clone(&variables.shared);
            self.values = self.of.iter().map(pair).collect();
        }
        let device = Value::from(Serde(DeviceContext::of(context.device)));
        let site = SiteContext { name: &context.device.site, title: context.site_title };
        let fixed = [
            (Value::from("device"), device),
            (Value::from("site"), Value::from(Serde(site))),
            (Value::from("secrets"), Value::from(Serde(&context.secrets))),
            (Value::from("software"), Value::from(Serde(&context.software))),
        ];
        // The later of two values for one name stays.
        let shared = self.values.iter().cloned();
        Value::from_pairs(shared.chain(variables.own.iter().map(pair)).chain(fixed))
    }
}

fn told(name: &str, error: &Error) -> RenderError {
    let what = match error.kind() {
        ErrorKind::OutOfFuel => {
            format!("the template does not end: it was stopped after {FUEL} steps")
        }
        ErrorKind::UndefinedError => match undefined_name(error) {
            Some(name) => format!("`{name}` is not defined for this device"),
            None => error.to_string(),
        },
        kind => match error.detail() {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    };
    RenderError {
        template: error.name().unwrap_or(name).to_owned(),
        line: error.line().and_then(|line| u32::try_from(line).ok()).unwrap_or(0),
        column: column(error).unwrap_or(0),
        message: what,
    }
}

/// Where in its line the error stands, in characters from 1.
fn column(error: &Error) -> Option<u32> {
    let before = error.template_source()?.get(..error.range()?.start)?;
    let line = before.rsplit('\n').next()?;
    (before.lines().count().max(1) == error.line()? || line.is_empty())
        .then(|| u32::try_from(line.chars().count() + 1).ok())?
}

/// The expression that had no value, cut out of the template.
fn undefined_name(error: &Error) -> Option<&str> {
    error.template_source()?.get(error.range()?).filter(|name| !name.is_empty())
}

/// Wider than any configuration line is indented, and more than a row of anything has.
const WIDTH_MAX: usize = 10_000;

fn too_wide(what: &str, found: usize) -> Error {
    let message = format!("{what} {found} is too much, {WIDTH_MAX} is the most");
    Error::new(ErrorKind::InvalidOperation, message)
}

/// The engine's own filters take any number as a width and build what was asked for: these refuse
/// what no configuration holds.
fn bounded(environment: &mut Environment<'static>) {
    environment.add_filter(
        "indent",
        |text: String, width: Option<usize>, first: Option<bool>, blank: Option<bool>| {
            let width = width.unwrap_or(4);
            if width > WIDTH_MAX {
                return Err(too_wide("an indent of", width));
            }
            Ok(indented(&text, &" ".repeat(width), (first, blank)))
        },
    );
    environment.add_filter(
        "batch",
        |state: &State, list: Value, count: usize, fill: Option<Value>| {
            if count > WIDTH_MAX {
                return Err(too_wide("a batch of", count));
            }
            filters::batch(state, list, count, fill)
        },
    );
    environment.add_filter(
        "slice",
        |state: &State, list: Value, count: usize, fill: Option<Value>| {
            if count > WIDTH_MAX {
                return Err(too_wide("a number of slices of", count));
            }
            filters::slice(state, list, count, fill)
        },
    );
    environment.add_filter(ENGINES_FORMAT, filters::format);
    environment.add_filter("format", |state: &mut State, text: String, values: Rest<Value>| {
        if let Some(width) = widest(&text).filter(|width| *width > WIDTH_MAX) {
            return Err(too_wide("a width of", width));
        }
        let mut arguments = vec![Value::from(text)];
        arguments.extend(values.iter().cloned());
        state.apply_filter(ENGINES_FORMAT, &arguments)
    });
}

/// The engine's own `format`, behind ours. A name that no template can write.
const ENGINES_FORMAT: &str = "format, of the engine";

/// The largest width or precision in a format such as `%-12s`; a `*` takes its width from a value,
/// which cannot be judged beforehand.
fn widest(format: &str) -> Option<usize> {
    if format.contains('*') {
        return Some(usize::MAX);
    }
    let numbers = format.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
    numbers.map(|run| run.parse().unwrap_or(usize::MAX)).max()
}

/// Jinja's `indent`: every line but the first, and no empty one, unless told otherwise.
fn indented(text: &str, margin: &str, (first, blank): (Option<bool>, Option<bool>)) -> String {
    let mut lines = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        let wanted =
            (number > 0 || first.unwrap_or(false)) && (!line.is_empty() || blank.unwrap_or(false));
        lines.push(if wanted { format!("{margin}{line}") } else { line.to_owned() });
    }
    lines.join("\n")
}

fn addresses(environment: &mut Environment<'static>) {
    let wrong = |message: String| Error::new(ErrorKind::InvalidOperation, message);
    environment.add_filter("ipaddr", move |text: String, query: Option<Value>| {
        let query = query.map(|query| query.to_string()).unwrap_or_default();
        network::ipaddr(&text, &query).map_err(wrong)
    });
    environment.add_filter("ipv4", move |text: String, query: Option<Value>| {
        let query = query.map(|query| query.to_string()).unwrap_or_default();
        network::ipv4(&text, &query).map_err(wrong)
    });
    environment.add_filter("cidr", move |address: String, mask: Value| {
        network::cidr(&address, &mask.to_string()).map_err(wrong)
    });
    for query in network::QUERIES {
        environment
            .add_filter(query, move |text: String| network::ipaddr(&text, query).map_err(wrong));
    }
    environment.add_filter("hosts", move |text: String| network::hosts(&text).map_err(wrong));
}
