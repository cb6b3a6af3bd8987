//! The store: SQLite behind the channels of `service/memory`.
