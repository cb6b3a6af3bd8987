//! `*.tera`: tera, strict about undefined names by nature. It has no limit of steps, so `range` is
//! bounded here, and the length of the output by the writer.

use tera::{Context, Error, ErrorKind, Kwargs, State, Tera};

use crate::domain::template::{Bounded, Context as Known, RenderError, network, too_long};

pub struct Engine {
    tera: Tera,
}

/// The longest `range`: more ports or VLANs than any device has.
const RANGE_MAX: i64 = 100_000;

impl Engine {
    pub fn new<'a>(
        sources: impl Iterator<Item = (&'a String, &'a String)>,
        errors: &mut Vec<RenderError>,
    ) -> Self {
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<&str>::new());
        filters(&mut tera);
        tera.register_function("range", range);
        let sources: Vec<_> = sources.collect();
        // All at once, so that templates may include each other; then one by one, to tell which is
        // wrong.
        if tera.add_raw_templates(sources.iter().copied()).is_err() {
            for (name, source) in sources {
                if let Err(error) = tera.add_raw_template(name, source) {
                    errors.push(told(name, &error));
                }
            }
        }
        Self { tera }
    }

    pub fn render(
        &self,
        name: &str,
        context: &Known<'_>,
        output: &mut Bounded,
    ) -> Result<(), RenderError> {
        let context = Context::from_serialize(context).map_err(|error| told(name, &error))?;
        let result = self.tera.render_to(name, &context, &mut *output);
        if output.full {
            return Err(RenderError::whole(name, too_long()));
        }
        result.map_err(|error| told(name, &error))
    }
}

fn told(name: &str, error: &Error) -> RenderError {
    let (template, line, column, message) = match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => (
            report.filename(),
            report.span().start_line,
            report.span().start_col + 1,
            report.message().to_owned(),
        ),
        // A foreign enum that may grow; the rest has no place in a template.
        _ => (name, 0, 0, error.to_string()),
    };
    RenderError {
        template: if template.is_empty() { name } else { template }.to_owned(),
        line: u32::try_from(line).unwrap_or(0),
        column: u32::try_from(column).unwrap_or(0),
        message,
    }
}

fn range(arguments: Kwargs, _: &State) -> Result<Vec<i64>, Error> {
    let start = arguments.get::<i64>("start")?.unwrap_or(0);
    let end = arguments.must_get::<i64>("end")?;
    let step = arguments.get::<i64>("step_by")?.unwrap_or(1).max(1);
    if end.saturating_sub(start) / step > RANGE_MAX {
        return Err(Error::message(format!("a range has at most {RANGE_MAX} numbers")));
    }
    let mut numbers = Vec::new();
    let mut next = start;
    while next < end {
        numbers.push(next);
        next = next.saturating_add(step);
    }
    Ok(numbers)
}

fn filters(tera: &mut Tera) {
    tera.register_filter("ipaddr", |text: &str, arguments: Kwargs, _: &State| {
        let query = arguments.get::<String>("query")?.unwrap_or_default();
        network::ipaddr(text, &query).map_err(Error::message)
    });
    tera.register_filter("ipv4", |text: &str, arguments: Kwargs, _: &State| {
        let query = arguments.get::<String>("query")?.unwrap_or_default();
        network::ipv4(text, &query).map_err(Error::message)
    });
    tera.register_filter("cidr", |text: &str, arguments: Kwargs, _: &State| {
        let mask = arguments.must_get::<String>("mask")?;
        network::cidr(text, &mask).map_err(Error::message)
    });
    for query in network::QUERIES {
        tera.register_filter(query, move |text: &str, _: Kwargs, _: &State| {
            network::ipaddr(text, query).map_err(Error::message)
        });
    }
    tera.register_filter("hosts", |text: &str, _: Kwargs, _: &State| {
        network::hosts(text).map_err(Error::message)
    });
}
