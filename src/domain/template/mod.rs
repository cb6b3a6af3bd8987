//! Templates: `*.j2` by minijinja, `*.tera` by tera, behind one renderer. From a device of the plan
//! to the text it is served. No file is opened and no secret is fetched here: both are handed in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::address::Mac;
use crate::domain::inventory::meant::{Device, Inventory, PlannedNeighbour};
use crate::secret::Secret;

mod jinja;
mod network;
#[cfg(feature = "tera")]
mod tera;

/// All templates, compiled; shared by threads.
pub struct Renderer {
    jinja: jinja::Engine,
    #[cfg(feature = "tera")]
    tera: tera::Engine,
    names: BTreeSet<String>,
    secrets: HashMap<String, Arc<ResolvedSecrets>>,
    /// What stands before an image's name to fetch it.
    images: Option<String>,
}

/// The secrets of one device's template by name: each fetched, or the reason why it could not be.
pub type ResolvedSecrets = BTreeMap<String, Result<Secret, String>>;

/// A template that cannot be compiled, or not be rendered for a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RenderError {
    /// Its file name below the template directory; empty if the device has none.
    pub template: String,
    /// From 1; 0 where the engine tells no line.
    pub line: u32,
    /// In characters, from 1; 0 where the engine tells no place within the line.
    pub column: u32,
    /// Begins small, ends without a stop, holds no secret.
    pub message: String,
}

impl RenderError {
    fn whole(template: &str, message: String) -> Self {
        Self { template: template.to_owned(), line: 0, column: 0, message }
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.template.is_empty(), self.line) {
            (true, _) => f.write_str(&self.message),
            (false, 0) => write!(f, "{}: {}", self.template, self.message),
            (false, line) => write!(f, "{}:{line}: {}", self.template, self.message),
        }
    }
}

impl std::error::Error for RenderError {}

/// The largest configuration that is served. The biggest chassis configurations known to us have
/// about a tenth of it, and a template that grows without end must stop somewhere.
pub const OUTPUT_BYTES_MAX: usize = 4 << 20;

/// What stands where a secret would, unless somebody asked to see it.
pub const MASK: &str = "********";

impl Renderer {
    /// Compiles all sources, by file name. Those that cannot be compiled are told, the others are
    /// there.
    pub fn new(sources: &BTreeMap<String, String>) -> (Self, Vec<RenderError>) {
        let mut errors = Vec::new();
        let jinja_sources = sources.iter().filter(|(name, _)| name.ends_with(".j2"));
        let jinja = jinja::Engine::new(jinja_sources, &mut errors);
        #[cfg(feature = "tera")]
        let tera = {
            let tera_sources = sources.iter().filter(|(name, _)| name.ends_with(".tera"));
            tera::Engine::new(tera_sources, &mut errors)
        };
        let renderer = Self {
            jinja,
            #[cfg(feature = "tera")]
            tera,
            names: sources.keys().cloned().collect(),
            secrets: HashMap::new(),
            images: None,
        };
        (renderer, errors)
    }

    /// Hands in the secrets, by device name.
    pub fn with_secrets(mut self, secrets: HashMap<String, Arc<ResolvedSecrets>>) -> Self {
        self.secrets = secrets;
        self
    }

    /// Hands in where images are served: a URL with its last slash.
    pub fn with_images(mut self, base: Option<String>) -> Self {
        self.images = base;
        self
    }

    /// The file names of all templates.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// What the device is served. Holds secrets.
    pub fn render(&self, device: &Device, inventory: &Inventory) -> Result<String, RenderError> {
        let mut scratch = Scratch::default();
        let rendered = self.render_with(device, inventory, &mut scratch, |secret| match secret {
            Ok(secret) => Ok(secret.expose().to_owned()),
            Err(why) => Err(why.clone()),
        });
        rendered.map_err(|error| self.without_secrets(device, error))?;
        Ok(scratch.output.text())
    }

    /// The secrets that this device's template is given, as far as they could be read.
    pub fn secrets_of(&self, device: &Device) -> Vec<Secret> {
        let set = self.secrets.get(&device.name);
        set.iter().flat_map(|set| set.values()).flatten().cloned().collect()
    }

    /// What a template does with a secret may end in an error that quotes it.
    fn without_secrets(&self, device: &Device, mut error: RenderError) -> RenderError {
        let set = self.secrets.get(&device.name);
        for secret in set.iter().flat_map(|set| set.values()).flatten() {
            if !secret.is_empty() {
                error.message = error.message.replace(secret.expose(), MASK);
            }
        }
        error
    }

