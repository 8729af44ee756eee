//! The data of the retail example agrees with itself, and a store gives back every byte of it.

// Tests look at the plain files as well.
#![allow(clippy::disallowed_methods)]

// The types and the check of the example. The tests need a part of them.
#[allow(dead_code, unreachable_pub)]
#[path = "../examples/retail/check.rs"]
mod check;
#[allow(dead_code, unreachable_pub)]
#[path = "../examples/retail/model.rs"]
mod model;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use genstore::{PutDirOptions, Snapshot, Store};
use serde::Serialize;
use serde::de::DeserializeOwned;

use check::Catalog;
use model::{INDEX, Index, SCHEDULE, Schedule, Shop, Weekday};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/retail/data")
}

/// A snapshot of a new store with the data, and the store's directory, which is removed when
/// dropped.
fn committed() -> Outcome<(tempfile::TempDir, Snapshot)> {
    let dir = tempfile::tempdir()?;
    let store = Store::create(dir.path().join("store"))?;
    let mut tx = store.begin()?;
    tx.put_dir(data(), &PutDirOptions::new())?;
    tx.commit("import")?;
    let snapshot = store.snapshot()?;
    Ok((dir, snapshot))
}

/// Every file under the data directory: its path in the store and its bytes.
fn shipped() -> Outcome<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for (directory, prefix) in [(data(), ""), (data().join("stores"), "stores/")] {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let name = entry.file_name().into_string().map_err(|_| "a name is not UTF-8")?;
                files.insert(format!("{prefix}{name}"), fs::read(entry.path())?);
            }
        }
    }
    Ok(files)
}

#[test]
fn partitions_schedule_and_index_agree() -> Outcome {
    let (_dir, snapshot) = committed()?;
    let catalog = Catalog::load(&snapshot)?;
    assert_eq!(catalog.problems(), Vec::<String>::new());
    assert_eq!(catalog.shops.len(), 60);
    assert_eq!(catalog.index.counts.stores, 60);
    let stops: usize = catalog.schedule.days.values().flatten().map(|route| route.stops.len()).sum();
    assert_eq!(stops, 60, "every shop is served once a week");
    Ok(())
}

#[test]
fn a_store_gives_back_every_byte() -> Outcome {
    let (_dir, snapshot) = committed()?;
    let shipped = shipped()?;
    let listed: Vec<String> = snapshot.list("").map(|file| file.path.to_string()).collect();
    assert_eq!(listed, shipped.keys().cloned().collect::<Vec<_>>());
    for (path, bytes) in &shipped {
        assert_eq!(&snapshot.get(path)?, bytes, "{path}");
    }
    Ok(())
}

#[test]
fn files_are_in_the_form_the_types_write() -> Outcome {
    let shipped = shipped()?;
    assert_eq!(shipped.len(), 62);
    for (path, bytes) in &shipped {
        let again = match path.as_str() {
            INDEX => rewritten::<Index>(bytes)?,
            SCHEDULE => rewritten::<Schedule>(bytes)?,
            partition => {
                let shop: Shop = serde_json::from_slice(bytes)?;
                assert_eq!(partition, format!("stores/{}.json", shop.id));
                assert_eq!(shop.id, shop.name.to_lowercase().replace(' ', "-"));
                assert_eq!(shop.opening_hours.len(), 7, "{partition} has hours for each day");
                rewritten::<Shop>(bytes)?
            }
        };
        assert_eq!(&again, bytes, "{path} is not pretty-printed, or a type loses a part of it");
        assert_eq!(path, &path.to_lowercase());
    }
    Ok(())
}

fn rewritten<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Outcome<Vec<u8>> {
    let mut again = serde_json::to_vec_pretty(&serde_json::from_slice::<T>(bytes)?)?;
    again.push(b'\n');
    Ok(again)
}

/// The check of the example can fail.
#[test]
fn the_check_finds_what_is_wrong() -> Outcome {
    let (_dir, snapshot) = committed()?;
    let problems_after = |harm: fn(&mut Catalog)| -> Outcome<String> {
        let mut catalog = Catalog::load(&snapshot)?;
        harm(&mut catalog);
        Ok(catalog.problems().join("\n"))
    };
    let downtown = "stores/downtown.json";

    let gone = problems_after(|catalog| drop(catalog.shops.remove("stores/downtown.json")))?;
    assert!(
        gone.contains(&format!("index.json sends downtown to {downtown}, which does not exist")),
        "{gone}"
    );
    assert!(gone.contains("central-thursday stops at downtown, which no partition describes"), "{gone}");

    let unlisted = problems_after(|catalog| drop(catalog.index.stores.remove("downtown")))?;
    assert!(unlisted.contains(&format!("{downtown} is not in index.json")), "{unlisted}");

    let swapped = problems_after(|catalog| {
        catalog.index.stores.insert("downtown".into(), "stores/larkrise.json".into());
    })?;
    assert!(swapped.contains("sends downtown to stores/larkrise.json, which is larkrise"), "{swapped}");

    let moved = problems_after(|catalog| {
        if let Some(shop) = catalog.shops.get_mut("stores/downtown.json") {
            shop.delivery.weekday = Some(Weekday::Friday);
        }
    })?;
    assert!(moved.contains("downtown is scheduled on thursday, its partition says friday"), "{moved}");
    assert!(moved.contains("index.json counts 12 deliveries on thursday, the partitions have 11"), "{moved}");

    let dropped = problems_after(|catalog| catalog.schedule.remove_stop("downtown"))?;
    assert_eq!(dropped, "downtown expects a delivery on thursday, no route stops there");

    let twice = problems_after(|catalog| {
        if let Some(route) = catalog.schedule.route_mut(Weekday::Friday, "harbour") {
            route.stops.push("downtown".into());
        }
    })?;
    assert!(twice.contains("downtown is scheduled twice, on thursday and friday"), "{twice}");
    assert!(twice.contains("harbour-friday stops at downtown in central"), "{twice}");
    Ok(())
}
