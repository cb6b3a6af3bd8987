//! The durable queue of what is to be told and handed over, as the outlets see it.
