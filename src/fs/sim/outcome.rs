//! What a power cut can leave of the bytes of a file.

use std::sync::Arc;

use super::disk::Data;
use super::random::Random;

/// The size of the smallest piece that a disk writes as a whole, in bytes.
const SECTOR: usize = 512;
/// The sizes of the pieces into which longer files are torn, in bytes: a sector and a page.
const PIECES: [usize; 2] = [SECTOR, 4096];
/// The longest file for which every subset of the sectors is tried, in sectors.
const SECTORS_MAX: usize = 4;

/// What becomes of the bytes that were written to a file and not fsynced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum FileOutcome {
    /// The file is as it was at the last fsync.
    Dropped,
    /// Everything was written.
    Kept,
    /// The length was written, but the bytes were not: they are zeros.
    Zeroed,
    /// The length was written, and the blocks hold what was there before: garbage.
    Garbage,
    /// The length was written, and the blocks hold an older file.
    Stale,
    /// This many bytes were written, and the length agrees.
    TruncatedTo(usize),
    /// The sectors whose bits are set were written, and the others are zeros.
    KeptOfZeros(u8),
    /// The sectors whose bits are set were written, and the others are garbage.
    KeptOfGarbage(u8),
    /// Everything up to a boundary of pieces of this size was written.
    TruncatedAnywhere(usize),
    /// Each piece of this size is kept, zeroed or garbage. The second number selects one of several
    /// patterns.
    Torn(usize, u8),
}

/// For a file of up to `SECTORS_MAX` sectors: every subset of the sectors, and every length at
/// which a sector ends. The file may also end in the middle of the last sector, as two writes may
/// have filled it. For a longer file: samples.
pub(super) fn outcomes(data: &Data) -> Vec<FileOutcome> {
    if data.written.is_empty() {
        return vec![FileOutcome::Dropped];
    }
    let mut outcomes = vec![
        FileOutcome::Dropped,
        FileOutcome::Kept,
        FileOutcome::Zeroed,
        FileOutcome::Garbage,
        FileOutcome::Stale,
    ];
    let length = data.now.len();
    let sectors = length.div_ceil(SECTOR);
    if sectors > SECTORS_MAX {
        for piece in PIECES.into_iter().filter(|piece| length > *piece) {
            outcomes.extend([
                FileOutcome::TruncatedAnywhere(piece),
                FileOutcome::Torn(piece, 0),
                FileOutcome::Torn(piece, 1),
            ]);
        }
        return outcomes;
    }
    let ends = (1..sectors).map(|sector| sector * SECTOR);
    let middle = usize::midpoint(sectors.saturating_sub(1) * SECTOR, length);
    let more_than_durable = data.durable.len() + 1..length;
    outcomes.extend(
        ends.chain([middle]).filter(|end| more_than_durable.contains(end)).map(FileOutcome::TruncatedTo),
    );
    let is_written = |sector: &usize| {
        let sector = sector * SECTOR..(sector + 1) * SECTOR;
        data.written.iter().any(|range| range.start < sector.end && sector.start < range.end)
    };
    let written = (0..sectors).filter(is_written).fold(0, |all: u8, sector| all | 1 << sector);
    // The full set is `Kept`, and the empty set is `Zeroed` or `Garbage`.
    let subsets = (1..written).filter(|subset| subset & !written == 0);
    outcomes.extend(
        subsets.flat_map(|subset| [FileOutcome::KeptOfZeros(subset), FileOutcome::KeptOfGarbage(subset)]),
    );
    outcomes
}

impl FileOutcome {
    /// The bytes that are left. `older` is what an older file had in these blocks. The first seed
    /// decides where a file ends and what garbage holds, the second how a file is torn.
    pub(super) fn bytes(self, data: &Data, older: Option<&[u8]>, [seed, tearing]: [u64; 2]) -> Arc<Vec<u8>> {
        let mut random =
            Random::new(if let Self::Torn(_, way) = self { tearing ^ u64::from(way) } else { seed });
        let up_to = |length: usize| data.now.get(..length).unwrap_or_default().to_vec();
        let (mut bytes, piece) = match self {
            Self::Dropped => return Arc::clone(&data.durable),
            Self::Kept => return Arc::clone(&data.now),
            Self::TruncatedTo(length) => return Arc::new(up_to(length)),
            Self::TruncatedAnywhere(piece) => {
                let pieces = random.below((data.now.len() / piece) as u64 + 1);
                let end = usize::try_from(pieces).unwrap_or(0) * piece;
                return Arc::new(up_to(end.max(data.durable.len())));
            }
            Self::Torn(piece, _) => ((*data.now).clone(), piece),
            Self::KeptOfZeros(_) | Self::KeptOfGarbage(_) => ((*data.now).clone(), SECTOR),
            Self::Zeroed | Self::Garbage | Self::Stale => ((*data.now).clone(), usize::MAX),
        };
        for range in &data.written {
            let mut at = range.start;
            while at < range.end.min(bytes.len()) {
                // Up to the next boundary of a piece, which need not be a boundary of the range.
                let end = (at / piece + 1).saturating_mul(piece).min(range.end).min(bytes.len());
                let Some(part) = bytes.get_mut(at..end) else { break };
                match (self.of_piece(at / piece, &mut random), older) {
                    (Self::Zeroed, _) => part.fill(0),
                    (Self::Stale, Some(older)) => {
                        part.copy_from_slice(older.get(at..end).unwrap_or_default());
                    }
                    (Self::Garbage | Self::Stale, _) => random.fill(part),
                    _ => {}
                }
                at = end;
            }
        }
        Arc::new(bytes)
    }

