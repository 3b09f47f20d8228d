//! The table: medians, and ratios to the first client taken round by round.

use crate::{clients::NAMES, meter::Measured, workload::Workload};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Results(BTreeMap<(String, &'static str), Vec<Measured>>);

impl Results {
    pub fn add(&mut self, workload: &Workload, client: &'static str, measured: Measured) {
        self.0.entry((workload.key(), client)).or_default().push(measured);
    }

    pub fn print(&self, rounds: usize) {
        println!("CPU of the client process per event: µs (ratio to the first line), medians of {rounds} rounds\n");
        print!("{:<44}", "");
        for workload in Workload::all() {
            print!("{:>17}", workload.title);
        }
        println!();
        for client in NAMES {
            print!("{client:<44}");
            for workload in Workload::all() {
                print!("{:>17}", self.cell(&workload, client));
            }
            println!();
        }
    }

    fn cell(&self, workload: &Workload, client: &'static str) -> String {
        let of = |client| &self.0[&(workload.key(), client)];
        let cost = |measured: &Measured| measured.cpu_us as f64 / workload.events as f64;
        let ratios = of(client).iter().zip(of(NAMES[0])).map(|(ours, raw)| cost(ours) / cost(raw)).collect();
        let dropped = of(client).iter().any(|measured| measured.dropped > 0);
        let mark = if dropped { "*" } else { "" };
        format!("{:.2} ({:.2}){mark}", median(of(client).iter().map(cost).collect()), median(ratios))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}
