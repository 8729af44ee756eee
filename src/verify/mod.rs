//! Checking a store against its own record of itself.

mod files;
mod whole;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::cancel::CancelFlag;
use crate::engine::finding::{Finding, FindingKind, Severity};
use crate::engine::read::LoadError;
use crate::error::Result;
use crate::format::entry::Entry;
use crate::format::names::Name;
use crate::progress::{Progress, ProgressFn};
use crate::revision::Generation;
use crate::store::Store;

/// What is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum VerifyScope {
    /// The newest generation.
    #[default]
    Head,
    /// One generation.
    Generation(Generation),
    /// Every generation, every checkpoint, and every name that belongs to none.
    All,
}

/// How a store is checked.
///
/// ```
/// # use genstore::VerifyOptions;
/// let quick = VerifyOptions::new()
///     .quick(true)
///     .progress(|progress| eprintln!("{} of {}", progress.files_done, progress.files_total));
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct VerifyOptions {
    scope: VerifyScope,
    quick: bool,
    threads: usize,
    progress: Option<ProgressFn>,
    cancel: CancelFlag,
}

impl VerifyOptions {
    /// The usual options: every byte of the newest generation.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is checked. The newest generation unless set.
    pub const fn scope(mut self, scope: VerifyScope) -> Self {
        self.scope = scope;
        self
    }

    /// Whether only names, lengths and the chain are checked, instead of every byte. `false` unless set.
    pub const fn quick(mut self, quick: bool) -> Self {
        self.quick = quick;
        self
    }

    /// The number of threads that read. One for each core unless set, and where 0 is set.
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Tells this of every file that is done. See [`Progress`].
    pub fn progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(tell));
        self
    }

    /// Ends the check between two files once this is cancelled. The store's own flag does so as well.
    pub fn cancel(mut self, flag: CancelFlag) -> Self {
        self.cancel = flag;
        self
    }
}

impl std::fmt::Debug for VerifyOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { scope, quick, threads, .. } = self;
        f.debug_struct("VerifyOptions")
            .field("scope", scope)
            .field("quick", quick)
            .field("threads", threads)
            .finish_non_exhaustive()
    }
}

/// What a check has found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Whether everything that was committed is as it was committed: no finding is an error.
    pub ok: bool,
    /// The number of generations checked.
    pub generations: u64,
    /// The number of stored files checked. One that several generations share counts once.
    pub files: u64,
    /// Their length, in bytes.
    pub bytes: u64,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

/// What is to be checked: every stored file once, and what was found on the way to them.
#[derive(Debug, Default)]
struct Work {
    files: BTreeMap<Name, Entry>,
    generations: u64,
    findings: Vec<Finding>,
}

impl Work {
    fn add(&mut self, entry: &Entry) {
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

    fn note(&mut self, fault: LoadError) -> Result<()> {
        match fault {
            LoadError::Fatal(error) => Err(error),
            fault => {
                self.findings.extend(Finding::of(&fault));
                Ok(())
            }
        }
    }
}

impl Store {
    /// Checks the store and changes nothing.
    ///
    /// Others may go on committing meanwhile: what is checked is the state at the beginning.
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
    /// As [`snapshot`](Store::snapshot) and [`snapshot_at`](Store::snapshot_at), and `Io` when the system cannot
    /// read just now. Damage is no error but a finding.
    pub fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport> {
        let mut work = Work::default();
        // Its pin holds the files while they are read.
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
