//! The payloads of the Slack Web API and of incoming webhooks.
