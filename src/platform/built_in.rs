//! The platform files that are part of the program.

/// Name and text.
pub const FILES: [(&str, &str); 3] = [
    ("arista_eos.yaml", include_str!("../../configs/platforms/arista_eos.yaml")),
    ("cisco_ios.yaml", include_str!("../../configs/platforms/cisco_ios.yaml")),
    ("frr.yaml", include_str!("../../configs/platforms/frr.yaml")),
];
