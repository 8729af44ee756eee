//! The checksum line: the last line of the pointer, of every manifest and of every checkpoint.
//!
//! It is a line of JSON, so that `jq` reads the whole file, and it sorts after every line of a
//! checkpoint: `{"sum":"crc32:1a2b3c4d"}`. The CRC-32 (IEEE 802.3, as in zlib) covers every byte
//! before that line.

use super::FormatError;

const BEFORE: &[u8] = b"{\"sum\":\"crc32:";
const AFTER: &[u8] = b"\"}\n";
/// The length of the line with its line feed, in bytes.
pub(crate) const LINE: usize = BEFORE.len() + 8 + AFTER.len();

/// The checksum line for bytes with this CRC-32.
pub(crate) fn line(crc: u32) -> String {
    format!("{{\"sum\":\"crc32:{crc:08x}\"}}\n")
}

/// The CRC-32 that a checksum line states. `None` unless the line is exactly one that [`line`]
/// gives.
pub(crate) fn parse(line: &[u8]) -> Option<u32> {
    let digits = line.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    if digits.len() != 8 || !digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Appends the checksum line to a body that ends in a line feed.
pub(crate) fn seal(mut body: Vec<u8>) -> Vec<u8> {
    debug_assert_eq!(body.last(), Some(&b'\n'), "a body consists of whole lines");
    let crc = crc32fast::hash(&body);
    body.extend_from_slice(line(crc).as_bytes());
    body
}

/// The body of sealed bytes. Its checksum is correct.
pub(crate) fn unseal(bytes: &[u8]) -> Result<&str, FormatError> {
    if bytes.is_empty() {
        return Err(FormatError::Empty);
    }
    let at = bytes.len().checked_sub(LINE).ok_or(FormatError::NoChecksum)?;
    let (body, last) = bytes.split_at_checked(at).ok_or(FormatError::NoChecksum)?;
    let expected = parse(last).ok_or(FormatError::NoChecksum)?;
    compare(expected, crc32fast::hash(body))?;
    if body.last() != Some(&b'\n') {
        return Err(FormatError::rule("the checksum must stand on a line of its own"));
    }
    std::str::from_utf8(body).map_err(|_| FormatError::NotUtf8)
}

/// Fails when the stated checksum differs from that of the bytes.
pub(crate) fn compare(expected: u32, found: u32) -> Result<(), FormatError> {
    if expected == found {
        return Ok(());
    }
    Err(FormatError::Checksum {
        expected: format!("crc32:{expected:08x}"),
        found: format!("crc32:{found:08x}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc32_is_the_published_one() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        assert_eq!(seal(b"x\n".to_vec()).len(), 2 + LINE);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let sealed = seal(b"{\"a\":1}\n".to_vec());
        assert_eq!(unseal(&sealed), Ok("{\"a\":1}\n"));
        for at in 0..sealed.len() {
            assert!(unseal(&sealed[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut bad = sealed.clone();
                bad[at] ^= 1 << bit;
                assert!(unseal(&bad).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_line_that_is_nearly_right_is_none() {
        for bad in [
            "{\"sum\":\"crc32:1A2B3C4D\"}\n",
            "{\"sum\":\"crc32:+a2b3c4d\"}\n",
            "{\"sum\":\"crc32:1a2b3c4d\"}\r\n",
            "{\"sum\":\"crc32:1a2b3c4\"}\n",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(line(0x1a2b_3c4d).as_bytes()), Some(0x1a2b_3c4d));
    }
}
