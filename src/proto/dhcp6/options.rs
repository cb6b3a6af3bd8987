//! A row of options: code, length, value (RFC 8415 section 21.1). Codes may repeat, the order is
//! kept, and what is cut off hides nothing that came before it.

/// Options in the order they came or will be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    entries: Vec<(u16, Vec<u8>)>,
}

/// Code and length.
pub(super) const HEADER_BYTES: usize = 4;

/// An option that goes beyond its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Unknown where not even the code is whole.
    pub code: Option<u16>,
    /// From the first byte of the field.
    pub offset: usize,
    pub expected: usize,
    pub found: usize,
}

impl Options {
    /// Reads as far as the options are whole. For the insides of an option, where a cut tail is
    /// no news to anybody.
    pub fn read(field: &[u8]) -> Self {
        let mut options = Self::default();
        // The walk's result is its complaint; here nobody wants it.
        let _ = walk(field, |code, value| options.push(code, field[value].to_vec()));
        options
    }

    /// The first option of this code.
    pub fn get(&self, code: u16) -> Option<&[u8]> {
        self.all(code).next()
    }

    /// Every option of this code, in order.
    pub fn all(&self, code: u16) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().filter(move |entry| entry.0 == code).map(|entry| entry.1.as_slice())
    }

    /// Codes and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.entries.iter().map(|(code, value)| (*code, value.as_slice()))
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn push(&mut self, code: u16, value: impl Into<Vec<u8>>) {
        self.entries.push((code, value.into()));
    }

    /// The same options and one more behind them.
    pub fn with(mut self, code: u16, value: impl Into<Vec<u8>>) -> Self {
        self.push(code, value);
        self
    }

    /// Writes all options. A value beyond 65,535 bytes is cut there: no datagram holds more.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes);
        bytes
    }

    pub(super) fn write_to(&self, bytes: &mut Vec<u8>) {
        for (code, value) in self.iter() {
            write(bytes, code, value);
        }
    }
}

/// Writes one option.
pub(super) fn write(bytes: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend(value.iter().take(usize::from(length)));
}

/// Tells `found` the code of each whole option and where in `field` its value stands.
pub(super) fn walk(
    field: &[u8],
    mut found: impl FnMut(u16, std::ops::Range<usize>),
) -> Result<(), Cut> {
    let mut at = 0;
    while at < field.len() {
        let rest = &field[at..];
        let [c0, c1, l0, l1, tail @ ..] = rest else {
            let code = rest.first_chunk().map(|code| u16::from_be_bytes(*code));
            return Err(Cut { code, offset: at, expected: HEADER_BYTES, found: rest.len() });
        };
        let code = u16::from_be_bytes([*c0, *c1]);
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        if tail.len() < length {
            let code = Some(code);
            return Err(Cut { code, offset: at, expected: length, found: tail.len() });
        }
        let start = at + HEADER_BYTES;
        at = start + length;
        found(code, start..at);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_codes_stay_apart_and_in_order() {
        let options = Options::default().with(16, *b"a").with(3, []).with(16, *b"b");
        let read = Options::read(&options.write());
        assert_eq!(read, options);
        assert_eq!(read.all(16).collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!((read.get(3), read.get(4)), (Some(&[][..]), None));
    }

    #[test]
    fn a_cut_tail_leaves_the_options_before_it() {
        let whole = Options::default().with(1, *b"duid").with(16, *b"vendor").write();
        for end in 0..whole.len() {
            let read = Options::read(&whole[..end]);
            assert_eq!(read.get(1).is_some(), end >= 8, "{end}");
            assert_eq!(read.get(16), None, "{end}");
            let told = walk(&whole[..end], |_, _| {});
            assert_eq!(told.is_ok(), end == 0 || end == 8, "{end}");
        }
    }
}
