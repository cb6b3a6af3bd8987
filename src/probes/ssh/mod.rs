//! Visits by SSH.
