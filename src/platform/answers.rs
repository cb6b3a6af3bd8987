//! What a DHCP answer to this platform holds beside the address.

use crate::platform::AnswerFacts;

/// One option of OFFER and ACK. Of several answers with one code the first that can be filled is
/// sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The option's code.
    pub option: u8,
    pub value: Value,
}

/// How the value is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text without a terminating zero, with `{server}`, `{device}` and `{http_port}` filled in.
    Text(Template),
    /// A list of addresses of four bytes each (RFC 5859 for option 150), ours alone.
    ServerAddress,
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// Encapsulated options, as many vendors fill option 43 (RFC 2132 section 8.4): code, length
    /// and value each. All of them can be filled, or none is sent.
    SubOptions(Vec<Answer>),
}

/// A text with gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Server,
    Device,
    HttpPort,
    Image,
}

/// What gaps are filled with.
#[derive(Debug)]
pub struct Gaps<'a> {
    /// Our address, as a URL writes it.
    pub server: String,
    pub device: &'a str,
    pub http_port: Option<u16>,
    /// The image to be installed, by its name on our server.
    pub image: Option<&'a str>,
}

impl<'a> From<&'a AnswerFacts> for Gaps<'a> {
    fn from(facts: &'a AnswerFacts) -> Self {
        let AnswerFacts { server, device, http_port } = facts;
        Self { server: server.to_string(), device, http_port: *http_port, image: None }
    }
}

impl Template {
    /// Reads the gaps. The error says which name is not one.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("`{` without its `}`")?;
            pieces.push(Piece::Literal(before.to_owned()));
            pieces.push(match name {
                "server" => Piece::Server,
                "device" => Piece::Device,
                "http_port" => Piece::HttpPort,
                "image" => Piece::Image,
                other => {
                    return Err(format!(
                        "expected {{server}}, {{device}} or {{http_port}}, found {{{other}}}"
                    ));
                }
            });
            rest = after;
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// `None` if a gap cannot be filled: there is no HTTP server.
    pub fn fill(&self, gaps: &Gaps<'_>) -> Option<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Server => text.push_str(&gaps.server),
                Piece::Device => text.push_str(gaps.device),
                Piece::HttpPort => text.push_str(&gaps.http_port?.to_string()),
                Piece::Image => text.push_str(gaps.image?),
            }
        }
        Some(text)
    }
}

impl std::fmt::Display for Template {
    /// As platform files write it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Literal(literal) => f.write_str(literal),
            Piece::Server => f.write_str("{server}"),
            Piece::Device => f.write_str("{device}"),
            Piece::HttpPort => f.write_str("{http_port}"),
            Piece::Image => f.write_str("{image}"),
        })
    }
}

/// Code and value of each option, in the order written.
pub fn options(answers: &[Answer], facts: &AnswerFacts) -> Vec<(u8, Vec<u8>)> {
    options_with(answers, facts, None)
}

/// The same where an image is to be installed.
pub fn options_with(
    answers: &[Answer],
    facts: &AnswerFacts,
    image: Option<&str>,
) -> Vec<(u8, Vec<u8>)> {
    let mut options: Vec<(u8, Vec<u8>)> = Vec::new();
    for answer in answers {
        if options.iter().any(|(code, _)| *code == answer.option) {
            continue;
        }
        options.extend(answer.value.fill(facts, image).map(|value| (answer.option, value)));
    }
    options
}

impl Value {
    /// `None` if something in it cannot be filled.
    fn fill(&self, facts: &AnswerFacts, image: Option<&str>) -> Option<Vec<u8>> {
        match self {
            Value::Text(template) => {
                let gaps = Gaps { image, ..facts.into() };
                template.fill(&gaps).map(String::into_bytes)
            }
            Value::ServerAddress => Some(facts.server.octets().to_vec()),
            Value::Bytes(bytes) => Some(bytes.clone()),
            Value::SubOptions(subs) => {
                let mut encapsulated = Vec::new();
                for sub in subs {
                    let value = sub.value.fill(facts, image)?;
                    encapsulated.extend([sub.option, u8::try_from(value.len()).ok()?]);
                    encapsulated.extend(value);
                }
                Some(encapsulated)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(http_port: Option<u16>) -> AnswerFacts {
        AnswerFacts { server: [10, 0, 0, 1].into(), device: "sw1".into(), http_port }
    }

    fn text(option: u8, template: &str) -> Answer {
        Answer { option, value: Value::Text(Template::read(template).unwrap()) }
    }

    #[test]
    fn a_url_gives_way_to_a_name_where_no_http_is_served() {
        let answers = [
            text(67, "http://{server}:{http_port}/{device}.cfg"),
            text(67, "{device}.cfg"),
            Answer { option: 150, value: Value::ServerAddress },
        ];
        assert_eq!(
            options(&answers, &facts(Some(8080))),
            [(67, b"http://10.0.0.1:8080/sw1.cfg".to_vec()), (150, vec![10, 0, 0, 1])]
        );
        assert_eq!(
            options(&answers, &facts(None)),
            [(67, b"sw1.cfg".to_vec()), (150, vec![10, 0, 0, 1])]
        );
    }

    #[test]
    fn sub_options_are_code_length_and_value_and_come_whole_or_not_at_all() {
        let of = |subs: Vec<Answer>| vec![Answer { option: 43, value: Value::SubOptions(subs) }];
        let by_tftp =
            of(vec![text(1, "{device}.cfg"), Answer { option: 100, value: Value::ServerAddress }]);
        let bytes = b"\x01\x07sw1.cfg\x64\x04\x0a\x00\x00\x01".to_vec();
        assert_eq!(options(&by_tftp, &facts(None)), [(43, bytes)]);
        let by_http = of(vec![text(3, "http"), text(5, "{http_port}")]);
        assert_eq!(options(&by_http, &facts(None)), []);
        let bytes = b"\x03\x04http\x05\x0280".to_vec();
        assert_eq!(options(&by_http, &facts(Some(80))), [(43, bytes)]);
        let long = of(vec![text(1, &"x".repeat(256))]);
        assert_eq!(options(&long, &facts(None)), [], "its length does not fit one byte");
    }

    #[test]
    fn an_unknown_gap_is_named() {
        assert!(Template::read("{sever}/x").unwrap_err().contains("{sever}"));
        assert!(Template::read("{server").is_err());
    }
}
