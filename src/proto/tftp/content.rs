//! The bytes of a file as they go over the wire: octet as they are, netascii converted on the way
//! (RFC 1350 section 1, RFC 764: a line ends in CR LF, a bare CR is CR NUL). Nothing is copied.

use std::sync::Arc;

use super::packet::Mode;

/// A file in one mode of transfer.
#[derive(Debug, Clone)]
pub struct Content {
    bytes: Arc<[u8]>,
    netascii: bool,
    wire_bytes: u64,
}

/// A place in a [`Content`], between two bytes of the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Bytes of the file before this place.
    offset: usize,
    /// The first of the two bytes of this line end has gone out.
    half: bool,
}

impl Content {
    pub fn new(bytes: Arc<[u8]>, mode: &Mode) -> Self {
        let netascii = match mode {
            Mode::Netascii => true,
            Mode::Octet | Mode::Mail | Mode::Other(_) => false,
        };
        let doubled =
            if netascii { bytes.iter().filter(|byte| is_doubled(**byte)).count() } else { 0 };
        let wire_bytes = (bytes.len() + doubled) as u64;
        Self { bytes, netascii, wire_bytes }
    }

    /// The length on the wire, which is what `tsize` tells (RFC 2349).
    pub fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }

    /// Writes up to `count` bytes of the wire from `cursor` on, and returns the place behind them.
    pub fn write(&self, cursor: Cursor, count: usize, out: &mut Vec<u8>) -> Cursor {
        if !self.netascii {
            let end = cursor.offset.saturating_add(count).min(self.bytes.len());
            out.extend_from_slice(&self.bytes[cursor.offset..end]);
            return Cursor { offset: end, half: false };
        }
        self.walk(cursor, count, |byte| out.push(byte))
    }

    /// The place `count` bytes of the wire behind `cursor`, or the end.
    pub fn skip(&self, cursor: Cursor, count: usize) -> Cursor {
        if !self.netascii {
            let offset = cursor.offset.saturating_add(count).min(self.bytes.len());
            return Cursor { offset, half: false };
        }
        self.walk(cursor, count, |_| {})
    }

    fn walk(&self, mut cursor: Cursor, count: usize, mut each: impl FnMut(u8)) -> Cursor {
        for _ in 0..count {
            let Some(&byte) = self.bytes.get(cursor.offset) else { break };
            match (byte, cursor.half) {
                (b'\n' | b'\r', false) => {
                    each(b'\r');
                    cursor.half = true;
                    continue;
                }
                (b'\r', true) => each(0),
                (other, _) => each(other),
            }
            cursor = Cursor { offset: cursor.offset + 1, half: false };
        }
        cursor
    }
}

impl Cursor {
    /// Whole bytes of the file before this place.
    pub fn file_bytes(self) -> u64 {
        self.offset as u64
    }
}

fn is_doubled(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// Undoes netascii for Unix, piece by piece: CR LF is LF, CR NUL is CR.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FromNetascii {
    /// A CR whose second byte has not come yet.
    half: bool,
}

impl FromNetascii {
    /// Adds what `wire` means to `file`.
    pub fn take(&mut self, wire: &[u8], file: &mut Vec<u8>) {
        for &byte in wire {
            match (std::mem::take(&mut self.half), byte) {
                (true, b'\n') => file.push(b'\n'),
                (true, 0) => file.push(b'\r'),
                (half, other) => {
                    file.extend(half.then_some(b'\r'));
                    self.half = other == b'\r';
                    file.extend((!self.half).then_some(other));
                }
            }
        }
    }

    /// The end: a CR that nothing followed is one.
    pub fn finish(&mut self) -> Option<u8> {
        std::mem::take(&mut self.half).then_some(b'\r')
    }
}

/// The file that a whole netascii transfer means.
pub fn from_netascii(wire: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(wire.len());
    let mut undo = FromNetascii::default();
    undo.take(wire, &mut file);
    file.extend(undo.finish());
    file
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(file: &[u8], mode: &Mode, block: usize) -> Vec<u8> {
        let content = Content::new(file.into(), mode);
        let (mut out, mut cursor) = (Vec::new(), Cursor::default());
        while (out.len() as u64) < content.wire_bytes() {
            let next = content.write(cursor, block, &mut out);
            assert_eq!(next, content.skip(cursor, block));
            assert_ne!(next, cursor);
            cursor = next;
        }
        assert_eq!(cursor.file_bytes(), file.len() as u64);
        out
    }

    #[test]
    fn netascii_ends_lines_with_two_bytes_even_over_a_block_border() {
        for block in 1..9 {
            assert_eq!(
                wire(b"a\nb\r\n\rc", &Mode::Netascii, block),
                b"a\r\nb\r\0\r\n\r\0c",
                "{block}"
            );
            assert_eq!(wire(b"a\nb\r\n", &Mode::Octet, block), b"a\nb\r\n");
        }
    }

    proptest! {
        #[test]
        fn netascii_comes_back_as_the_same_file(
            file in prop::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), any::<u8>()], 0..300,
            ),
            block in 1usize..50,
        ) {
            let sent = wire(&file, &Mode::Netascii, block);
            prop_assert_eq!(&from_netascii(&sent), &file);
            let (mut undo, mut pieced) = (FromNetascii::default(), Vec::new());
            sent.chunks(block).for_each(|piece| undo.take(piece, &mut pieced));
            prop_assert_eq!((pieced, undo.finish()), (file, None));
        }

        #[test]
        fn a_cr_without_its_second_byte_is_kept(bytes in prop::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), Just(b'a')], 0..20,
        )) {
            // Whatever comes, a CR before anything else than LF and NUL is a CR.
            let text = from_netascii(&[&bytes[..], b"\rx"].concat());
            prop_assert!(text.ends_with(b"\rx"));
        }
    }
}
