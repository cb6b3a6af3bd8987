//! The DHCPv4 driver.
