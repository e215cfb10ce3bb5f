//! Where in the picture a moment is.
//!
//! Time runs evenly, but a stretch in which nothing happens and that is longer than everything else together (a server
//! that just serves) is cut short, so that start and stop can be seen.

use super::story::Micros;

/// A stretch between two moments.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    from: Micros,
    to: Micros,
    /// Its share of the picture begins here, of 0 to 1.
    at: f64,
    share: f64,
    cut: bool,
}

/// From time to a share of the picture's width.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    stretches: Vec<Stretch>,
}

/// A place on the axis with a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// 0 to 1.
    pub(super) at: f64,
    /// Such as `10 s`.
    pub(super) label: String,
}

/// A stretch that is cut short.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cut {
    /// Its middle, 0 to 1.
    pub(super) at: f64,
    /// Its true length, such as `11 h`.
    pub(super) label: String,
}

/// The share of the picture that a stretch cut short keeps.
const CUT_SHARE: f64 = 0.15;

impl Scale {
    /// A scale over moments in order, the first and the last included.
    pub(super) fn new(moments: &[Micros]) -> Self {
        let mut stretches: Vec<Stretch> = moments
            .windows(2)
            .map(|pair| Stretch {
                from: pair[0],
                to: pair[1],
                at: 0.0,
                share: 0.0,
                cut: false,
            })
            .collect();
        while let Some(longest) = longest(&stretches) {
            stretches[longest].cut = true;
        }
        let cuts = stretches.iter().filter(|stretch| stretch.cut).count();
        let even: f64 = stretches.iter().filter(|stretch| !stretch.cut).map(length).sum();
        // A few cuts are seen as such; if there were many they would be the picture.
        let cut_share = CUT_SHARE.min(0.5 / (cuts.max(1) as f64));
        let left = 1.0 - cut_share * cuts as f64;
        let mut at = 0.0;
        for stretch in &mut stretches {
            stretch.share = match stretch.cut {
                true => cut_share,
                false => left * length(stretch) / even.max(1.0),
            };
            stretch.at = at;
            at += stretch.share;
        }
        Self { stretches }
    }

    /// Where a moment is, 0 to 1.
    pub(super) fn place(&self, moment: Micros) -> f64 {
        let at = self.stretches.partition_point(|stretch| stretch.to < moment);
        match self.stretches.get(at) {
            Some(stretch) => {
                let passed = (moment.max(stretch.from) - stretch.from) as f64 / length(stretch).max(1.0);
                stretch.at + stretch.share * passed
            }
            None => self.stretches.last().map_or(0.0, |last| last.at + last.share),
        }
    }

    /// About `count` round times on the axis; none within a stretch that is cut short.
    pub(super) fn ticks(&self, count: usize) -> Vec<Tick> {
        let even: f64 = self
            .stretches
            .iter()
            .filter(|stretch| !stretch.cut)
            .map(length)
            .sum();
        let step = round_step(even / count.max(1) as f64);
        let end = self.stretches.last().map_or(0, |last| last.to);
        let mut ticks = Vec::new();
        let mut moment = 0;
        while moment <= end {
            let within = self
                .stretches
                .iter()
                .find(|stretch| (stretch.from..=stretch.to).contains(&moment));
            match within {
                // Over the gap in one step: it may be days long, and the step a millisecond.
                Some(stretch) if stretch.cut && moment < stretch.to && moment > stretch.from => {
                    moment += (stretch.to - moment)
                        .div_euclid(step)
                        .saturating_add(1)
                        .saturating_mul(step);
                    continue;
                }
                _ => ticks.push(Tick {
                    at: self.place(moment),
                    label: span_text(moment),
                }),
            }
            moment += step;
        }
        ticks
    }

    /// What is cut short.
    pub(super) fn cuts(&self) -> Vec<Cut> {
        let cut = self.stretches.iter().filter(|stretch| stretch.cut);
        cut.map(|stretch| Cut {
            at: stretch.at + stretch.share / 2.0,
            label: span_text(stretch.to - stretch.from),
        })
        .collect()
    }
}

fn length(stretch: &Stretch) -> f64 {
    (stretch.to - stretch.from) as f64
}

