//! Ways to get the protocol wrong. Each must be refuted, or the model would prove nothing. One of
//! them is right, and a test shows that.

/// How the checked protocol differs from the implemented one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    Nothing,
    DataNotSynced,
    ManifestNotSynced,
    /// The second half of barrier 1 leaves out the root.
    RootDirNotSynced,
    /// The second half of barrier 1 leaves out `data/`.
    DataDirNotSynced,
    /// The second half of barrier 1 leaves out `manifests/`.
    ManifestsDirNotSynced,
    PointerNotSynced,
    NoBarrierTwo,
    /// The rename comes before barrier 1.
    SwapFirst,
    /// After a start of the machine the names are not looked at.
    NoLook,
    /// The next number is looked up on the disk each time.
    NoteIgnored,
    /// A writer that settles a head without having looked at the names notes the next number as
    /// free.
    NoteWithoutLook,
    /// A writer that is killed while it writes the note leaves one that cannot be read.
    NoteTorn,
    AcknowledgesUnsettled,
    BuildsOnUnsettled,
    /// To settle is to fsync the root directory once more. This is right: a disk on which that
    /// failed has stopped.
    SettlesBySync,
    /// To settle is to write over the pointer that is there.
    SettlesInPlace,
    /// What is swapped in to settle is not fsynced before.
    SettlesUnsynced,
    /// The first writer after a start of the machine removes what interrupted commits have left.
    RecoveryRemoves,
    /// Interrupted commits are looked for only in `manifests/`.
    ReportsManifests,
    /// Interrupted commits are looked for up to the first number without a name.
    ReportsToGap,
    /// A report of interrupted commits does not check whether one of them was committed meanwhile.
    ReportsWithoutSecondLook,
    NoLock,
    /// What was written is removed although the outcome is unknown.
    DiscardsUnknown,
}
