//! The files of the retail example as serde types.
//!
//! The fields have the order of the files. So a program that reads a file and commits it again
//! changes only the lines that it means to change.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub const INDEX: &str = "index.json";
pub const SCHEDULE: &str = "schedule.json";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl fmt::Display for Weekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        })
    }
}

/// One partition, `stores/<id>.json`.
///
/// Unknown fields are refused here and below: a commit of a typed value would silently drop them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shop {
    pub id: String,
    pub name: String,
    pub region: String,
    pub address: Address,
    /// `None` is a day on which the shop is closed.
    pub opening_hours: BTreeMap<Weekday, Option<Hours>>,
    pub delivery: Delivery,
    pub settings: Settings,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    pub street: String,
    pub town: String,
    pub postcode: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    pub opens: String,
    pub closes: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// `None`: nothing is delivered to this shop.
    pub weekday: Option<Weekday>,
    /// The latest time to order, on the day before the delivery.
    pub cutoff: String,
    pub bay: String,
    pub max_pallets: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub click_and_collect: bool,
    pub self_checkouts: u32,
    pub low_stock_alert_percent: u32,
    pub bakery: bool,
}

/// `schedule.json`: the shops served on each day, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    pub week_from: String,
    pub days: BTreeMap<Weekday, Vec<Route>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub route: String,
    pub region: String,
    pub departs: String,
    /// Shop ids in driving order.
    pub stops: Vec<String>,
}

impl Schedule {
    pub fn route_mut(&mut self, day: Weekday, region: &str) -> Option<&mut Route> {
        let routes = self.days.get_mut(&day)?;
        routes.iter_mut().find(|route| route.region == region)
    }

    /// Removes the shop from its route.
    pub fn remove_stop(&mut self, id: &str) {
        for route in self.days.values_mut().flatten() {
            route.stops.retain(|stop| stop != id);
        }
    }
}

/// `index.json`: the partition of each shop, and counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    pub stores: BTreeMap<String, String>,
    pub counts: Counts,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    pub stores: usize,
    pub by_region: BTreeMap<String, usize>,
    pub by_weekday: BTreeMap<Weekday, usize>,
}

impl Counts {
    pub fn of<'a>(shops: impl IntoIterator<Item = &'a Shop>) -> Self {
        let mut counts = Self::default();
        for shop in shops {
            counts.stores += 1;
            *counts.by_region.entry(shop.region.clone()).or_default() += 1;
            if let Some(day) = shop.delivery.weekday {
                *counts.by_weekday.entry(day).or_default() += 1;
            }
        }
        counts
    }

    pub fn move_delivery(&mut self, from: Option<Weekday>, to: Weekday) {
        if let Some(count) = from.and_then(|day| self.by_weekday.get_mut(&day)) {
            *count = count.saturating_sub(1);
        }
        self.by_weekday.retain(|_, count| *count > 0);
        *self.by_weekday.entry(to).or_default() += 1;
    }
}
