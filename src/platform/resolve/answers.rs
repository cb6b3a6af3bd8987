//! The DHCP answers of a platform file.

use super::Desk;
use crate::platform::answers::{Answer, Template, Value};
use crate::platform::written::{self, Spanned, Text};

impl Desk<'_> {
    pub(super) fn answer(&mut self, written: &written::Answer) -> Option<Answer> {
        let Some(subs) = &written.sub_options else {
            let value = (written.text.as_ref(), written.bytes.as_ref(), written.server_address);
            return self.value(&written.option, value);
        };
        if written.text.is_some() || written.bytes.is_some() || written.server_address {
            return self.one_value_is_needed(&written.option);
        }
        let subs = subs.iter().map(|sub| {
            self.value(&sub.code, (sub.text.as_ref(), sub.bytes.as_ref(), sub.server_address))
        });
        let value = Value::SubOptions(subs.collect::<Option<Vec<_>>>()?);
        Some(Answer { option: written.option.value, value })
    }

    fn value(
        &mut self,
        code: &Spanned<u8>,
        written: (Option<&Text>, Option<&Text>, bool),
    ) -> Option<Answer> {
        let value = match written {
            (Some(text), None, false) => match Template::read(&text.value) {
                Ok(template) => Value::Text(template),
                Err(why) => {
                    self.complain(text, why, "gaps are {server}, {device} and {http_port}");
                    return None;
                }
            },
            (None, Some(bytes), false) => match hex(&bytes.value) {
                Some(value) => Value::Bytes(value),
                None => {
                    let message = "expected pairs of hexadecimal digits";
                    self.complain(bytes, message, "such as `0104ff`");
                    return None;
                }
            },
            (None, None, true) => Value::ServerAddress,
            (Some(_), Some(_), _)
            | (Some(_), None, true)
            | (None, Some(_), true)
            | (None, None, false) => return self.one_value_is_needed(code),
        };
        Some(Answer { option: code.value, value })
    }

    fn one_value_is_needed(&mut self, code: &Spanned<u8>) -> Option<Answer> {
        let message = format!("option {} needs one value", code.value);
        let hint = "write one of `text`, `bytes`, `server_address: true` and `sub_options`";
        self.complain(code, message, hint);
        None
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) || !bytes.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    bytes
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
