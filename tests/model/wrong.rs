//! The ways to get the protocol wrong. Each must be refuted, or the model would prove nothing.

/// How the protocol that is checked differs from the one that is implemented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    Nothing,
    DataNotFlushed,
    ManifestNotFlushed,
    DirectoriesNotFlushed,
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
    /// To settle is to flush the root directory once more.
    SettlesByFlush,
    NoLock,
    /// What was written is removed although the outcome is unknown.
    DiscardsUnknown,
}