    /// The same with [`MASK`] in the place of each secret; it needs none of them.
    pub fn render_masked(
        &self,
        device: &Device,
        inventory: &Inventory,
    ) -> Result<String, RenderError> {
        let mut scratch = Scratch::default();
        self.try_render(device, inventory, &mut scratch)?;
        Ok(scratch.output.text())
    }

    /// Whether a text can be made; it stays behind in the scratch space, masked.
    pub fn try_render(
        &self,
        device: &Device,
        inventory: &Inventory,
        scratch: &mut Scratch,
    ) -> Result<(), RenderError> {
        self.render_with(device, inventory, scratch, |_| Ok(MASK.to_owned()))
    }

    fn render_with(
        &self,
        device: &Device,
        inventory: &Inventory,
        scratch: &mut Scratch,
        open: impl Fn(&Result<Secret, String>) -> Result<String, String>,
    ) -> Result<(), RenderError> {
        scratch.output.empty();
        let Some(template) = &device.template else {
            return Err(RenderError::whole(
                "",
                format!("device `{}` has no template", device.name),
            ));
        };
        let mut secrets = Map::new();
        for (name, secret) in self.secrets.get(&device.name).iter().flat_map(|set| set.iter()) {
            let text = open(secret)
                .map_err(|why| RenderError::whole(template, format!("{why}, for {name}")))?;
            secrets.insert(name.clone(), Value::from(text));
        }
        let site_title = inventory.sites.get(&device.site).map_or("", |site| &site.title);
        let software = SoftwareContext::of(device, self.images.as_deref());
        let context = Context { device, site_title, secrets, software };
        if template.ends_with(".j2") {
            return self.jinja.render(template, &context, scratch);
        }
        #[cfg(feature = "tera")]
        if template.ends_with(".tera") {
            return self.tera.render(template, &context, &mut scratch.output);
        }
        Err(RenderError::whole(template, "no engine renders files of this name".to_owned()))
    }
}

/// What one render can leave for the next one of the same thread.
#[derive(Default)]
pub struct Scratch {
    output: Bounded,
    shared: jinja::Shared,
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").field("names", &self.names).finish_non_exhaustive()
    }
}

/// What a template knows: the variables, then `device`, `site`, `secrets` and `software`. It
/// borrows all of it: a hundred thousand devices are rendered while the operator waits for `check`.
struct Context<'a> {
    device: &'a Device,
    site_title: &'a str,
    secrets: Map<String, Value>,
    software: Option<SoftwareContext<'a>>,
}

impl Serialize for Context<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.device.variables.iter() {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("device", &DeviceContext::of(self.device))?;
        let site = SiteContext { name: &self.device.site, title: self.site_title };
        map.serialize_entry("site", &site)?;
        map.serialize_entry("secrets", &self.secrets)?;
        map.serialize_entry("software", &self.software)?;
        map.end()
    }
}

#[derive(Serialize)]
struct SiteContext<'a> {
    name: &'a str,
    title: &'a str,
}

#[derive(Serialize)]
struct DeviceContext<'a> {
    name: &'a str,
    site: &'a str,
    platform: &'a str,
    serial: Option<&'a str>,
    macs: &'a [Mac],
    address: Option<Ipv4Addr>,
    address6: Option<Ipv6Addr>,
    location: &'a str,
    software: Option<&'a str>,
    neighbours: Vec<NeighbourContext<'a>>,
}

#[derive(Serialize)]
struct NeighbourContext<'a> {
    local_port: &'a str,
    device: &'a str,
    port: &'a str,
}

impl<'a> DeviceContext<'a> {
    fn of(device: &'a Device) -> Self {
        let neighbour = |neighbour: &'a PlannedNeighbour| NeighbourContext {
            local_port: &neighbour.local_port,
            device: &neighbour.device,
            port: &neighbour.port,
        };
        Self {
            name: &device.name,
            site: &device.site,
            platform: &device.platform,
            serial: device.serial.as_deref(),
            macs: &device.macs,
            address: device.address,
            address6: device.address6,
            location: &device.location,
            software: device.software.as_ref().map(|software| software.version.as_str()),
            neighbours: device.neighbours.iter().map(neighbour).collect(),
        }
    }
}

/// The software planned: for templates that make a device install it by its own provisioning.
#[derive(Serialize)]
struct SoftwareContext<'a> {
    version: &'a str,
    image: Option<&'a str>,
    /// Where the device fetches it.
    image_url: Option<String>,
    sha256: Option<&'a str>,
    /// Whether the plan has it installed.
    install: bool,
}

