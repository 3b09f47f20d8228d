//! The table: medians, and ratios to the first client taken round by round.

use crate::{meter::Measured, workload::Workload};
use std::collections::BTreeMap;

pub struct Results {
    title: &'static str,
    /// The first is what the others are compared with.
    pub clients: &'static [&'static str],
    pub workloads: &'static [Workload],
    measured: BTreeMap<(String, &'static str), Vec<Measured>>,
}

impl Results {
    pub fn new(title: &'static str, clients: &'static [&'static str], workloads: &'static [Workload]) -> Self {
        Self { title, clients, workloads, measured: BTreeMap::new() }
    }

    pub fn add(&mut self, workload: &Workload, client: &'static str, measured: Measured) {
        self.measured.entry((workload.key(), client)).or_default().push(measured);
    }

    pub fn print(&self, rounds: usize) {
        println!("{}: µs (ratio to the first line), medians of {rounds} rounds\n", self.title);
        print!("{:<52}", "");
        for workload in self.workloads {
            print!("{:>17}", workload.title);
        }
        println!();
        for client in self.clients {
            print!("{client:<52}");
            for workload in self.workloads {
                print!("{:>17}", self.cell(workload, client));
            }
            println!();
        }
        println!();
    }

    fn cell(&self, workload: &Workload, client: &'static str) -> String {
        let of = |client| &self.measured[&(workload.key(), client)];
        let cost = |measured: &Measured| measured.cpu_us as f64 / workload.events as f64;
        let ratios = of(client).iter().zip(of(self.clients[0])).map(|(ours, raw)| cost(ours) / cost(raw)).collect();
        let dropped = of(client).iter().any(|measured| measured.dropped > 0);
        let mark = if dropped { "*" } else { "" };
        format!("{:.2} ({:.2}){mark}", median(of(client).iter().map(cost).collect()), median(ratios))
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}
