//! Medians, 95th percentiles and ratios.

use std::fmt;

use serde_json::{Value, json};

/// What samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Milliseconds,
    Kibibytes,
    /// Figures of which a ratio makes no sense.
    Plain,
}

/// What was measured of one subject.
#[derive(Debug)]
struct Series {
    section: &'static str,
    subject: String,
    samples: Vec<f64>,
    unit: Unit,
}

/// All measurements, in the order in which they were first made.
#[derive(Debug, Default)]
pub(crate) struct Report {
    series: Vec<Series>,
}

impl Report {
    /// Adds milliseconds.
    pub(crate) fn add(&mut self, section: &'static str, subject: &str, sample: f64) {
        self.push(section, subject, sample, Unit::Milliseconds);
    }

    /// Adds an amount of memory, in KiB.
    pub(crate) fn add_kib(&mut self, section: &'static str, subject: &str, sample: f64) {
        self.push(section, subject, sample, Unit::Kibibytes);
    }

    /// Adds a figure that is no time.
    pub(crate) fn add_plain(&mut self, section: &'static str, subject: &str, sample: f64) {
        self.push(section, subject, sample, Unit::Plain);
    }

    fn push(&mut self, section: &'static str, subject: &str, sample: f64, unit: Unit) {
        let found = self
            .series
            .iter_mut()
            .find(|series| series.section == section && series.subject == subject);
        match found {
            Some(series) => series.samples.push(sample),
            None => {
                let subject = subject.to_owned();
                self.series.push(Series {
                    section,
                    subject,
                    samples: vec![sample],
                    unit,
                });
            }
        }
    }

    /// The report for programs.
    pub(crate) fn to_json(&self) -> Value {
        let rows = self.rows().into_iter().map(|row| {
            json!({
                "section": row.series.section,
                "subject": row.series.subject,
                "unit": match row.series.unit {
                    Unit::Milliseconds => "ms",
                    Unit::Kibibytes => "KiB",
                    Unit::Plain => "1",
                },
                "samples": row.series.samples.len(),
                "median": row.median,
                "p95": row.p95,
                "ratio": row.ratio,
            })
        });
        Value::Array(rows.collect())
    }

    /// The series of each section together, with figures.
    fn rows(&self) -> Vec<Row<'_>> {
        let mut sections: Vec<&str> = Vec::new();
        for series in &self.series {
            if !sections.contains(&series.section) {
                sections.push(series.section);
            }
        }
        let of_section = |section: &&str| {
            let rows: Vec<&Series> = self
                .series
                .iter()
                .filter(|series| series.section == *section)
                .collect();
            let base = rows.first().map_or(f64::NAN, |series| series.quantile(0.5));
            rows.into_iter().map(move |series| {
                let median = series.quantile(0.5);
                let ratio = (series.unit != Unit::Plain && base > 0.0).then(|| median / base);
                Row {
                    series,
                    median,
                    p95: series.quantile(0.95),
                    ratio,
                }
            })
        };
        sections.iter().flat_map(of_section).collect()
    }
}

struct Row<'r> {
    series: &'r Series,
    median: f64,
    p95: f64,
    /// How many times as long as Tenure, which comes first in every section.
    ratio: Option<f64>,
}

impl Series {
    /// The sample below which a part of all samples lies.
    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        // Between 0 and the number of samples, which is small.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let index = (part * last as f64).round() as usize;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| measured | by | median | p95 | times Tenure | Tenure's part |"
        )?;
        writeln!(f, "|---|---|---:|---:|---:|---:|")?;
        let mut before = "";
        for Row {
            series,
            median,
            p95,
            ratio,
        } in self.rows()
        {
            let section = if series.section == before {
                ""
            } else {
                series.section
            };
            before = series.section;
            let figure = |value: f64| match series.unit {
                Unit::Milliseconds => format!("{value:.1} ms"),
                Unit::Kibibytes => format!("{value:.0} KiB"),
                Unit::Plain => format!("{value:.0}"),
            };
            let part = ratio.map_or_else(String::new, |ratio| format!("{:.2}", 1.0 / ratio));
            let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            writeln!(
                f,
                "| {section} | {} | {} | {} | {ratio} | {part} |",
                series.subject,
                figure(median),
                figure(p95)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_to_the_first_subject_of_a_section() {
        let mut report = Report::default();
        for (subject, sample) in [
            ("tenure", 2.0),
            ("runc", 5.0),
            ("tenure", 4.0),
            ("runc", 7.0),
            ("tenure", 3.0),
        ] {
            report.add("run", subject, sample);
        }
        report.add_plain("threads", "tenure", 1.0);
        let json = report.to_json();
        assert_eq!(json[0]["median"], 3.0);
        assert_eq!(json[1]["p95"], 7.0);
        assert!(json[1]["ratio"].as_f64().is_some_and(|ratio| ratio > 1.6));
        assert_eq!(json[2]["ratio"], Value::Null);
    }
}
