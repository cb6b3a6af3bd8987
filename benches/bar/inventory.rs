//! The plans that our server is given: readers, clients of DHCP, and a large network.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::Path;

use super::client::reader_address;

/// What a device of the rows of TFTP is served.
pub const FILE_BYTES: usize = 8_000;

/// The environment holds this password, which nobody uses: no device is visited.
pub const PASSWORD: &str = "BENCH_PASSWORD";

/// So many readers, each a device that is known by its address and has its own file of 8,000
/// bytes.
pub fn readers(directory: &Path, count: usize) -> std::io::Result<()> {
    let head = "hostname {{ device.name }}\n";
    // The name takes eight places in the file.
    let rest = FILE_BYTES - "hostname 12345678\n".len() - "end\n".len();
    let line = "! a line of a configuration that stands for forty others\n";
    let body: String = line.chars().cycle().take(rest - 1).collect();
    template(directory, &format!("{head}{body}\nend\n"))?;
    let mut file = create(directory)?;
    file.write_all(heading("template: device.j2").as_bytes())?;
    for number in 0..count {
        let address = reader_address(number);
        writeln!(
            file,
            "  - {{ name: d{number:07}, site: s, group: g, serial: FOC{number:08}, \
             address: {address} }}"
        )?;
    }
    file.flush()
}

/// Clients of DHCP: known by MAC, each with its address reserved, and nothing else planned, as a
/// peer would have it.
pub fn clients(directory: &Path, crowds: &[Clients]) -> std::io::Result<()> {
    template(directory, "end\n")?;
    let mut file = create(directory)?;
    file.write_all(heading("managed: false").as_bytes())?;
    let mut line = String::new();
    for crowd in crowds {
        for number in 0..crowd.count {
            line.clear();
            let (mac, address) = (crowd.mac(number), crowd.address(number));
            let name = crowd.name;
            writeln!(
                line,
                "  - {{ name: {name}{number:07}, site: s, group: g, mac: '{mac}', \
                 address: {address} }}"
            )
            .expect("memory takes it");
            file.write_all(line.as_bytes())?;
        }
    }
    file.flush()
}

/// So many clients with MACs that follow each other.
#[derive(Debug, Clone, Copy)]
pub struct Clients {
    pub name: char,
    /// Third byte of their MACs; the last three count.
    pub crowd: u8,
    pub first_address: u32,
    pub count: u32,
}

impl Clients {
    /// 00:0c:CC:NN:NN:NN, the shape of perfdhcp's own.
    pub fn mac(&self, number: u32) -> String {
        let [crowd, high, middle, low] = (u32::from(self.crowd) << 24 | number).to_be_bytes();
        format!("00:0c:{crowd:02x}:{high:02x}:{middle:02x}:{low:02x}")
    }

    fn address(&self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.first_address + number)
    }
}

/// A network of access switches, forty to each distribution switch, in sites of four hundred. The
/// first ones have the addresses of the readers.
pub fn network(directory: &Path, count: usize) -> std::io::Result<()> {
    let lines = [
        "hostname {{ device.name }}",
        "ip domain-name {{ domain }}",
        "{% for vlan in vlans %}",
        "vlan {{ vlan.id }}",
        " name {{ vlan.name }}",
        "{% endfor %}",
        "{% for uplink in device.neighbours %}",
        "interface {{ uplink.local_port }}",
        " description {{ uplink.device }} {{ uplink.port }}",
        " switchport mode trunk",
        "{% endfor %}",
        "interface Vlan{{ vlan }}",
        " ip address {{ device.address }} {{ (device.address ~ '/24') | netmask }}",
    ];
    let mut text = lines.join("\n") + "\n";
    let line = "! a line of a configuration that stands for forty others\n";
    while text.len() < FILE_BYTES {
        text.push_str(line);
    }
    template(directory, &text)?;
    let mut file = create(directory)?;
    write!(
        file,
        "defaults:\n  credentials: [{{ username: g, password: {{ env: {PASSWORD} }} }}]\n\
         \x20 variables:\n    domain: example.net\n\
         \x20   vlans: [{{ id: 10, name: office }}, {{ id: 20, name: voice }}]\n\
         groups:\n  access: {{ platform: cisco_ios, template: device.j2 }}\n\
         \x20 distribution: {{ platform: cisco_ios, managed: false }}\nsites:\n"
    )?;
    for site in 0..=count / 400 {
        writeln!(file, "  site-{site}: {{ title: Site {site} }}")?;
    }
    writeln!(file, "devices:")?;
    for number in 0..count {
        let [_, high, middle, low] = (number as u32).to_be_bytes();
        writeln!(
            file,
            "  - name: access-{number}\n    site: site-{}\n    group: access\n    \
             serial: FOC{number:08}\n    mac: 00:1b:21:{high:02x}:{middle:02x}:{low:02x}\n    \
             address: {}\n    variables: {{ vlan: {} }}\n    neighbours:\n      \
             - GigabitEthernet1/0/48 -> distribution-{}, GigabitEthernet1/0/{}",
            number / 400,
            reader_address(number),
            1 + number % 4000,
            number / 40,
            1 + number % 40,
        )?;
    }
    for number in 0..=(count.max(1) - 1) / 40 {
        writeln!(
            file,
            "  - {{ name: distribution-{number}, site: site-{}, group: distribution }}",
            number / 10
        )?;
    }
    file.flush()
}

fn heading(group: &str) -> String {
    format!(
        "defaults:\n  credentials: [{{ username: g, password: {{ env: {PASSWORD} }} }}]\n\
         groups:\n  g: {{ platform: cisco_ios, {group} }}\n\
         sites:\n  s: {{ title: Bench }}\ndevices:\n"
    )
}

fn template(directory: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(directory.join("templates"))?;
    fs::write(directory.join("templates/device.j2"), text)
}

fn create(directory: &Path) -> std::io::Result<BufWriter<fs::File>> {
    Ok(BufWriter::new(fs::File::create(directory.join("inventory.yaml"))?))
}
