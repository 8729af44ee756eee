//! The operator's edits: a good one, a bad one, its rollback, and one that is refused.

use std::path::Path;

use genstore::{ErrorKind, Generation, Store, json_as};

use crate::model::{Hours, INDEX, Index, SCHEDULE, Schedule, Shop, Weekday};
use crate::{Outcome, expect};

/// Changes three files together: no reader ever sees one without the others.
pub fn move_delivery(store: &Store, id: &str, to: Weekday) -> Outcome {
    let mut tx = store.begin()?;
    // The transaction remembers its reads. If another writer changes one of these files before the
    // commit, the commit reports a conflict.
    let mut index: Index = tx.get_json(INDEX)?;
    let mut schedule: Schedule = tx.get_json(SCHEDULE)?;
    let path = index.stores.get(id).ok_or("the index knows no such shop")?.clone();
    let mut shop: Shop = tx.get_json(&path)?;

    let from = shop.delivery.weekday.replace(to);
    index.counts.move_delivery(from, to);
    schedule.remove_stop(id);
    let route = schedule.route_mut(to, &shop.region).ok_or("no route serves the region on that day")?;
    route.stops.push(id.to_owned());

    tx.put_json(&path, &shop)?;
    tx.put_json(SCHEDULE, &schedule)?;
    tx.put_json(INDEX, &index)?;
    tx.author("morning shift");
    let commit = tx.commit(&format!("move {} to {to}", shop.name))?;
    println!(
        "Generation {}: {} files changed together, {} bytes written.",
        commit.generation, commit.put, commit.bytes
    );
    expect(commit.put == 3, "partition, schedule and index are one generation")
}

/// Commits valid files, whole and durable, that are wrong: the schedule still sends vans there.
pub fn clear_delivery_days(store: &Store, region: &str) -> Outcome<Generation> {
    let mut tx = store.begin()?;
    for path in tx.list("stores/") {
        let mut shop: Shop = tx.get_json(&path)?;
        if shop.region == region {
            shop.delivery.weekday = None;
            tx.put_json(&path, &shop)?;
        }
    }
    tx.author("late shift");
    let commit = tx.commit(&format!("clear old delivery days in {region}"))?;
    println!(
        "Generation {}: the late shift clears the days of {} shops by mistake.",
        commit.generation, commit.put
    );
    Ok(commit.generation)
}

pub fn open_on_sunday(store: &Store, id: &str) -> Outcome {
    let path = format!("stores/{id}.json");
    let mut tx = store.begin()?;
    let mut shop: Shop = tx.get_json(&path)?;
    shop.opening_hours.insert(Weekday::Sunday, Some(sunday_hours()));
    tx.put_json(&path, &shop)?;
    tx.author("shop desk");
    let commit = tx.commit(&format!("{} opens on Sundays", shop.name))?;
    println!("Generation {}: {} opens on Sundays, which must survive.", commit.generation, shop.name);
    Ok(())
}

fn sunday_hours() -> Hours {
    Hours { opens: "09:00".to_owned(), closes: "17:00".to_owned() }
}

/// Restores only the files that the bad generation changed, from the generation before it.
///
/// `store.rollback(before, …)` would restore the whole state, and undo the later commits too.
pub fn take_back(store: &Store, bad: Generation, kept: &str) -> Outcome {
    let entry = store.show(bad)?;
    let before = store.snapshot_at(entry.parent.ok_or("nothing is before the bad edit")?)?;
    let paths: Vec<&str> = entry.put.iter().map(AsRef::as_ref).collect();

    let mut tx = store.begin()?;
    tx.restore(&before, &paths)?;
    tx.author("shift lead");
    let commit = tx.commit(&format!("take back generation {bad}: these days are in use"))?;
    println!(
        "Generation {}: {} files as they were in {}, {} bytes copied.",
        commit.generation,
        commit.put,
        before.generation(),
        commit.bytes
    );
    expect(commit.bytes == 0, "a rollback copies no data")?;

    let shop: Shop = store.snapshot()?.get_json(format!("stores/{kept}.json"))?;
    expect(
        shop.opening_hours.get(&Weekday::Sunday) == Some(&Some(sunday_hours())),
        "the good edit survives the rollback",
    )
}

/// A store that is opened with validators commits nothing that they refuse.
pub fn refuse_broken_json(dir: &Path) -> Outcome {
    let guarded = Store::options().validate("stores/*.json", json_as::<Shop>())?.open(dir)?;
    let before = guarded.snapshot()?;
    let mut half = before.get("stores/downtown.json")?;
    half.truncate(half.len() / 2);

    let mut tx = guarded.begin()?;
    // A program that crashed while it wrote leaves such a file, or an editor on a full disk.
    tx.put("stores/downtown.json", half)?;
    match tx.commit("commit Downtown") {
        Err(error) if error.kind() == ErrorKind::Invalid => println!("Refused: {error}."),
        Err(error) => return Err(error.into()),
        Ok(_) => return expect(false, "half a file is refused"),
    }
    let now = guarded.snapshot()?;
    println!("The store is still at generation {}.", now.generation());
    expect(now.generation() == before.generation(), "a refused commit creates no generation")
}
