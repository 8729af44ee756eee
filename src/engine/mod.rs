//! The protocol: how a store is opened, read, changed and recovered, on top of
//! [`Storage`](crate::storage::Storage).
//!
//! Each module imports only modules of earlier lines:
//!
//! 1. `poison`, `pins`, `backoff`, `table`, `validate`, `content`: in memory, and the bytes of
//!    files
//! 2. `read`, `finding`, `head`: one checked document, what is wrong with one, one committed state
//! 3. `chain`, `replay`, `resolve`: back along the parents, the table at a generation, what a
//!    revision names
//! 4. `recover`, `handle`, `versions`: the state to serve when something is damaged, the open store
//! 5. `lock`, `changeset`, `conflict`, `checkpoint`, `publish`, `commit`: a new generation
//! 6. `open`, `create`
//!
//! Within a line, a module imports only modules to its left.

pub(crate) mod backoff;
pub(crate) mod chain;
pub(crate) mod changeset;
pub(crate) mod checkpoint;
pub(crate) mod commit;
pub(crate) mod conflict;
pub(crate) mod content;
pub(crate) mod create;
pub(crate) mod finding;
pub(crate) mod handle;
pub(crate) mod head;
pub(crate) mod lock;
pub(crate) mod open;
pub(crate) mod pins;
pub(crate) mod poison;
pub(crate) mod publish;
pub(crate) mod read;
pub(crate) mod recover;
pub(crate) mod replay;
pub(crate) mod resolve;
pub(crate) mod table;
pub(crate) mod validate;
pub(crate) mod versions;

pub(crate) use handle::{Engine, Options};
pub(crate) use head::Head;
