#!/bin/sh
# Writes an inventory of 100 000 devices (or $1) and times how long `greenlight check` takes to load it,
# check it and render every device. Usage: benches/inventory_100k.sh [DEVICES] [GREENLIGHT]
set -eu
devices=${1:-100000}
greenlight=${2:-target/release/greenlight}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mkdir "$directory/templates"

cat > "$directory/greenlight.yaml" <<'CONFIG'
inventory: inventory.yaml
templates: templates
tftp: {}
CONFIG

cat > "$directory/templates/access.j2" <<'TEMPLATE'
hostname {{ device.name }}
ip domain-name {{ domain }}
username greenlight secret {{ secrets.password }}
{% for vlan in vlans %}
vlan {{ vlan.id }}
 name {{ vlan.name }}
{% endfor %}
{% for uplink in device.neighbours %}
interface {{ uplink.local_port }}
 description {{ uplink.device }} {{ uplink.port }}
 switchport mode trunk
{% endfor %}
interface Vlan{{ vlan }}
 ip address {{ device.address }} {{ (device.address ~ '/24') | netmask }}
end
TEMPLATE

# Forty access switches to each distribution switch, in sites of four hundred.
awk -v devices="$devices" 'BEGIN {
    print "defaults:"
    print "  credentials: [{ username: greenlight, password: { env: PASSWORD } }]"
    print "  secrets: { password: { env: PASSWORD } }"
    print "  variables:"
    print "    domain: example.net"
    print "    vlans: [{ id: 10, name: office }, { id: 20, name: voice }]"
    print "groups:"
    print "  access: { platform: cisco_ios, template: access.j2, software: 15.2(7)E8 }"
    print "  distribution: { platform: cisco_ios, managed: false }"
    print "sites:"
    for (site = 0; site <= devices / 400; site++) print "  site-" site ": { title: Site " site " }"
    print "devices:"
    for (i = 0; i < devices; i++) {
        high = int(i / 65536); middle = int(i / 256) % 256; low = i % 256
        print "  - name: access-" i
        print "    site: site-" int(i / 400)
        print "    group: access"
        printf "    serial: FOC%08d\n", i
        printf "    mac: 00:1b:21:%02x:%02x:%02x\n", high, middle, low
        print "    address: 10." high "." middle "." low
        print "    variables: { vlan: " 1 + i % 4000 " }"
        print "    neighbours:"
        print "      - GigabitEthernet1/0/48 -> distribution-" int(i / 40) ", GigabitEthernet1/0/" 1 + i % 40
    }
    for (i = 0; i <= (devices - 1) / 40; i++)
        print "  - { name: distribution-" i ", site: site-" int(i / 10) ", group: distribution }"
}' > "$directory/inventory.yaml"

ls -l "$directory/inventory.yaml"
time "$greenlight" check --config "$directory/greenlight.yaml"