impl<'a> SoftwareContext<'a> {
    fn of(device: &'a Device, base: Option<&str>) -> Option<Self> {
        let software = device.software.as_ref()?;
        let image = software.image.as_ref();
        Some(Self {
            version: &software.version,
            image: image.map(crate::domain::inventory::meant::Image::file),
            image_url: base.zip(image).map(|(base, image)| format!("{base}{}", image.name)),
            sha256: image.and_then(|image| image.sha256.as_deref()),
            install: software.installable().is_some(),
        })
    }
}

/// Collects what an engine writes, up to [`OUTPUT_BYTES_MAX`].
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl Bounded {
    fn empty(&mut self) {
        self.bytes.clear();
        self.full = false;
    }

    fn text(self) -> String {
        String::from_utf8(self.bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_BYTES_MAX {
            self.full = true;
            return Err(io::Error::other("the output is too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_long() -> String {
    format!("the rendered text passes {} MiB; does a loop never end?", OUTPUT_BYTES_MAX >> 20)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::inventory::meant::{Place, Site};

    fn device(template: &str) -> Device {
        let cable = |local_port: &str, port: &str| PlannedNeighbour {
            local_port: local_port.to_owned(),
            device: "core-1".to_owned(),
            port: port.to_owned(),
        };
        let variables =
            json!({ "vlans": [30, 10, 20], "ports": { "z": 1, "a": 2 }, "html": "<&>" });
        Device {
            site: "zurich".to_owned(),
            address: Some([192, 0, 2, 10].into()),
            template: Some(template.to_owned()),
            variables: variables.as_object().cloned().unwrap().into(),
            neighbours: vec![cable("eth1", "1"), cable("eth2", "2")],
            ..Device::named("access-1", "frr")
        }
    }

    fn renderer(name: &str, source: &str) -> (Renderer, Vec<RenderError>) {
        let (renderer, errors) =
            Renderer::new(&BTreeMap::from([(name.to_owned(), source.to_owned())]));
        let secrets = BTreeMap::from([("password".to_owned(), Ok(Secret::new("hunter2")))]);
        let secrets = HashMap::from([("access-1".to_owned(), Arc::new(secrets))]);
        (renderer.with_secrets(secrets), errors)
    }

    fn rendered(name: &str, source: &str) -> String {
        let (renderer, errors) = renderer(name, source);
        assert_eq!(errors, []);
        let mut inventory = Inventory::default();
        let title = "Zürich".to_owned();
        let site = Site { name: "zurich".to_owned(), title, channel: None, language: None };
        inventory.sites.insert("zurich".to_owned(), Arc::new(site));
        match renderer.render(&device(name), &inventory) {
            Ok(text) => text,
            Err(error) => format!("error {error}"),
        }
    }

    #[test]
    fn both_engines_know_device_site_variables_and_secrets() {
        let source = "{{ device.name }} {{ site.title }} {{ vlans[0] }} {{ secrets.password }} \
            {% for n in device.neighbours %}{{ n.local_port }}>{{ n.device }}:{{ n.port }} \
            {% endfor %}{{ html }}";
        let expected = "access-1 Zürich 30 hunter2 eth1>core-1:1 eth2>core-1:2 <&>";
        assert_eq!(rendered("a.j2", source), expected);
        assert_eq!(rendered("a.tera", source), expected);
    }

    #[test]
    fn a_template_knows_the_planned_image_and_where_it_is() {
        use crate::domain::inventory::meant::{Image, Install, Software};
        let source = "{{ software.version }} {{ software.image_url }} {{ software.sha256 }} \
            {% if software.install %}auto{% endif %}";
        for name in ["a.j2", "a.tera"] {
            let (renderer, errors) = renderer(name, source);
            assert_eq!(errors, []);
            let renderer = renderer.with_images(Some("http://192.0.2.1/".into()));
            let mut device = device(name);
            let image = Image {
                name: "eos/EOS.swi".into(),
                sha256: Some("ab".into()),
                install: Install::Auto,
                place: Place::default(),
            };
            let software = Software { version: "4.32".into(), image: Some(image) };
            device.software = Some(Arc::new(software));
            let text = renderer.render(&device, &Inventory::default()).unwrap();
            assert_eq!(text, "4.32 http://192.0.2.1/eos/EOS.swi ab auto");
        }
        let told = rendered("a.j2", "{{ software.version }}");
        assert!(told.starts_with("error a.j2:1: "), "{told}");
        assert_eq!(rendered("a.j2", "{% if software %}x{% endif %}y"), "y");
    }

    #[test]
    fn variables_come_in_the_order_written() {
        let source = "{% for name, n in ports.items() %}{{ name }}{{ n }} {% endfor %}";
        assert_eq!(rendered("a.j2", source), "z1 a2 ");
        let source = "{% for name, n in ports %}{{ name }}{{ n }} {% endfor %}";
        assert_eq!(rendered("a.tera", source), "z1 a2 ");
    }

    #[test]
    fn blocks_leave_no_empty_lines_and_the_last_line_ends() {
        let source = "a\n  {% if true %}\nb\n  {% endif %}\nc\n";
        assert_eq!(rendered("a.j2", source), "a\nb\nc\n");
    }

    #[test]
    fn addresses_have_their_filters() {
        let source = "{{ device.address | cidr(24) }} {{ (device.address ~ '/24') | ipaddr(1) }} \
            {{ '192.0.2.10/24' | netmask }} {{ '10.0.0.0/30' | hosts | join(' ') }} \
            {{ 'x'.upper() }}";
        let expected = "192.0.2.10/24 192.0.2.1/24 255.255.255.0 10.0.0.1 10.0.0.2 X";
        assert_eq!(rendered("a.j2", source), expected);
        let source = "{{ device.address | cidr(mask=\"24\") }} {{ '192.0.2.10/24' | netmask }}";
        assert_eq!(rendered("a.tera", source), "192.0.2.10/24 255.255.255.0");
        assert!(rendered("a.j2", "\n{{ 'x' | ipaddr }}").starts_with("error a.j2:2: "));
    }

    #[test]
    fn a_name_without_a_value_is_an_error_with_its_line() {
        let error = rendered("a.j2", "a\n{{ device.nmae }}\n");
        assert_eq!(error, "error a.j2:2: `device.nmae` is not defined for this device");
        let error = rendered("a.tera", "a\n{{ vlanz }}\n");
        assert!(error.starts_with("error a.tera:2: ") && error.contains("vlanz"), "{error}");
    }

    #[test]
    fn a_template_that_does_not_compile_is_told_with_its_line() {
        for name in ["a.j2", "a.tera"] {
            let (_, errors) = renderer(name, "a\n{% if %}\n");
            assert_eq!(errors.len(), 1);
            assert_eq!((errors[0].template.as_str(), errors[0].line), (name, 2));
        }
    }

    #[test]
    fn a_template_that_loops_ends_with_a_clear_error() {
        let nested = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        let error = rendered("a.j2", nested);
        assert!(error.contains("the template does not end"), "{error}");
        let error = rendered("a.j2", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
        assert!(error.starts_with("error a.j2:1: "), "{error}");
        for name in ["a.j2", "a.tera"] {
            let line = "0123456789".repeat(100);
            let range = if name == "a.j2" { "range(9999)" } else { "range(end=9999)" };
            let error = rendered(name, &format!("{{% for a in {range} %}}{line}{{% endfor %}}"));
            assert!(error.contains("passes 4 MiB"), "{error}");
        }
        let error = rendered("a.tera", "{% for a in range(end=1000000000) %}{% endfor %}");
        assert!(error.contains("a range has at most 100000 numbers"), "{error}");
    }

    #[test]
    fn a_masked_text_holds_no_secret_and_a_missing_secret_is_no_empty_text() {
        let (renderer, _) = renderer("a.j2", "{{ secrets.password }}");
        let masked = renderer.render_masked(&device("a.j2"), &Inventory::default());
        assert_eq!(masked.as_deref(), Ok(MASK));
        let why = "the environment variable P is not set".to_owned();
        let secrets = BTreeMap::from([("password".to_owned(), Err(why))]);
        let renderer =
            renderer.with_secrets(HashMap::from([("access-1".to_owned(), Arc::new(secrets))]));
        let error = renderer.render(&device("a.j2"), &Inventory::default()).unwrap_err();
        assert_eq!(error.message, "the environment variable P is not set, for password");
    }

    #[test]
    fn an_error_that_quotes_a_secret_shows_a_mask() {
        let told = rendered("x.j2", "{{ secrets.password|ipaddr }}");
        assert!(told.contains(MASK) && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn no_filter_builds_more_than_a_configuration_may_hold() {
        for source in [
            "{{ 'x'|indent(999999999, true) }}",
            "{{ [1]|batch(9999999999, 'x')|list|length }}",
            "{{ '%999999999s'|format('x') }}",
            "{{ '%*s'|format(999999999, 'x') }}",
            "{{ 'x' * 999999999 }}",
        ] {
            let told = rendered("x.j2", source);
            assert!(told.starts_with("error "), "{source}: {}", &told[..told.len().min(80)]);
        }
        assert_eq!(rendered("x.j2", "{{ '%3d|%-3s|'|format(7, 'a') }}"), "  7|a  |");
        assert_eq!(rendered("x.j2", "{{ 'a\\n\\nb'|indent(2) }}"), "a\n\n  b");
    }
}
