// SPDX-License-Identifier: GPL-2.0

//! The `wait_ns`, `run_ns` and `late_ns` files: a log2 histogram with four sub-buckets an octave.

use anyhow::{
    anyhow,
    bail,
    ensure,
    Context,
    Result, //
};
use serde::Serialize;

/// One bucket that is not empty. Both bounds belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// The smallest value that falls into the bucket, in nanoseconds.
    pub low: u64,
    /// The largest one.
    pub high: u64,
    /// How many values fell into it; never 0.
    pub count: u64,
}

/// One reading of a histogram file. All times are in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Histogram {
    /// The buckets that are not empty, ascending.
    pub buckets: Vec<Bucket>,
    /// How many values were recorded.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The smallest of them, exactly; 0 when there is none.
    pub min: u64,
    /// The largest of them, exactly; 0 when there is none.
    pub max: u64,
}

impl Histogram {
    /// Parses the text of a histogram file.
    ///
    /// Checks the form only. Whether the buckets agree with `count` is for [`Self::check`]: a
    /// reading under load may be off by what was being recorded meanwhile.
    pub fn parse(text: &str) -> Result<Self> {
        let mut histogram = Self::default();
        let mut totals = [None; 4];

        for line in text.lines() {
            histogram
                .parse_line(line, &mut totals)
                .with_context(|| format!("histogram line \"{line}\""))?;
        }

        let mut fields = [0; 4];
        for ((field, total), name) in fields.iter_mut().zip(totals).zip(TOTALS) {
            *field = total.ok_or_else(|| anyhow!("the histogram has no line \"{name}\""))?;
        }
        [histogram.count, histogram.sum, histogram.min, histogram.max] = fields;
        Ok(histogram)
    }

    fn parse_line(&mut self, line: &str, totals: &mut [Option<u64>; 4]) -> Result<()> {
        let words: Vec<_> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().context("expected a whole number");

        match words[..] {
            [name, value] => {
                let total = TOTALS
                    .iter()
                    .position(|known| *known == name)
                    .and_then(|index| totals.get_mut(index))
                    .ok_or_else(|| anyhow!("expected one of {}", TOTALS.join(", ")))?;
                ensure!(total.is_none(), "the line is there twice");
                *total = Some(number(value)?);
            }
            [low, high, count] => {
                let bucket = Bucket {
                    low: number(low)?,
                    high: number(high)?,
                    count: number(count)?,
                };
                ensure!(
                    bucket.low <= bucket.high,
                    "the bounds are the wrong way round"
                );
                ensure!(bucket.count > 0, "empty buckets are not listed");
                if let Some(last) = self.buckets.last() {
                    ensure!(last.high < bucket.low, "the buckets are not in order");
                }
                ensure!(
                    totals.iter().all(Option::is_none),
                    "a bucket after the totals"
                );
                self.buckets.push(bucket);
            }
            _ => bail!("expected \"low high count\" or a name and a value"),
        }
        Ok(())
    }

    /// Checks what must hold of a histogram at rest: the buckets add up to `count`, and `min`,
    /// `max` and `sum` are possible with these buckets.
    pub fn check(&self) -> Result<()> {
        let counted: u128 = self.buckets.iter().map(|b| u128::from(b.count)).sum();
        ensure!(
            counted == u128::from(self.count),
            "the buckets hold {counted} values, count says {}",
            self.count
        );

        let (Some(first), Some(last)) = (self.buckets.first(), self.buckets.last()) else {
            ensure!(
                self.sum == 0 && self.min == 0 && self.max == 0,
                "an empty histogram has a sum, a min or a max"
            );
            return Ok(());
        };
        ensure!(
            (first.low..=first.high).contains(&self.min),
            "min {} is not in the first bucket, {} to {}",
            self.min,
            first.low,
            first.high
        );
        ensure!(
            (last.low..=last.high).contains(&self.max),
            "max {} is not in the last bucket, {} to {}",
            self.max,
            last.low,
            last.high
        );

        let bound = |of: fn(&Bucket) -> u64| -> u128 {
            self.buckets
                .iter()
                .map(|b| u128::from(of(b)) * u128::from(b.count))
                .sum()
        };
        let (least, most) = (bound(|b| b.low), bound(|b| b.high));
        ensure!(
            (least..=most).contains(&u128::from(self.sum)),
            "sum {} is not between {least} and {most}, which is what the buckets allow",
            self.sum
        );
        Ok(())
    }

    /// An upper bound of the percentile `percent` (0 to 100), in nanoseconds: no less than
    /// `percent` of the values were at most this. [`None`] for an empty histogram.
    ///
    /// It is the upper bound of the bucket in which the percentile lies (so at most a quarter too
    /// large), or the maximum where that is smaller.
    pub fn percentile(&self, percent: f64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let share = (percent.clamp(0.0, 100.0) / 100.0 * self.count as f64).ceil();
        // At least one value, also for the 0th percentile.
        let rank = (share as u64).clamp(1, self.count);

        let mut seen = 0u64;
        for bucket in &self.buckets {
            seen = seen.saturating_add(bucket.count);
            if seen >= rank {
                return Some(bucket.high.min(self.max));
            }
        }
        Some(self.max)
    }

