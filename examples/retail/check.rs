//! The consistency check: do the partitions, the schedule and the index agree?

use std::collections::BTreeMap;

use genstore::Snapshot;

use crate::model::{Counts, INDEX, Index, Route, SCHEDULE, Schedule, Shop, Weekday};

/// All files of the example in one generation.
pub struct Catalog {
    pub index: Index,
    pub schedule: Schedule,
    /// Partition path -> shop.
    pub shops: BTreeMap<String, Shop>,
}

impl Catalog {
    /// Reads all files from one snapshot. If each came from the newest state, a commit in between
    /// would cause contradictions that never existed.
    pub fn load(snapshot: &Snapshot) -> genstore::Result<Self> {
        let mut shops = BTreeMap::new();
        for file in snapshot.list("stores/") {
            let path = file.path.to_string();
            let shop = snapshot.get_json(&path)?;
            shops.insert(path, shop);
        }
        Ok(Self { index: snapshot.get_json(INDEX)?, schedule: snapshot.get_json(SCHEDULE)?, shops })
    }

    /// One sentence for each contradiction. The list is empty if there is none.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        self.check_index(&mut problems);
        self.check_schedule(&mut problems);
        problems
    }

    fn check_index(&self, problems: &mut Vec<String>) {
        for (id, path) in &self.index.stores {
            match self.shops.get(path) {
                None => problems.push(format!("{INDEX} sends {id} to {path}, which does not exist")),
                Some(shop) if shop.id != *id => {
                    problems.push(format!("{INDEX} sends {id} to {path}, which is {}", shop.id))
                }
                Some(_) => {}
            }
        }
        for (path, shop) in &self.shops {
            if self.index.stores.get(&shop.id) != Some(path) {
                problems.push(format!("{path} is not in {INDEX} under {}", shop.id));
            }
        }
        let counts = &self.index.counts;
        let counted = Counts::of(self.shops.values());
        if counts.stores != counted.stores || counts.by_region != counted.by_region {
            problems.push(format!("{INDEX} counts the shops wrongly"));
        }
        for day in self.schedule.days.keys() {
            let says = counts.by_weekday.get(day);
            let is = counted.by_weekday.get(day);
            if says != is {
                problems.push(format!(
                    "{INDEX} counts {} deliveries on {day}, the partitions have {}",
                    says.unwrap_or(&0),
                    is.unwrap_or(&0)
                ));
            }
        }
    }

    fn check_schedule(&self, problems: &mut Vec<String>) {
        let by_id: BTreeMap<&str, &Shop> = self.shops.values().map(|shop| (shop.id.as_str(), shop)).collect();
        let mut served: BTreeMap<&str, Weekday> = BTreeMap::new();

        for (day, routes) in &self.schedule.days {
            for (route, id) in routes.iter().flat_map(|r| r.stops.iter().map(move |id| (r, id))) {
                if let Some(other) = served.insert(id, *day) {
                    problems.push(format!("{id} is scheduled twice, on {other} and {day}"));
                }
                match by_id.get(id.as_str()) {
                    Some(shop) => check_stop(shop, *day, route, problems),
                    None => {
                        problems.push(format!("{} stops at {id}, which no partition describes", route.route))
                    }
                }
            }
        }
        for shop in self.shops.values() {
            let Some(day) = shop.delivery.weekday else {
                continue;
            };
            if !served.contains_key(shop.id.as_str()) {
                problems.push(format!("{} expects a delivery on {day}, no route stops there", shop.id));
            }
        }
    }
}

fn check_stop(shop: &Shop, day: Weekday, route: &Route, problems: &mut Vec<String>) {
    let id = &shop.id;
    if shop.region != route.region {
        problems.push(format!("{} stops at {id} in {}", route.route, shop.region));
    }
    match shop.delivery.weekday {
        Some(own) if own == day => {}
        Some(own) => problems.push(format!("{id} is scheduled on {day}, its partition says {own}")),
        None => problems.push(format!("{id} is scheduled on {day}, its partition says no day")),
    }
}
