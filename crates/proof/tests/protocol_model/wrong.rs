//! The ways to get the protocol wrong. Each must be refuted, or the model would prove nothing. One of them is right, which
//! is shown as well.

/// How the protocol that is checked differs from the one that is implemented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    Nothing,
    DataNotFlushed,
    ManifestNotFlushed,
    /// The second half of barrier 1 leaves out the root,
    RootDirNotFlushed,
    /// or `data/`,
    DataDirNotFlushed,
    /// or `manifests/`.
    ManifestsDirNotFlushed,
    PointerNotFlushed,
    NoBarrierTwo,
    /// The rename comes before barrier 1.
    SwapFirst,
    /// After a start of the machine no name is looked at.
    NoLook,
    /// The next number is looked for on the disk each time.
    NoteIgnored,
    /// Who settles a head without having looked at the names notes down the number after it as free.
    NoteWithoutLook,
    /// Who is killed while writing the note leaves one that cannot be read.
    NoteTorn,
    AcknowledgesUnsettled,
    BuildsOnUnsettled,
    /// To settle is to fsync the root directory once more. That is right: a disk on which that failed has stopped.
    SettlesByFlush,
    /// To settle is to write the pointer over the one that is there.
    SettlesInPlace,
    /// What is swapped in to settle is not flushed before.
    SettlesUnflushed,
    /// The first writer after a start of the machine removes what interrupted saves have left.
    RecoveryRemoves,
    /// Interrupted saves are looked for in `manifests/` alone.
    ReportsManifests,
    /// Interrupted saves are looked for up to the first number of which there is no name.
    ReportsToGap,
    /// Whoever reports interrupted saves does not look whether one of them was committed meanwhile.
    ReportsWithoutSecondLook,
    NoLock,
    /// What was written is removed although the outcome is unknown.
    DiscardsUnknown,
}