    /// The mean, in nanoseconds; [`None`] for an empty histogram.
    pub fn mean(&self) -> Option<u64> {
        self.sum.checked_div(self.count)
    }

    /// This histogram and `other` taken together.
    pub fn merged(&self, other: &Self) -> Self {
        let mut buckets = self.buckets.clone();
        for bucket in &other.buckets {
            match buckets.binary_search_by_key(&bucket.low, |known| known.low) {
                Ok(index) => buckets[index].count += bucket.count,
                Err(index) => buckets.insert(index, *bucket),
            }
        }
        Self {
            buckets,
            count: self.count + other.count,
            sum: self.sum.saturating_add(other.sum),
            min: match (self.count, other.count) {
                (0, _) => other.min,
                (_, 0) => self.min,
                _ => self.min.min(other.min),
            },
            max: self.max.max(other.max),
        }
    }
}

/// The lines after the buckets.
const TOTALS: [&str; 4] = ["count", "sum", "min", "max"];

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
1 1 1
8 9 2
112 127 97
count 100
sum 11768
min 1
max 120
";

    fn histogram() -> Histogram {
        Histogram::parse(TEXT).unwrap()
    }

    #[test]
    fn reads_buckets_and_totals() {
        let histogram = histogram();

        assert_eq!(histogram.buckets.len(), 3);
        assert_eq!(
            histogram.buckets[1],
            Bucket {
                low: 8,
                high: 9,
                count: 2
            }
        );
        assert_eq!(
            (histogram.count, histogram.sum, histogram.min, histogram.max),
            (100, 11768, 1, 120)
        );
        histogram.check().unwrap();
    }

    #[test]
    fn reads_an_empty_one() {
        let empty = Histogram::parse("count 0\nsum 0\nmin 0\nmax 0\n").unwrap();

        empty.check().unwrap();
        assert_eq!(empty.percentile(50.0), None);
        assert_eq!(empty.mean(), None);
    }

    #[test]
    fn percentiles_are_upper_bounds() {
        let histogram = histogram();

        assert_eq!(histogram.percentile(0.0), Some(1));
        assert_eq!(histogram.percentile(1.0), Some(1));
        assert_eq!(histogram.percentile(1.1), Some(9));
        assert_eq!(histogram.percentile(3.0), Some(9));
        // The bucket ends at 127, but nothing above 120 was seen.
        assert_eq!(histogram.percentile(50.0), Some(120));
        assert_eq!(histogram.percentile(100.0), Some(120));
    }

    #[test]
    fn the_last_bucket_has_no_end() {
        let text = "1924145348608 18446744073709551615 1\n\
                    count 1\nsum 2000000000000\nmin 2000000000000\nmax 2000000000000\n";
        let histogram = Histogram::parse(text).unwrap();

        histogram.check().unwrap();
        assert_eq!(histogram.percentile(99.0), Some(2_000_000_000_000));
    }

    #[test]
    fn finds_books_that_do_not_add_up() {
        for (from, to) in [
            ("count 100", "count 101"),
            ("min 1", "min 2"),
            ("max 120", "max 128"),
            ("sum 11768", "sum 1"),
            ("sum 11768", "sum 99999"),
        ] {
            let wrong = Histogram::parse(&TEXT.replace(from, to)).unwrap();
            assert!(wrong.check().is_err(), "{to} was taken");
        }
    }

    #[test]
    fn refuses_what_is_not_the_format() {
        for text in [
            "",
            "count 0\nsum 0\nmin 0\n",
            "count 0\nsum 0\nmin 0\nmax 0\nmax 0\n",
            "count 0\nsum 0\nmin 0\nmax 0\nmean 0\n",
            "9 8 1\ncount 1\nsum 8\nmin 8\nmax 8\n",
            "8 9 0\ncount 0\nsum 0\nmin 0\nmax 0\n",
            "8 9 1\n8 9 1\ncount 2\nsum 16\nmin 8\nmax 8\n",
            "count 1\n8 9 1\nsum 8\nmin 8\nmax 8\n",
            "8 9 x\ncount 1\nsum 8\nmin 8\nmax 8\n",
            "8 9\ncount 1\nsum 8\nmin 8\nmax 8\n",
        ] {
            assert!(Histogram::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn two_taken_together() {
        let other = Histogram::parse("8 9 1\n16 19 1\ncount 2\nsum 26\nmin 9\nmax 17\n").unwrap();
        let both = histogram().merged(&other);

        both.check().unwrap();
        assert_eq!(
            (both.count, both.sum, both.min, both.max),
            (102, 11794, 1, 120)
        );
        assert_eq!(both.buckets.len(), 4);
        assert_eq!(histogram().merged(&Histogram::default()), histogram());
        assert_eq!(Histogram::default().merged(&histogram()), histogram());
    }
}
