//! The platform files that are part of the program.

/// Name and text.
pub const FILES: [(&str, &str); 21] = [
    ("arista_eos.yaml", include_str!("../../configs/platforms/arista_eos.yaml")),
    ("aruba_aoscx.yaml", include_str!("../../configs/platforms/aruba_aoscx.yaml")),
    ("aruba_aosswitch.yaml", include_str!("../../configs/platforms/aruba_aosswitch.yaml")),
    ("cisco_ios.yaml", include_str!("../../configs/platforms/cisco_ios.yaml")),
    ("cisco_iosxe.yaml", include_str!("../../configs/platforms/cisco_iosxe.yaml")),
    ("cisco_iosxr.yaml", include_str!("../../configs/platforms/cisco_iosxr.yaml")),
    ("cisco_nxos.yaml", include_str!("../../configs/platforms/cisco_nxos.yaml")),
    ("cumulus_linux.yaml", include_str!("../../configs/platforms/cumulus_linux.yaml")),
    ("dell_os10.yaml", include_str!("../../configs/platforms/dell_os10.yaml")),
    ("dell_os9.yaml", include_str!("../../configs/platforms/dell_os9.yaml")),
    ("extreme_exos.yaml", include_str!("../../configs/platforms/extreme_exos.yaml")),
    ("fortinet_fortios.yaml", include_str!("../../configs/platforms/fortinet_fortios.yaml")),
    ("frr.yaml", include_str!("../../configs/platforms/frr.yaml")),
    ("hpe_comware.yaml", include_str!("../../configs/platforms/hpe_comware.yaml")),
    ("huawei_vrp.yaml", include_str!("../../configs/platforms/huawei_vrp.yaml")),
    ("juniper_junos.yaml", include_str!("../../configs/platforms/juniper_junos.yaml")),
    ("mikrotik_routeros.yaml", include_str!("../../configs/platforms/mikrotik_routeros.yaml")),
    ("nokia_srlinux.yaml", include_str!("../../configs/platforms/nokia_srlinux.yaml")),
    ("nokia_sros.yaml", include_str!("../../configs/platforms/nokia_sros.yaml")),
    ("onie.yaml", include_str!("../../configs/platforms/onie.yaml")),
    ("sonic.yaml", include_str!("../../configs/platforms/sonic.yaml")),
];
