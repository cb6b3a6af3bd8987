//! What `inventory.yaml` asks for besides cables, as written. The comments here are what editors
//! and `docs/configuration.md` show.

use schemars::JsonSchema;

use crate::complaint::{Complaints, Place};
use crate::written::fields::{self, Fields};
use crate::written::{At, Node, Value};

/// One chassis of a stack: its serial, or its number with its serial.
#[derive(Debug)]
pub struct WrittenMember {
    pub number: Option<At<u32>>,
    pub serial: At<String>,
}

/// How one port must run.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Interface", deny_unknown_fields)]
pub struct WrittenInterface {
    /// As printed on the box.
    pub port: At<String>,
    /// In megabits per second (`1000`), or in gigabits (`10G`).
    #[schemars(with = "Option<String>")]
    pub speed: Option<At<String>>,
    /// `full` or `half`.
    #[schemars(with = "Option<String>")]
    pub duplex: Option<At<String>>,
    /// Whether it must have link.
    pub up: Option<bool>,
    #[schemars(skip)]
    pub place: Place,
}

/// A command, and what its answer must say. All conditions that are written must hold.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Check", deny_unknown_fields)]
pub struct WrittenCheck {
    /// Its name; the check of an inner layer replaces one of the same name.
    pub name: At<String>,
    /// What is typed on the device.
    pub command: At<String>,
    /// One sentence for the network team: what is wrong when it is not met.
    pub says: At<String>,
    /// True: when it is not met, the device is ready with a remark. Default false.
    pub optional: Option<bool>,
    /// True: an empty answer is an answer. Default false.
    pub may_be_empty: Option<bool>,
    /// A text, or several, that must be in the answer.
    #[schemars(with = "Option<Texts>")]
    pub contains: Vec<At<String>>,
    /// A text, or several, that must not be in the answer.
    #[schemars(with = "Option<Texts>")]
    pub absent: Vec<At<String>>,
    /// A regular expression, or several; `^` and `$` are the ends of a line.
    #[schemars(with = "Option<Texts>")]
    pub matches: Vec<At<String>>,
    /// What stands in a JSON answer: `/pointer = value`, one or several. Operators are `=`, `!=`,
    /// `<`, `<=`, `>`, `>=`, `~` and `!~` (regular expressions).
    #[schemars(with = "Option<Texts>")]
    pub json: Vec<At<String>>,
    /// The answer as a table.
    pub rows: Option<WrittenRows>,
    #[schemars(skip)]
    pub place: Place,
}

/// How an answer becomes rows, and what they must say. A test of a row is `field = value`, with
/// the operators of `json`; several tests must all hold.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Rows", deny_unknown_fields)]
pub struct WrittenRows {
    /// A TextFSM template whose states all end in `^. -> Error`.
    pub textfsm: Option<At<String>>,
    /// A path into JSON, `*` for every element: `/peers/*`.
    pub path: Option<At<String>>,
    /// A question of the platform that reads the answer: `lldp`, `cdp` or `interfaces`.
    pub reader: Option<At<String>>,
    /// There are rows, and each of them passes.
    #[schemars(with = "Option<Texts>")]
    pub all: Vec<At<String>>,
    /// At least one row passes.
    #[schemars(with = "Option<Texts>")]
    pub any: Vec<At<String>>,
    /// How many rows pass.
    pub count: Option<WrittenCount>,
    #[schemars(skip)]
    pub place: Place,
}

/// How many rows must pass. Without tests every row counts.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Count", deny_unknown_fields)]
pub struct WrittenCount {
    /// The tests of one row.
    #[schemars(rename = "where", with = "Option<Texts>")]
    pub tests: Vec<At<String>>,
    /// At least so many.
    #[schemars(with = "Option<u32>")]
    pub at_least: Option<At<usize>>,
    /// At most so many.
    #[schemars(with = "Option<u32>")]
    pub at_most: Option<At<usize>>,
    #[schemars(skip)]
    pub place: Place,
}

/// One text or several.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "describes a spelling to editors")]
enum Texts {
    One(String),
    Many(Vec<String>),
}

