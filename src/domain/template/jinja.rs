//! `*.j2`: minijinja with strict undefined names, a limit of steps, and Python's string methods.

use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
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
        filters(&mut environment);
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

fn filters(environment: &mut Environment<'static>) {
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
