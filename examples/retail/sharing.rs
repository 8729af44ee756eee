//! Several writers of one store: a conflict with its retry, and a reader beside a writer.

use std::collections::BTreeSet;

use genstore::{ErrorKind, Snapshot, Store, Transaction};

use crate::model::{SCHEDULE, Schedule, Shop, Weekday};
use crate::{Outcome, expect};

/// Both operators start from the same generation and change the schedule. The second commit is a
/// conflict. `Store::update` does that edit again on the newest generation.
pub fn conflict_and_retry(store: &Store) -> Outcome {
    let mut first = store.begin()?;
    let mut second = store.begin()?;
    depart_at(&mut first, Weekday::Monday, "north", "04:15")?;
    depart_at(&mut second, Weekday::Tuesday, "valley", "05:00")?;

    let winner = first.commit("north leaves earlier on Mondays")?;
    match second.commit("valley leaves earlier on Tuesdays") {
        Err(error) if error.kind() == ErrorKind::Conflict => {
            println!("The second commit is refused: {error}.");
            for conflict in error.conflicts() {
                println!("  {} was changed by generation {}", conflict.path, conflict.generation);
            }
            let named = error
                .conflicts()
                .iter()
                .any(|c| c.path.as_str() == SCHEDULE && c.generation == winner.generation);
            expect(named, "the conflict names the file and the generation")?;
        }
        Err(error) => return Err(error.into()),
        Ok(_) => return expect(false, "the second commit conflicts with the first"),
    }

    let commit = store.update("valley leaves earlier on Tuesdays", |tx| {
        depart_at(tx, Weekday::Tuesday, "valley", "05:00")
    })?;
    println!("Done again on the newer schedule, it becomes generation {}.", commit.generation);

    let mut schedule: Schedule = store.snapshot()?.get_json(SCHEDULE)?;
    let mut departs = |day, region| schedule.route_mut(day, region).map(|route| route.departs.clone());
    let north = departs(Weekday::Monday, "north");
    let valley = departs(Weekday::Tuesday, "valley");
    expect(
        north.as_deref() == Some("04:15") && valley.as_deref() == Some("05:00"),
        "both edits are in the schedule",
    )
}

fn depart_at(tx: &mut Transaction, day: Weekday, region: &str, time: &str) -> Outcome {
    let mut schedule: Schedule = tx.get_json(SCHEDULE)?;
    let route = schedule.route_mut(day, region).ok_or("no route serves the region on that day")?;
    time.clone_into(&mut route.departs);
    Ok(tx.put_json(SCHEDULE, &schedule)?)
}

/// One thread changes all 60 shops several times while this one reads. An old snapshot never
/// changes. A new one shows all shops before a commit or all of them after it.
pub fn read_during_commits(store: &Store) -> Outcome {
    let held = store.snapshot()?;
    let at_first = alert_levels(&held)?;

    let looks = std::thread::scope(|scope| {
        let writer = scope.spawn(|| (31..=35).try_for_each(|percent| set_alert_level(store, percent)));
        let mut looks = 0;
        loop {
            let last = writer.is_finished();
            expect(alert_levels(&held)? == at_first, "a held snapshot never changes")?;
            let levels = alert_levels(&store.snapshot()?)?;
            expect(levels == at_first || levels.len() == 1, "a snapshot never shows half of a commit")?;
            looks += 1;
            if last {
                break;
            }
        }
        writer.join().map_err(|_| "the writer panicked")??;
        Outcome::Ok(looks)
    })?;

    let now = store.snapshot()?;
    println!("Read all shops {looks} times during 5 commits; no snapshot was a mixture.");
    println!(
        "The held snapshot is still generation {}, the store is at {}.",
        held.generation(),
        now.generation()
    );
    expect(alert_levels(&now)? == BTreeSet::from([35]), "a new snapshot shows the last commit")?;
    expect(held.generation() < now.generation(), "the held snapshot is the older one")
}

fn set_alert_level(store: &Store, percent: u32) -> Outcome {
    let mut tx = store.begin()?;
    for path in tx.list("stores/") {
        let mut shop: Shop = tx.get_json(&path)?;
        shop.settings.low_stock_alert_percent = percent;
        tx.put_json(&path, &shop)?;
    }
    tx.author("stock desk");
    tx.commit(&format!("alert all shops at {percent} percent of stock"))?;
    Ok(())
}

fn alert_levels(snapshot: &Snapshot) -> Outcome<BTreeSet<u32>> {
    let mut levels = BTreeSet::new();
    for file in snapshot.list("stores/") {
        let shop: Shop = snapshot.get_json(&file.path)?;
        levels.insert(shop.settings.low_stock_alert_percent);
    }
    Ok(levels)
}
