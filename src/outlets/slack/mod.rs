//! Slack by bot token or webhook.
