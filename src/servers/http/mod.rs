//! The HTTP boot driver.