/// A serial, or a map with a number.
#[derive(JsonSchema)]
#[schemars(rename = "Member", untagged)]
#[expect(dead_code, reason = "describes a spelling to editors")]
enum MemberSpelling {
    Serial(String),
    Numbered { number: u32, serial: String },
}

impl JsonSchema for WrittenMember {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        MemberSpelling::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        MemberSpelling::json_schema(generator)
    }
}

pub fn members(node: &Node<'_>, complaints: &mut Complaints) -> Vec<WrittenMember> {
    let nodes = fields::list(node, "members", complaints);
    nodes.iter().filter_map(|node| member(node, complaints)).collect()
}

fn member(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenMember> {
    if matches!(node.value, Value::Scalar { .. }) {
        let serial = fields::text(node, "members", complaints)?;
        return Some(WrittenMember { number: None, serial });
    }
    let mut fields = Fields::of(node, "member", complaints)?;
    let number = fields.parsed("number", "a number", complaints);
    let serial = fields
        .require("serial", complaints)
        .and_then(|node| fields::text(node, "serial", complaints));
    fields.close(complaints);
    Some(WrittenMember { number, serial: serial? })
}

pub fn interfaces(node: &Node<'_>, complaints: &mut Complaints) -> Vec<WrittenInterface> {
    let nodes = fields::list(node, "interfaces", complaints);
    nodes.iter().filter_map(|node| interface(node, complaints)).collect()
}

fn interface(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenInterface> {
    let mut fields = Fields::of(node, "interface", complaints)?;
    let port =
        fields.require("port", complaints).and_then(|node| fields::text(node, "port", complaints));
    let speed = fields.text("speed", complaints);
    let duplex = fields.text("duplex", complaints);
    let up = fields.boolean("up", complaints);
    fields.close(complaints);
    Some(WrittenInterface { port: port?, speed, duplex, up, place: node.place })
}

pub fn checks(node: &Node<'_>, complaints: &mut Complaints) -> Vec<WrittenCheck> {
    let nodes = fields::list(node, "checks", complaints);
    nodes.iter().filter_map(|node| check(node, complaints)).collect()
}

fn check(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenCheck> {
    let mut fields = Fields::of(node, "check", complaints)?;
    let mut must = |key: &'static str, complaints: &mut Complaints| {
        fields.require(key, complaints).and_then(|node| fields::text(node, key, complaints))
    };
    let name = must("name", complaints);
    let command = must("command", complaints);
    let says = must("says", complaints);
    let optional = fields.boolean("optional", complaints);
    let may_be_empty = fields.boolean("may_be_empty", complaints);
    let contains = fields.texts("contains", complaints);
    let absent = fields.texts("absent", complaints);
    let matches = fields.texts("matches", complaints);
    let json = fields.texts("json", complaints);
    let rows = fields.get("rows").and_then(|node| rows(node, complaints));
    fields.close(complaints);
    Some(WrittenCheck {
        name: name?,
        command: command?,
        says: says?,
        optional,
        may_be_empty,
        contains,
        absent,
        matches,
        json,
        rows,
        place: node.place,
    })
}

fn rows(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenRows> {
    let mut fields = Fields::of(node, "table", complaints)?;
    let rows = WrittenRows {
        textfsm: fields.text("textfsm", complaints),
        path: fields.text("path", complaints),
        reader: fields.text("reader", complaints),
        all: fields.texts("all", complaints),
        any: fields.texts("any", complaints),
        count: fields.get("count").and_then(|node| count(node, complaints)),
        place: node.place,
    };
    fields.close(complaints);
    Some(rows)
}

fn count(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenCount> {
    let mut fields = Fields::of(node, "count", complaints)?;
    let count = WrittenCount {
        tests: fields.texts("where", complaints),
        at_least: fields.parsed("at_least", "a number of rows", complaints),
        at_most: fields.parsed("at_most", "a number of rows", complaints),
        place: node.place,
    };
    fields.close(complaints);
    Some(count)
}
