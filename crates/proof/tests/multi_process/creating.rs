//! Several processes find no store, and all try to create it.

use std::fs;
use std::path::Path;

use genstore::Store;

use crate::support::{Place, g, save};
use crate::{failed, spawn};

const CREATORS: usize = 4;
const ROUNDS: usize = 25;

/// Creates or opens one store after another. All processes begin with each store at the same time.
pub(crate) fn create(dir: &Path, number: usize) {
    for round in 0..ROUNDS {
        fs::write(dir.join(format!("ready-{round}-{number}")), "").unwrap();
        // A process that spins starts at once. One that sleeps does not.
        while !(0..CREATORS).all(|other| dir.join(format!("ready-{round}-{other}")).exists()) {
            assert!(!failed(dir).exists(), "another process failed");
            std::thread::yield_now();
        }
        let store = Store::open_or_create(dir.join(format!("store-{round}"))).unwrap();
        save(&store, &[(&format!("from/{number}"), &number.to_string())]);
    }
}

#[test]
fn four_processes_create_one_store() {
    let place = Place::new();
    fs::create_dir(place.store()).unwrap();
    let creators: Vec<_> = (0..CREATORS).map(|number| spawn(&place, "create", number, 0)).collect();
    creators.into_iter().for_each(|creator| drop(creator.join()));
    for round in 0..ROUNDS {
        let store = Store::open(place.inside(&format!("store-{round}"))).unwrap();
        assert_eq!(store.snapshot().unwrap().len(), CREATORS as u64, "no commit is lost");
        let last = store.history().unwrap().last().unwrap().unwrap();
        assert_eq!(last.generation, g(1));
        crate::check_everything(&store, 1 + CREATORS as u64);
    }
}
