//! The stored files to check.

use std::collections::BTreeMap;

use crate::engine::finding::{Finding, FindingKind, Severity};
use crate::engine::read::LoadError;
use crate::error::Result;
use crate::format::entry::Entry;
use crate::format::names::Name;

/// The stored files to check, each once, and the findings on the way to them.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) files: BTreeMap<Name, Entry>,
    pub(super) generations: u64,
    pub(super) findings: Vec<Finding>,
}

impl Work {
    pub(super) fn add(&mut self, entry: &Entry) {
        let name = Name::Data(entry.stored_path().clone(), entry.generation);
        match self.files.get(&name) {
            None => {
                self.files.insert(name, entry.clone());
            }
            Some(known) if (known.bytes, known.blake3) == (entry.bytes, entry.blake3) => {}
            Some(_) => {
                let detail = "two generations state different content for the same file";
                self.findings.push(Finding::new(
                    Severity::Error,
                    FindingKind::ManifestDamaged,
                    &name,
                    detail,
                ));
            }
        }
    }

    pub(super) fn note(&mut self, fault: LoadError) -> Result<()> {
        match fault {
            LoadError::Fatal(error) => Err(error),
            fault => {
                self.findings.extend(Finding::of(&fault));
                Ok(())
            }
        }
    }
}
