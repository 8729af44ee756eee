//! The check of a store against its own manifests.

mod files;
mod options;
mod whole;
mod work;

use serde::Serialize;

use crate::engine::finding::{Finding, FindingKind, Severity};
use crate::error::Result;
use crate::format::names::Name;
use crate::progress::Progress;
use crate::store::Store;
pub use options::{VerifyOptions, VerifyScope};
use work::Work;

/// What [`Store::verify`] has checked and found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Whether no finding is an [error](Severity::Error): everything in scope is as it was
    /// committed.
    pub ok: bool,
    /// The number of generations in scope.
    pub generations: u64,
    /// The number of stored files in scope. A file that several generations share counts once.
    pub files: u64,
    /// The length of these files together, in bytes.
    pub bytes: u64,
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
}

impl Store {
    /// Checks manifests and stored files against their hashes, and changes nothing.
    ///
    /// The options choose the scope. By default it is every byte of the newest generation. Several
    /// threads read the files. Writers may commit during the check, which covers the state at its
    /// beginning.
    ///
    /// Damage is a finding with [`Severity::Error`], and so is a file that this process has no
    /// permission to read. An interrupted commit is a note, and so is an orphan, which only
    /// [`VerifyScope::All`] looks for.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// use genstore::{VerifyOptions, VerifyScope};
    ///
    /// store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// let report = store.verify(&VerifyOptions::new().scope(VerifyScope::All).threads(1))?;
    /// assert!(report.ok && report.findings.is_empty());
    /// assert_eq!((report.generations, report.files), (2, 1));
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`snapshot`](Store::snapshot) and [`snapshot_at`](Store::snapshot_at). `Io` also when a
    /// [`CancelFlag`](crate::CancelFlag) stopped the call. Damage to what is checked is not an
    /// error but a finding.
    pub fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport> {
        let mut work = Work::default();
        // The pin of the snapshot keeps the files while they are read.
        let snapshot = match options.scope {
            VerifyScope::Generation(generation) => self.snapshot_at(generation)?,
            VerifyScope::Head | VerifyScope::All => self.snapshot()?,
        };
        work.findings.extend(snapshot.head.recovery.iter().flat_map(|report| report.findings.clone()));
        match options.scope {
            VerifyScope::All => whole::collect(self, &snapshot, &mut work)?,
            VerifyScope::Head | VerifyScope::Generation(_) => {
                work.generations = 1;
                snapshot.head.table.iter().for_each(|entry| work.add(entry));
                if options.scope == VerifyScope::Head {
                    work.findings.extend(self.status()?.interrupted_findings());
                }
            }
        }
        let total = Progress::of(work.files.values().map(|entry| entry.bytes));
        let mut findings = std::mem::take(&mut work.findings);
        if let Err(error) = snapshot.head.table.check_all_directories() {
            let name = Name::Manifest(snapshot.generation());
            let detail = error.to_string();
            findings.push(Finding::new(Severity::Error, FindingKind::ManifestDamaged, &name, detail));
        }
        findings.extend(files::check(self, &work.files, options)?);
        findings.sort_by(|one, two| {
            let key = |finding: &Finding| {
                (std::cmp::Reverse(finding.severity), finding.kind, finding.path.clone(), finding.generation)
            };
            key(one).cmp(&key(two)).then_with(|| one.detail.cmp(&two.detail))
        });
        findings.dedup();
        let ok = findings.iter().all(|finding| finding.severity != Severity::Error);
        Ok(VerifyReport {
            ok,
            generations: work.generations,
            files: total.files_total,
            bytes: total.bytes_total,
            findings,
        })
    }
}
