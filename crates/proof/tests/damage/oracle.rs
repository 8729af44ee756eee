//! What must hold for a damaged store, whatever the damage is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use genstore::{
    Error, ErrorKind, Finding, FindingKind, Health, Provenance, Severity, Snapshot, Store, VerifyOptions,
    VerifyReport, VerifyScope,
};

use crate::expected::{Expected, Pointer, Ruins, checkpoint_name};
use crate::harm::{Case, Patient, intact, number_in, why_harmless};
use crate::shape::{Model, Shape, Stored};
use crate::support::{Item, assert_same, contents, g, names, tree};

/// Some expensive calls are made for one in this many cases of the same kind.
const TURNS: usize = 7;

/// What became of one damage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Verdict {
    /// It was reported.
    Detected,
    /// It was not reported. This is why it does no harm.
    Harmless(&'static str),
    /// The damage left the same bytes.
    Nothing,
}

/// The findings of a full check of an undamaged store.
pub(crate) fn baseline(patient: &Patient, shape: &Shape) -> Vec<Finding> {
    let store = Store::open(patient.place.store()).unwrap();
    let report = verify(&store).unwrap();
    assert!(report.ok, "{}: {report:?}", shape.name);
    let expected = Expected::of(&shape.model, &intact(shape));
    let mut look = Look::new(&shape.model, &expected, &[], "");
    look.generations(&store, shape.model.states.keys().copied());
    assert_eq!((look.told, store.recovery()), (false, None), "{}", shape.name);
    report.findings
}

fn verify(store: &Store) -> Result<VerifyReport, Error> {
    store.verify(&VerifyOptions::new().scope(VerifyScope::All).threads(1))
}

/// Everything but the locks. A snapshot creates a pin and removes it again.
pub(crate) fn committed(patient: &Patient) -> BTreeMap<String, Item> {
    let mut found = tree(&patient.place.store());
    found.retain(|name, _| name != "locks" && !name.starts_with("locks/"));
    found
}

/// Damages a store, checks it in every way, and gives the result.
pub(crate) fn examine(
    patient: &Patient,
    shape: &Shape,
    case: &Case,
    number: usize,
    baseline: &[Finding],
) -> Verdict {
    let mut ruins = intact(shape);
    let earlier = case.is_deep.then(|| Store::open(patient.place.store()).unwrap());
    if !patient.harm(shape, case, &mut ruins) {
        return Verdict::Nothing;
    }
    let mut named: Vec<&str> = ruins.broken.iter().map(String::as_str).collect();
    named.push(&case.name);
    if let Some(earlier) = earlier {
        opened_before(&earlier, &shape.model, &ruins, &named, &case.name);
    }
    let is_told = judge(patient, &shape.model, &ruins, case, number, baseline, &named);
    match (is_told, why_harmless(shape, case, &ruins)) {
        (true, _) => Verdict::Detected,
        (false, Some(why)) => Verdict::Harmless(why),
        (false, None) => panic!("the damage was not noticed"),
    }
}

/// A handle that was open before the damage may know more than a new one. It must not give wrong
/// bytes either.
fn opened_before(store: &Store, model: &Model, ruins: &Ruins, named: &[&str], harmed: &str) {
    let expected = Expected::of(model, ruins);
    let mut look = Look::new(model, &expected, named, harmed);
    look.ruins = Some(ruins);
    match store.snapshot() {
        Ok(snapshot) => look.read(&snapshot, false),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}"),
    }
}

/// Checks a damaged store in every way. Gives whether any call named what is damaged.
pub(crate) fn judge(
    patient: &Patient,
    model: &Model,
    ruins: &Ruins,
    case: &Case,
    number: usize,
    baseline: &[Finding],
    named: &[&str],
) -> bool {
    let expected = Expected::of(model, ruins);
    let before = committed(patient);
    let mut look = Look::new(model, &expected, named, &case.name);
    look.ruins = Some(ruins);
    let store = match Store::open(patient.place.store()) {
        Ok(store) => store,
        Err(error) => {
            look.not_opened(&error, model, ruins);
            assert_same(&committed(patient), &before);
            return true;
        }
    };
    look.recovery(&store);
    // Each of these calls reads the whole store.
    let is_turn = |of: usize| case.is_deep || number % TURNS == of;
    if is_turn(0) {
        look.status(&store);
    }
    if case.is_deep {
        look.generations(&store, model.states.keys().copied());
    } else if is_turn(1) {
        let all: Vec<u64> = model.states.keys().copied().collect();
        look.generations(&store, [all[number / TURNS % all.len()]]);
    }
    if case.is_deep || !look.told {
        look.verified(&store, baseline);
    }
    assert_same(&committed(patient), &before);
    if expected.degraded && is_turn(2) {
        look.refuses_commit(&store);
        assert_same(&committed(patient), &before);
    } else if !expected.degraded && case.is_deep {
        look.commits(patient, store, baseline);
    }
    look.told
}

