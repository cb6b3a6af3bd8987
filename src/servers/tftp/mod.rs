//! The TFTP driver.