    /// The outcome of one piece.
    fn of_piece(self, place: usize, random: &mut Random) -> Self {
        let is_kept = |subset: u8| subset >> place & 1 == 1;
        match self {
            Self::KeptOfZeros(subset) if !is_kept(subset) => Self::Zeroed,
            Self::KeptOfGarbage(subset) if !is_kept(subset) => Self::Garbage,
            Self::Torn(..) => match random.below(3) {
                0 => Self::Kept,
                1 => Self::Zeroed,
                _ => Self::Garbage,
            },
            outcome => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(length: usize, from: usize) -> Data {
        let now: Vec<u8> = (0..length).map(|at| (at / SECTOR) as u8 + 1).collect();
        let mut data = Data::durable(Arc::new(now[..from].to_vec()), false);
        data.now = Arc::new(now);
        data.written = std::iter::once(from..length).collect();
        data
    }

    /// Each sector of what is left (kept, zeroed, or something else), and the length.
    fn left(data: &Data, outcome: FileOutcome) -> String {
        let bytes = outcome.bytes(data, None, [1, 1]);
        let sector = |(sector, bytes): (usize, &[u8])| match bytes {
            bytes if bytes.iter().all(|byte| usize::from(*byte) == sector + 1) => 'k',
            bytes if bytes.iter().all(|byte| *byte == 0) => '0',
            _ => 'g',
        };
        format!("{} {}", bytes.chunks(SECTOR).enumerate().map(sector).collect::<String>(), bytes.len())
    }

    fn all_left(data: &Data) -> Vec<String> {
        outcomes(data).into_iter().map(|outcome| left(data, outcome)).collect()
    }

    #[test]
    fn a_short_file_is_left_with_every_subset_of_its_sectors_and_every_length_at_which_one_ends() {
        assert_eq!(all_left(&written(300, 0)), [" 0", "k 300", "0 300", "g 300", "g 300", "k 150"]);
        assert_eq!(
            all_left(&written(700, 0)),
            [
                " 0", "kk 700", "00 700", "gg 700", "gg 700", "k 512", "kk 606", "k0 700", "kg 700",
                "0k 700", "gk 700"
            ]
        );
        for sectors in 1..=SECTORS_MAX {
            let all = all_left(&written(sectors * SECTOR, 0));
            // Without an older file, `Stale` gives the same bytes as `Garbage`.
            assert_eq!(all.len(), 5 + sectors + 2 * ((1 << sectors) - 2), "{all:?}");
            let distinct: std::collections::BTreeSet<_> = all.iter().collect();
            assert_eq!(distinct.len(), all.len() - 1, "{all:?}");
        }
        assert_eq!(outcomes(&written(1, 0)).len(), 5, "a byte has no middle");
    }

    #[test]
    fn what_was_synced_before_is_left_as_it_is() {
        assert_eq!(
            all_left(&written(1500, 1024)),
            ["kk 1024", "kkk 1500", "kk0 1500", "kkg 1500", "kkg 1500", "kkk 1262"]
        );
        assert_eq!(outcomes(&Data::durable(Arc::new(vec![1; 700]), false)), [FileOutcome::Dropped]);
        let long = written(9000, 8192);
        for outcome in outcomes(&long) {
            let kept = left(&long, outcome);
            assert!(kept.starts_with(&"k".repeat(16)), "{outcome:?}: {kept}");
        }
    }

    #[test]
    fn a_long_file_is_cut_and_torn_in_sectors_and_in_pages() {
        let long = written(9000, 0);
        let all = [
            FileOutcome::TruncatedAnywhere(512),
            FileOutcome::Torn(512, 0),
            FileOutcome::Torn(512, 1),
            FileOutcome::TruncatedAnywhere(4096),
            FileOutcome::Torn(4096, 0),
            FileOutcome::Torn(4096, 1),
        ];
        assert_eq!(outcomes(&long)[5..], all);
        let torn: std::collections::BTreeSet<_> = all.iter().map(|outcome| left(&long, *outcome)).collect();
        assert_eq!(torn.len(), all.len(), "{torn:?}");
    }
}
