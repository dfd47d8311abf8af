// SPDX-License-Identifier: GPL-2.0

//! The `stats` file: one `path.counter value` line for each counter.

use std::collections::BTreeMap;

use anyhow::{
    anyhow,
    bail,
    Context,
    Result, //
};
use serde::Serialize;

/// The counters of one path, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PathStats(BTreeMap<String, u64>);

impl PathStats {
    /// The value of `counter`; an error when the path has no such counter.
    pub fn get(&self, counter: &str) -> Result<u64> {
        self.0
            .get(counter)
            .copied()
            .ok_or_else(|| anyhow!("there is no counter named {counter}"))
    }

    /// What was asked for and is neither done, merged nor taken back: work still in flight.
    ///
    /// Zero at rest. Negative only if the books are wrong.
    pub fn in_flight(&self) -> Result<i128> {
        Ok(i128::from(self.get("scheduled")?)
            - i128::from(self.get("runs")?)
            - i128::from(self.get("coalesced")?)
            - i128::from(self.get("cancelled")?))
    }

    /// Every counter with its value, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// One reading of a device's `stats` file: its paths, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats(Vec<(String, PathStats)>);

impl Stats {
    /// Parses the text of a `stats` file.
    pub fn parse(text: &str) -> Result<Self> {
        let mut stats = Self::default();

        for line in text.lines() {
            stats
                .parse_line(line)
                .with_context(|| format!("stats line \"{line}\""))?;
        }
        Ok(stats)
    }

    fn parse_line(&mut self, line: &str) -> Result<()> {
        let (name, value) = line
            .split_once(' ')
            .ok_or_else(|| anyhow!("expected \"path.counter value\""))?;
        // A path may hold a dot one day (a queue is named by its device); a counter never does.
        let (path, counter) = name
            .rsplit_once('.')
            .filter(|(path, counter)| !path.is_empty() && !counter.is_empty())
            .ok_or_else(|| anyhow!("expected a path, a dot and a counter"))?;
        let value = value.parse().context("expected a whole number")?;

        let index = match self.0.iter().position(|(known, _)| known == path) {
            Some(index) => index,
            None => {
                self.0.push((path.to_owned(), PathStats::default()));
                self.0.len() - 1
            }
        };
        let known = &mut self.0[index].1 .0;
        if known.insert(counter.to_owned(), value).is_some() {
            bail!("the counter is there twice");
        }
        Ok(())
    }

    /// The counters of `path`; an error when the device has no such path.
    pub fn path(&self, path: &str) -> Result<&PathStats> {
        self.0
            .iter()
            .find(|(name, _)| name == path)
            .map(|(_, counters)| counters)
            .ok_or_else(|| anyhow!("there is no path named {path}"))
    }

    /// Every path with its counters, in the order of the file.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &PathStats)> {
        self.0
            .iter()
            .map(|(name, counters)| (name.as_str(), counters))
    }

    /// The value of one counter of one path.
    pub fn get(&self, path: &str, counter: &str) -> Result<u64> {
        self.path(path)?
            .get(counter)
            .with_context(|| format!("path {path}"))
    }

    /// What was counted from `earlier` to this reading.
    ///
    /// An error when a counter went down: somebody wrote `reset` in between, and a difference
    /// over a reset means nothing.
    pub fn since(&self, earlier: &Self) -> Result<Self> {
        let mut delta = Self::default();

        for (path, counters) in self.paths() {
            let mut difference = PathStats::default();
            for (counter, now) in counters.iter() {
                let then = earlier.get(path, counter)?;
                let grown = now
                    .checked_sub(then)
                    .ok_or_else(|| anyhow!("{path}.{counter} fell from {then} to {now}"))?;
                difference.0.insert(counter.to_owned(), grown);
            }
            delta.0.push((path.to_owned(), difference));
        }
        Ok(delta)
    }

    /// Whether no path has work in flight, that is, whether the books balance.
    pub fn at_rest(&self) -> Result<bool> {
        for (_, counters) in self.paths() {
            if counters.in_flight()? != 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
hardirq.scheduled 1000
hardirq.coalesced 0
hardirq.runs 1000
hardirq.items 0
hardirq.cancelled 0
hardirq.none 7
work/refill.scheduled 12
work/refill.coalesced 4
work/refill.runs 7
work/refill.items 70
work/refill.cancelled 1
";

    #[test]
    fn reads_every_counter_in_order() {
        let stats = Stats::parse(TEXT).unwrap();
        let names: Vec<_> = stats.paths().map(|(name, _)| name).collect();

        assert_eq!(names, ["hardirq", "work/refill"]);
        assert_eq!(stats.get("hardirq", "none").unwrap(), 7);
        assert_eq!(stats.get("work/refill", "items").unwrap(), 70);
        assert!(stats.at_rest().unwrap());
    }

    #[test]
    fn sees_work_in_flight() {
        let stats = Stats::parse(&TEXT.replace("hardirq.runs 1000", "hardirq.runs 998")).unwrap();

        assert_eq!(stats.path("hardirq").unwrap().in_flight().unwrap(), 2);
        assert!(!stats.at_rest().unwrap());
    }

    #[test]
    fn a_path_may_hold_a_dot() {
        let stats = Stats::parse("napi/eth0.1.runs 3\n").unwrap();

        assert_eq!(stats.get("napi/eth0.1", "runs").unwrap(), 3);
    }

    #[test]
    fn names_what_is_missing() {
        let stats = Stats::parse(TEXT).unwrap();

        assert!(stats.get("napi", "runs").is_err());
        let error = format!("{:#}", stats.get("work/refill", "handled").unwrap_err());
        assert!(
            error.contains("work/refill") && error.contains("handled"),
            "{error}"
        );
    }

    #[test]
    fn refuses_what_is_not_the_format() {
        for text in [
            "hardirq.runs",
            "hardirq.runs ",
            "hardirq.runs -1",
            "hardirq.runs 1 2",
            "hardirq 1",
            ".runs 1",
            "hardirq. 1",
            "a.runs 18446744073709551616",
            "a.runs 1\na.runs 2",
            "a.runs 1\n\nb.runs 1",
        ] {
            assert!(Stats::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn counts_to_the_last_value() {
        let stats = Stats::parse("a.runs 18446744073709551615\n").unwrap();

        assert_eq!(stats.get("a", "runs").unwrap(), u64::MAX);
    }

    #[test]
    fn difference_of_two_readings() {
        let before = Stats::parse("a.runs 5\na.items 9\n").unwrap();
        let after = Stats::parse("a.runs 7\na.items 9\n").unwrap();
        let delta = after.since(&before).unwrap();

        assert_eq!(delta.get("a", "runs").unwrap(), 2);
        assert_eq!(delta.get("a", "items").unwrap(), 0);
        assert!(before.since(&after).is_err(), "a counter may not fall");
    }
}
