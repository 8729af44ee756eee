//! Other versions of a file, to offer when one is damaged.

use super::chain::Chain;
use super::content::{self, Check, ReadError};
use super::handle::Engine;
use super::read;
use crate::error::{Error, ErrorRepr, Operation};
use crate::format::entry::Entry;
use crate::format::pointer::ManifestRef;
use crate::revision::Generation;

impl Engine {
    /// The public error for content of `entry` that could not be delivered. Names an intact
    /// version, looked for from the known head backwards and then from the generation at `from`.
    pub(crate) fn failed(&self, entry: &Entry, from: ManifestRef, failed: ReadError) -> Error {
        let damage = match failed {
            ReadError::Sink(error) => {
                return Error::io(Operation::PassOn, entry.path.as_str(), error);
            }
            ReadError::Unknown(error) => {
                return Error::io(Operation::Read, content::name(entry).to_string(), error);
            }
            ReadError::Damaged(damage) => damage,
        };
        let newest = self.versions(entry, self.known().link);
        let intact = newest
            .chain(self.versions(entry, from))
            .find(|(_, older)| matches!(content::check(self.storage(), older), Check::Intact));
        ErrorRepr::DamagedFile {
            path: entry.path.clone(),
            generation: entry.generation,
            detail: damage.detail,
            expected: damage.expected,
            found: damage.found,
            is_missing: damage.is_missing,
            intact: intact.map(|(generation, _)| generation),
        }
        .into()
    }

    /// The versions of a path other than `entry`, from the generation at `from` backwards, each
    /// with the generation that put it. Skips damage in the history.
    pub(crate) fn versions<'a>(
        &'a self,
        entry: &'a Entry,
        from: ManifestRef,
    ) -> impl Iterator<Item = (Generation, Entry)> + 'a {
        let mut last = entry.clone();
        Chain::new(self.storage(), self.id(), from).filter_map(Result::ok).filter_map(
            move |(link, manifest)| {
                let found = read::puts(&manifest)
                    .map(|(found, _)| found)
                    .find(|found| found.path == entry.path)?
                    .clone();
                let same_file = |other: &Entry| {
                    found.generation == other.generation && found.stored_path() == other.stored_path()
                };
                if same_file(entry) || same_file(&last) {
                    return None;
                }
                last = found.clone();
                Some((link.generation, found))
            },
        )
    }
}
