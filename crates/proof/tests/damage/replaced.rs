//! A whole store is replaced under an open handle, by an older copy of itself and by another store.

use std::collections::BTreeMap;
use std::fs;

use genstore::{Error, ErrorKind, Store, StoreId};

use crate::harm::Patient;
use crate::oracle::committed;
use crate::shape::{Disk, Model, Shape, shapes};
use crate::support::{Place, assert_same, clear, copy_dir, g, tree};

/// What each store holds, by its id.
type Models<'a> = BTreeMap<StoreId, &'a Model>;

/// Reads everything that can be read. It must be what the store with this id holds in this
/// generation.
fn never_wrong(store: &Store, models: &Models<'_>) -> Result<(), Error> {
    let model = models[&store.id()];
    let snapshot = store.snapshot()?;
    for number in model.states.keys() {
        let Ok(snapshot) = store.snapshot_at(g(*number)) else { continue };
        let state = &model.states[number];
        let listed: Vec<String> = snapshot.list("").map(|file| file.path.to_string()).collect();
        assert!(listed.iter().eq(state.keys()), "{number}: {listed:?}");
        for (path, stored) in state {
            if let Ok(bytes) = snapshot.get(path) {
                assert!(bytes == *stored.bytes, "{path} of {number} has wrong bytes");
            }
        }
    }
    assert!(model.states.contains_key(&snapshot.generation().get()));
    Ok(())
}

fn says_corrupt(store: &Store, context: &str) {
    let mut errors = vec![store.snapshot().map(drop), store.begin().map(drop), store.status().map(drop)];
    errors.extend([
        store.history().map(drop),
        store.snapshot_at("1").map(drop),
        store.rollback("1", "").map(drop),
    ]);
    for result in errors {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Corrupt, "{context}");
    }
}

fn write(disk: &Disk, place: &Place) {
    for (name, bytes) in disk {
        match bytes {
            None => fs::create_dir_all(place.inside(name)).unwrap(),
            Some(bytes) => {
                clear(&place.inside(name));
                fs::write(place.inside(name), &**bytes).unwrap();
            }
        }
    }
}

/// The store as it was at an earlier generation, without anything that was written later.
fn older(shape: &Shape, at: u64) -> (Disk, Model) {
    let mut model = shape.model.clone();
    model.states.retain(|number, _| *number <= at);
    model.parents.retain(|number, _| *number <= at);
    model.head = at;
    model.interrupted = None;
    let is_later = |name: &str| {
        let number = match name.split_once('/') {
            Some(("manifests" | "checkpoints", _)) => crate::harm::number_in(name),
            Some(("data", file)) => file.rsplit_once(".g").unwrap().1.parse().unwrap(),
            _ => 0,
        };
        number > at || name == "CURRENT.next" || name == "locks/writer"
    };
    let mut disk: Disk = shape.disk.clone();
    disk.retain(|name, bytes| bytes.is_none() || !is_later(name));
    disk.insert("CURRENT".into(), Some(shape.pointers[&at].clone().into()));
    (disk, model)
}

#[test]
fn an_older_copy_of_the_store_under_an_open_handle_is_never_taken_for_the_newest() {
    for shape in shapes() {
        for at in shape.pointers.keys().copied().filter(|at| *at < shape.model.head) {
            let (disk, model) = older(&shape, at);
            let context = format!("{} at {at}", shape.name);

            // The files are copied over those that are there, one after the other.
            let patient = Patient::new(&shape);
            let open = Store::open(patient.place.store()).unwrap();
            let held = open.snapshot().unwrap();
            write(&disk, &patient.place);
            // The newer manifests are still there. All but the last of them show that the pointer
            // is too old.
            let is_hidden = shape.model.parents.values().all(|parent| *parent <= at);
            let before = committed(&patient);
            says_corrupt(&open, &context);
            let reopened = Store::open(patient.place.store()).unwrap();
            assert_eq!(reopened.recovery().is_none(), is_hidden, "{context}");
            never_wrong(&reopened, &BTreeMap::from([(open.id(), &shape.model)])).unwrap();
            for (path, stored) in &shape.model.states[&shape.model.head] {
                assert!(held.get(path).unwrap() == *stored.bytes, "{context}: {path}");
            }
            assert_same(&committed(&patient), &before);
            drop((open, reopened, held));

            // Everything is removed first, except the directory itself.
            let patient = Patient::new(&shape);
            let open = Store::open(patient.place.store()).unwrap();
            for name in fs::read_dir(patient.place.store()).unwrap() {
                clear(&name.unwrap().path());
            }
            write(&disk, &patient.place);
            says_corrupt(&open, &context);
            let reopened = Store::open(patient.place.store()).unwrap();
            assert_eq!((reopened.recovery(), reopened.snapshot().unwrap().generation()), (None, g(at)));
            never_wrong(&reopened, &BTreeMap::from([(open.id(), &model)])).unwrap();
            drop((open, reopened));

            // Another directory gets the name.
            let patient = Patient::new(&shape);
            let open = Store::open(patient.place.store()).unwrap();
            fs::rename(patient.place.store(), patient.place.path("moved")).unwrap();
            fs::create_dir(patient.place.store()).unwrap();
            write(&disk, &patient.place);
            let moved = tree(&patient.place.path("moved"));
            says_corrupt(&open, &context);
            let reopened = Store::open(patient.place.store()).unwrap();
            never_wrong(&reopened, &BTreeMap::from([(open.id(), &model)])).unwrap();
            assert_same(&tree(&patient.place.path("moved")), &moved);
        }
    }
}

#[test]
fn another_store_copied_over_this_one_never_mixes_with_it() {
    let all = shapes();
    let others = shapes();
    for (shape, other) in all.iter().zip(others.iter().rev().chain([&others[0]])) {
        for is_pointer_first in [false, true] {
            let patient = Patient::new(shape);
            let theirs = Patient::new(other);
            let open = Store::open(patient.place.store()).unwrap();
            let their_id = Store::open(theirs.place.store()).unwrap().id();
            let models = BTreeMap::from([(open.id(), &shape.model), (their_id, &other.model)]);
            let mut files: Vec<_> = other.disk.iter().collect();
            files.sort_by_key(|(name, bytes)| (bytes.is_some(), is_pointer_first == (*name != "CURRENT")));
            for (name, bytes) in files {
                write(&Disk::from([(name.clone(), bytes.clone())]), &patient.place);
                let before = committed(&patient);
                for store in [Ok(open.clone()), Store::open(patient.place.store())] {
                    let read = store.and_then(|store| never_wrong(&store, &models));
                    let kind = read.err().map(|error| error.kind());
                    assert!(
                        kind.is_none_or(|kind| kind == ErrorKind::Corrupt),
                        "{} after {name}",
                        shape.name
                    );
                }
                assert_same(&committed(&patient), &before);
            }
            says_corrupt(&open, shape.name);
        }
        // Another directory gets the name.
        let patient = Patient::new(shape);
        let open = Store::open(patient.place.store()).unwrap();
        fs::rename(patient.place.store(), patient.place.path("moved")).unwrap();
        copy_dir(&Patient::new(other).place.store(), &patient.place.store());
        says_corrupt(&open, shape.name);
    }
}
