//! The ways to get the protocol wrong. Each must be refuted, or the model would prove nothing. One of them is right, which
//! is shown as well.

/// How the protocol that is checked differs from the one that is implemented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    Nothing,
    DataNotSynced,
    ManifestNotSynced,
    /// The second half of barrier 1 leaves out the root,
    RootDirNotSynced,
    /// or `data/`,
    DataDirNotSynced,
    /// or `manifests/`.
    ManifestsDirNotSynced,
    PointerNotSynced,
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
    SettlesBySync,
    /// To settle is to write the pointer over the one that is there.
    SettlesInPlace,
    /// What is swapped in to settle is not fsynced before.
    SettlesUnflushed,
    /// The first writer after a start of the machine removes what interrupted commits have left.
    RecoveryRemoves,
    /// Interrupted commits are looked for in `manifests/` alone.
    ReportsManifests,
    /// Interrupted commits are looked for up to the first number of which there is no name.
    ReportsToGap,
    /// Whoever reports interrupted commits does not look whether one of them was committed meanwhile.
    ReportsWithoutSecondLook,
    NoLock,
    /// What was written is removed although the outcome is unknown.
    DiscardsUnknown,
}