/// The longest stretch not yet cut, if it is longer than twice all the others together.
fn longest(stretches: &[Stretch]) -> Option<usize> {
    let even = |stretch: &&Stretch| !stretch.cut;
    let total: f64 = stretches.iter().filter(even).map(length).sum();
    let (at, longest) = stretches
        .iter()
        .enumerate()
        .filter(|(_, stretch)| even(stretch))
        .max_by(|(_, a), (_, b)| length(a).total_cmp(&length(b)))?;
    let rest = total - length(longest);
    (rest > 0.0 && length(longest) > 2.0 * rest).then_some(at)
}

/// The smallest round number of microseconds that is not below `least`.
fn round_step(least: f64) -> Micros {
    const SECOND: Micros = 1_000_000;
    let below: [Micros; 10] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
    let above: [Micros; 22] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400,
        172_800, 432_000, 864_000, 4_320_000,
    ];
    let fine = below.iter().map(|step| step * 1000);
    let coarse = above.iter().map(|step| step * SECOND);
    let mut steps = [SECOND / 10_000, SECOND / 5000]
        .into_iter()
        .chain(fine)
        .chain(coarse);
    steps
        .find(|step| *step as f64 >= least)
        .unwrap_or(86_400 * 100 * SECOND)
}

/// A length of time in few characters: `350 ms`, `12.5 s`, `3 m 20 s`, `5 h`.
pub(in super::super) fn span_text(micros: Micros) -> String {
    let seconds = micros / 1_000_000;
    let pair = |whole: i64, unit: &str, part: i64, small: &str| match part {
        0 => format!("{whole} {unit}"),
        part => format!("{whole} {unit} {part} {small}"),
    };
    match micros {
        ..=0 => "0".into(),
        1..1000 => format!("{} ms", micros as f64 / 1000.0),
        1000..1_000_000 => format!("{} ms", micros / 1000),
        _ => match seconds {
            0..120 => {
                let tenths = micros.div_euclid(100_000);
                match tenths % 10 {
                    0 => format!("{} s", tenths / 10),
                    part => format!("{}.{part} s", tenths / 10),
                }
            }
            120..7200 => pair(seconds / 60, "m", seconds % 60, "s"),
            7200..172_800 => pair(seconds / 3600, "h", seconds % 3600 / 60, "m"),
            _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    #[test]
    fn time_runs_evenly_where_something_happens() {
        let scale = Scale::new(&[0, SECOND, 2 * SECOND, 4 * SECOND]);
        assert!((scale.place(SECOND) - 0.25).abs() < 1e-9);
        assert!((scale.place(3 * SECOND) - 0.75).abs() < 1e-9);
        assert!((scale.place(4 * SECOND) - 1.0).abs() < 1e-9);
        assert!(scale.cuts().is_empty());
    }

    #[test]
    fn a_day_of_serving_leaves_room_for_start_and_stop() {
        let day = 86_400 * SECOND;
        let scale = Scale::new(&[0, SECOND, 2 * SECOND, day, day + 2 * SECOND]);
        let labels: Vec<String> = scale.cuts().into_iter().map(|cut| cut.label).collect();
        assert_eq!(labels, ["23 h 59 m"]);
        assert!(scale.place(2 * SECOND) > 0.4);
        assert!(scale.place(day) < 0.6);
        let ticks = scale.ticks(10);
        assert!((8..=14).contains(&ticks.len()), "{ticks:?}");
        assert!(ticks.windows(2).all(|pair| pair[0].at < pair[1].at));
    }

    #[test]
    fn a_single_moment_has_a_place() {
        for moments in [&[0][..], &[], &[0, 0]] {
            let scale = Scale::new(moments);
            assert!(scale.place(0).is_finite() && scale.place(5).is_finite());
            assert!(scale.ticks(5).len() <= 1);
        }
    }

    #[test]
    fn lengths_are_told_in_few_characters() {
        let told: Vec<String> = [
            0,
            350_000,
            12_540_000,
            90 * SECOND,
            200 * SECOND,
            7200 * SECOND,
            90 * 3600 * SECOND,
        ]
        .map(span_text)
        .to_vec();
        assert_eq!(
            told,
            ["0", "350 ms", "12.5 s", "90 s", "3 m 20 s", "2 h", "3 d 18 h"]
        );
    }

    #[test]
    fn steps_are_round() {
        assert_eq!(round_step(0.0), 100);
        assert_eq!(round_step(130_000.0), 200_000);
        assert_eq!(round_step(3.0 * SECOND as f64), 5 * SECOND);
        assert_eq!(round_step(1e30), 86_400 * 100 * SECOND);
    }
}