struct Look<'a> {
    model: &'a Model,
    expected: &'a Expected,
    ruins: Option<&'a Ruins>,
    /// The names that may be reported as damaged.
    named: &'a [&'a str],
    /// The name that was harmed. It may be a directory.
    harmed: &'a str,
    told: bool,
}

impl<'a> Look<'a> {
    fn new(model: &'a Model, expected: &'a Expected, named: &'a [&'a str], harmed: &'a str) -> Self {
        Self { model, expected, ruins: None, named, harmed, told: false }
    }

    fn is_broken(&self, name: &str) -> bool {
        self.ruins.is_some_and(|ruins| ruins.broken.contains(name))
    }

    /// Whether a text from the store names what is damaged.
    fn speaks_of(&self, text: &str) -> bool {
        self.named.iter().any(|name| text.contains(name))
    }

    fn names(&self, finding: &Finding) -> bool {
        let Some(path) = &finding.path else { return false };
        let is_file = matches!(finding.kind, FindingKind::FileDamaged | FindingKind::FileMissing);
        let name = match finding.generation {
            Some(generation) if is_file => format!("data/{path}.g{generation}"),
            _ => path.clone(),
        };
        let is_below = name.strip_prefix(self.harmed).is_some_and(|rest| rest.starts_with('/'));
        is_below || self.named.contains(&name.as_str())
    }

    fn not_opened(&self, error: &Error, model: &Model, ruins: &Ruins) {
        assert_eq!(self.expected.serving, None, "it cannot be opened: {error:?}");
        let is_unfinished = ruins.pointer == Pointer::Missing && model.states.len() == 1;
        let kind = if is_unfinished { ErrorKind::NotFound } else { ErrorKind::Corrupt };
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(is_unfinished || self.speaks_of(&error.to_string()), "{error} does not name it");
    }

    /// What the handle says about itself.
    fn recovery(&mut self, store: &Store) {
        let Some(serving) = self.expected.serving else {
            panic!("it was opened, and there is nothing to serve")
        };
        let report = store.recovery();
        let degraded = report.as_ref().is_some_and(|report| report.degraded);
        assert_eq!(degraded, self.expected.degraded, "{report:?}");
        if let Some(report) = report {
            assert_eq!(report.serving, g(serving), "{report:?}");
            for finding in &report.findings {
                assert!(self.names(finding), "an intact file is reported: {finding}");
                self.told = true;
            }
        }
        let snapshot = store.snapshot().unwrap();
        assert_eq!(snapshot.generation(), g(serving));
        self.read(&snapshot, true);
    }

    fn status(&mut self, store: &Store) {
        match store.status() {
            Ok(status) => {
                let serving = self.expected.serving.unwrap();
                let health = if self.expected.degraded { Health::Degraded } else { Health::Ok };
                assert_eq!((status.generation, status.health), (g(serving), health));
            }
            Err(error) => self.is_directory_error(&error),
        }
    }

    /// What has the name of a directory and is none cannot be listed.
    fn is_directory_error(&mut self, error: &Error) {
        assert!(["data", "manifests", "checkpoints", "staging", "locks"].contains(&self.harmed), "{error:?}");
        assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Corrupt), "{error:?}");
        assert!(self.speaks_of(&error.to_string()), "{error}");
        self.told = true;
    }

    /// Reads these generations. They can be read exactly if they should be.
    fn generations(&mut self, store: &Store, numbers: impl IntoIterator<Item = u64>) {
        let serving = self.expected.serving.unwrap();
        for number in numbers {
            match store.snapshot_at(g(number)) {
                Ok(snapshot) => {
                    assert!(self.expected.readable.contains(&number), "{number} can be read, but should not");
                    assert_eq!(snapshot.generation(), g(number));
                    self.read(&snapshot, true);
                }
                Err(error) => {
                    assert!(!self.expected.readable.contains(&number), "{number} cannot be read: {error:?}");
                    let is_there = number < serving && self.model.interrupted != Some(number);
                    let kind = if is_there { ErrorKind::Corrupt } else { ErrorKind::NotFound };
                    assert_eq!(error.kind(), kind, "{number}: {error:?}");
                    if is_there {
                        assert!(self.speaks_of(&error.to_string()), "{number}: {error} does not name it");
                        self.told = true;
                    }
                }
            }
        }
    }

    /// Reads every file of a generation. A file has the right bytes, or it is damaged and fails.
    /// With `is_offered`, the version that is offered instead is checked too.
    fn read(&mut self, snapshot: &Snapshot, is_offered: bool) {
        let number = snapshot.generation().get();
        let state = &self.model.states[&number];
        let listed: BTreeMap<String, (u64, u64)> = snapshot
            .list("")
            .map(|file| (file.path.to_string(), (file.bytes, file.generation.get())))
            .collect();
        let committed =
            state.iter().map(|(path, stored)| (path, (stored.bytes.len() as u64, stored.generation)));
        assert!(listed.iter().map(|(path, facts)| (path, *facts)).eq(committed), "{number}: {listed:?}");
        for (path, stored) in state {
            let read = snapshot.get(path);
            if !self.is_broken(&stored.file) {
                let read = read.unwrap_or_else(|error| panic!("{path} of {number} is good: {error:?}"));
                assert!(read == *stored.bytes, "{path} of {number} has wrong bytes");
                continue;
            }
            let Err(error) = read else { panic!("{path} of {number} is damaged and was read") };
            self.is_of(&error, path, stored);
            let Err(error) = snapshot.reader(path) else {
                panic!("{path} of {number} is damaged and was opened")
            };
            self.is_of(&error, path, stored);
            if is_offered {
                self.recovered(snapshot, path, stored);
            }
            self.told = true;
        }
    }

    fn is_of(&self, error: &Error, path: &str, stored: &Stored) {
        let facts = (error.kind(), error.path(), error.generation());
        assert_eq!(facts, (ErrorKind::Corrupt, Some(path), Some(g(stored.generation))), "{error:?}");
    }

    /// A version that is offered in place of a damaged one is what its generation holds.
    fn recovered(&self, snapshot: &Snapshot, path: &str, stored: &Stored) {
        let (bytes, provenance) = snapshot.get_or_recover(path, b"the default").unwrap();
        let number = snapshot.generation().get();
        // Any other version of this path, if its file is good and its manifest can be reached.
        let older = |at: &u64| {
            let then = self.model.states[at].get(path)?;
            let before = self.model.parents.get(at).and_then(|parent| self.model.states[parent].get(path));
            let was_put = before.is_none_or(|before| before.file != then.file);
            let is_good = then.file != stored.file && !self.is_broken(&then.file);
            (was_put && is_good).then(|| Arc::clone(&then.bytes))
        };
        let reachable = self.expected.reachable.range(..number);
        let versions: BTreeMap<u64, Arc<Vec<u8>>> =
            reachable.filter_map(|at| Some((*at, older(at)?))).collect();
        match provenance {
            Provenance::Default => {
                assert!(bytes == b"the default");
                assert!(versions.is_empty(), "{path} of {number}: {:?} are good", versions.keys());
            }
            Provenance::Recovered { generation } => {
                let committed = versions.get(&generation.get());
                assert!(
                    committed.is_some_and(|committed| **committed == bytes),
                    "{path} of {number}: not what {generation} holds"
                );
                let newest = versions.last_key_value().map(|(_, bytes)| bytes);
                assert!(newest.is_some_and(|newest| **newest == bytes), "{path} of {number}: not the newest");
            }
            other => panic!("{path} of {number} is damaged and was delivered as {other}"),
        }
    }

    /// A full check reports everything damaged that is needed, and nothing else.
    fn verified(&mut self, store: &Store, baseline: &[Finding]) {
        let report = match verify(store) {
            Ok(report) => report,
            Err(error) => return self.is_directory_error(&error),
        };
        let new = || report.findings.iter().filter(|finding| !baseline.contains(finding));
        self.told |= new().any(|finding| self.names(finding));
        for finding in new().filter(|finding| finding.severity == Severity::Error) {
            let is_right = finding.kind == FindingKind::ChainBroken || self.names(finding);
            assert!(is_right, "an intact file is reported: {finding}");
        }
        assert!(!(self.expected.degraded && report.ok), "{report:?}");
        let needed = self.expected.readable.iter().flat_map(|number| self.model.states[number].values());
        let needed: BTreeSet<&String> = needed.map(|stored| &stored.file).collect();
        for name in needed.into_iter().filter(|name| self.is_broken(name)) {
            let is_it = |finding: &Finding| {
                let (Some(path), Some(generation)) = (&finding.path, finding.generation) else {
                    return false;
                };
                finding.severity == Severity::Error && format!("data/{path}.g{generation}") == **name
            };
            assert!(report.findings.iter().any(is_it), "{name} is not among {:?}", report.findings);
        }
    }

    /// A degraded store refuses a commit.
    fn refuses_commit(&self, store: &Store) {
        let mut tx = store.begin().unwrap();
        tx.put("after", "lost").unwrap();
        let error = tx.commit("on a degraded store").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    }

    /// A commit succeeds and loses nothing. If the damage is in its way, it does nothing.
    fn commits(&mut self, patient: &Patient, store: Store, baseline: &[Finding]) {
        let before = contents(&patient.place.store());
        let serving = self.expected.serving.unwrap();
        let is_in_the_way = self.harmed == "CURRENT.next"
            || self.harmed == "locks/writer"
            || ["data", "manifests", "staging", "locks"].contains(&self.harmed);
        let mut state = self.model.states[&serving].clone();
        let replaced = state.iter().find(|(_, stored)| !self.is_broken(&stored.file));
        let replaced = replaced.map(|(path, _)| path.clone());
        let mut tx = store.begin().unwrap();
        for path in replaced.iter().map(String::as_str).chain(["after/the damage.json"]) {
            tx.put(path, "committed after the damage").unwrap();
        }
        let commit = match tx.commit("after the damage") {
            Ok(commit) => commit,
            Err(error) => {
                assert!(is_in_the_way && error.kind() == ErrorKind::Io, "{error:?}");
                // The pointer may have been swapped in once more before. That replaces what a crash
                // left under this name.
                let but_next = |mut all: BTreeMap<_, _>| {
                    all.remove("CURRENT.next");
                    all
                };
                assert_same(&but_next(contents(&patient.place.store())), &but_next(before));
                // The error of the system or the advice of the library names it.
                self.told = true;
                return;
            }
        };
        drop(store);
        let number = commit.generation.get();
        assert!(commit.changed && !self.model.states.contains_key(&number), "{number} was used before");
        for path in replaced.iter().map(String::as_str).chain(["after/the damage.json"]) {
            let file = format!("data/{path}.g{number}");
            let bytes = Arc::new(b"committed after the damage".to_vec());
            state.insert(path.to_owned(), Stored { file, generation: number, bytes });
        }
        let now = contents(&patient.place.store());
        for (name, was) in before.iter().filter(|(name, _)| !name.starts_with("CURRENT")) {
            assert_eq!(now.get(name), Some(was), "{name} was changed by a commit");
        }

        let mut model = self.model.clone();
        model.states.insert(number, state);
        model.parents.insert(number, serving);
        if model.head != serving {
            // An older pointer, or the one of the interrupted commit, has become the truth.
            let discarded = model.head.max(serving);
            model.interrupted = (discarded != serving).then_some(discarded);
        }
        model.head = number;
        let mut ruins = self.ruins.cloned().unwrap();
        ruins.pointer = Pointer::Good;
        ruins.broken.remove("CURRENT");
        let files = names(&patient.place.store());
        let checkpoints = files.iter().filter(|name| name.ends_with(".jsonl"));
        let is_good =
            |name: &&String| !ruins.broken.contains(*name) && **name == checkpoint_name(number_in(name));
        ruins.checkpoints = checkpoints.filter(is_good).map(|name| number_in(name)).collect();
        let expected = Expected::of(&model, &ruins);
        assert_eq!((expected.serving, expected.degraded), (Some(number), false));
        assert!(expected.readable.is_superset(&self.expected.readable), "a commit hid something");
        let store = Store::open(patient.place.store()).unwrap();
        let mut after = Look::new(&model, &expected, self.named, self.harmed);
        after.ruins = Some(&ruins);
        after.recovery(&store);
        after.status(&store);
        // A commit does not touch what was good before, so these checks take turns.
        let all: Vec<u64> = model.states.keys().copied().collect();
        after.generations(&store, [serving, all[self.harmed.len() % all.len()]]);
        after.verified(&store, baseline);
    }
}
