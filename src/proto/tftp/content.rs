//! The bytes of a file as they go over the wire: octet as they are, netascii converted on the way
//! (RFC 1350 section 1, RFC 764: a line ends in CR LF, a bare CR is CR NUL). Nothing is copied.

use std::sync::Arc;

use super::packet::Mode;

/// A file on disk is brought in pieces of this size. The largest window has as many bytes, so that
/// it lies in two of them at most.
pub const PIECE_BYTES: usize = 128 << 10;

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
pub enum Source {
    Whole(Arc<[u8]>),
    /// A file of so many bytes that the driver brings piece by piece.
    Pieces {
        bytes: u64,
    },
}

impl From<Arc<[u8]>> for Source {
    fn from(bytes: Arc<[u8]>) -> Self {
        Source::Whole(bytes)
    }
}

/// A file in one mode of transfer.
#[derive(Debug, Clone)]
pub struct Content {
    bytes: Bytes,
    netascii: bool,
    wire_bytes: u64,
}

#[derive(Debug, Clone)]
enum Bytes {
    Whole(Arc<[u8]>),
    Pieces {
        length: u64,
        /// With their numbers from 0: the one that is sent, and the one behind it.
        here: [Option<(u64, Arc<Vec<u8>>)>; 2],
    },
}

/// A place in a [`Content`], between two bytes of the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Bytes of the file before this place.
    offset: u64,
    /// The first of the two bytes of this line end has gone out.
    half: bool,
}

impl Content {
    /// A file in pieces goes as it is, whatever the mode: its length as netascii is not known.
    pub fn new(source: impl Into<Source>, mode: &Mode) -> Self {
        let wants_netascii = match mode {
            Mode::Netascii => true,
            Mode::Octet | Mode::Mail | Mode::Other(_) => false,
        };
        let (bytes, netascii, wire_bytes) = match source.into() {
            Source::Whole(bytes) => {
                let doubled = if wants_netascii {
                    bytes.iter().filter(|byte| is_doubled(**byte)).count()
                } else {
                    0
                };
                let wire_bytes = (bytes.len() + doubled) as u64;
                (Bytes::Whole(bytes), wants_netascii, wire_bytes)
            }
            Source::Pieces { bytes } => {
                (Bytes::Pieces { length: bytes, here: [None, None] }, false, bytes)
            }
        };
        Self { bytes, netascii, wire_bytes }
    }

    /// The length on the wire, which is what `tsize` tells (RFC 2349).
    pub fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }

    /// Writes up to `count` bytes of the wire from `cursor` on, and returns the place behind them.
    /// What is written must be here: [`Self::has`].
    pub fn write(&self, cursor: Cursor, count: usize, out: &mut Vec<u8>) -> Cursor {
        if self.netascii {
            return self.walk(cursor, count, |byte| out.push(byte));
        }
        let end = self.skip(cursor, count);
        match &self.bytes {
            // Both lie within the slice, so they fit.
            Bytes::Whole(bytes) => {
                out.extend_from_slice(&bytes[cursor.offset as usize..end.offset as usize]);
            }
            Bytes::Pieces { here, .. } => {
                let mut at = cursor.offset;
                while at < end.offset {
                    let (index, skipped) = place(at);
                    let Some((_, piece)) = here.iter().flatten().find(|(i, _)| *i == index) else {
                        break;
                    };
                    let rest = piece.get(skipped..).unwrap_or_default();
                    // At most `count`.
                    let part = &rest[..rest.len().min((end.offset - at) as usize)];
                    if part.is_empty() {
                        break;
                    }
                    out.extend_from_slice(part);
                    at += part.len() as u64;
                }
            }
        }
        end
    }

    /// The place `count` bytes of the wire behind `cursor`, or the end.
    pub fn skip(&self, cursor: Cursor, count: usize) -> Cursor {
        if self.netascii {
            return self.walk(cursor, count, |_| {});
        }
        let offset = cursor.offset.saturating_add(count as u64).min(self.wire_bytes);
        Cursor { offset, half: false }
    }

    /// Whether `count` bytes from `cursor` on, or those up to the end, are here.
    pub fn has(&self, cursor: Cursor, count: usize) -> bool {
        let Bytes::Pieces { here, .. } = &self.bytes else { return true };
        let end = self.skip(cursor, count).offset;
        end == cursor.offset || {
            let (first, last) = (place(cursor.offset).0, place(end - 1).0);
            (first..=last).all(|index| here.iter().flatten().any(|(i, _)| *i == index))
        }
    }

    /// The number of the piece that should be brought next, for a reader at `cursor`: the one it
    /// needs, then the one behind it.
    pub fn wanted(&self, cursor: Cursor) -> Option<u64> {
        let Bytes::Pieces { length, here } = &self.bytes else { return None };
        let first = place(cursor.offset).0;
        let is_missing = |index: &u64| {
            index * (PIECE_BYTES as u64) < *length
                && !here.iter().flatten().any(|(i, _)| i == index)
        };
        (first..first + 2).find(is_missing)
    }

    /// A piece that was wanted. It takes the place of the earlier one.
    pub fn bring(&mut self, index: u64, piece: Arc<Vec<u8>>) {
        if let Bytes::Pieces { here, .. } = &mut self.bytes {
            let earlier = usize::from(match (&here[0], &here[1]) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some((first, _)), Some((second, _))) => second < first,
            });
            here[earlier] = Some((index, piece));
        }
    }

    fn walk(&self, mut cursor: Cursor, count: usize, mut each: impl FnMut(u8)) -> Cursor {
        let Bytes::Whole(bytes) = &self.bytes else { return cursor };
        for _ in 0..count {
            // Offsets stay within the slice.
            let Some(&byte) = bytes.get(cursor.offset as usize) else { break };
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
        self.offset
    }
}

/// The piece of an offset, and how far inside it that is.
fn place(offset: u64) -> (u64, usize) {
    let bytes = PIECE_BYTES as u64;
    // The remainder is below PIECE_BYTES.
    (offset / bytes, (offset % bytes) as usize)
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
        let content = Content::new(Arc::<[u8]>::from(file), mode);
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

    #[test]
    fn a_file_in_pieces_is_the_same_file() {
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES + 5] {
            let file: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
            let bytes = length as u64;
            let mut content = Content::new(Source::Pieces { bytes }, &Mode::Octet);
            assert_eq!(content.wire_bytes(), bytes);
            let (mut out, mut cursor, mut brought) = (Vec::new(), Cursor::default(), 0);
            loop {
                while let Some(index) = content.wanted(cursor) {
                    let start = index as usize * PIECE_BYTES;
                    let piece = file[start..length.min(start + PIECE_BYTES)].to_vec();
                    content.bring(index, Arc::new(piece));
                    brought += 1;
                }
                assert!(content.has(cursor, PIECE_BYTES));
                let next = content.write(cursor, 1428, &mut out);
                if next == cursor {
                    break;
                }
                cursor = next;
            }
            assert!(out == file, "{length}");
            assert_eq!(brought, length.div_ceil(PIECE_BYTES), "each piece once");
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
