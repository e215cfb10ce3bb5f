//! Time lines with tolerance, and waiting for conditions.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Seconds by which an event may be late where the machine is as fast as the tests expect.
const LATE: f64 = 0.5;

/// How many times slower than expected the machine is: `TENURE_TOLERANCE`, 1 where that is not set.
fn slowness() -> f64 {
    let factor = std::env::var("TENURE_TOLERANCE")
        .ok()
        .and_then(|text| text.parse::<f64>().ok());
    factor.filter(|factor| factor.is_finite()).unwrap_or(1.0).max(1.0)
}

/// Seconds by which an event may be late: 0.5, times `TENURE_TOLERANCE` where that is set.
pub fn tolerance() -> f64 {
    LATE * slowness()
}

/// Seconds from one moment to a later one, negative when they are the other way round.
pub fn seconds_between(earlier: Timestamp, later: Timestamp) -> f64 {
    later.duration_since(earlier).as_secs_f64()
}

/// Panics unless `actual` seconds are as many as `expected`, within [`tolerance`].
#[track_caller]
pub fn assert_about(what: &str, actual: f64, expected: f64) {
    assert_within(what, actual, expected - tolerance(), expected + tolerance());
}

/// Panics unless `actual` seconds lie between the two bounds. `most` allows for the lateness of a machine of the
/// expected speed; what a slower one adds to that is added here. `least` holds on every machine.
#[track_caller]
pub fn assert_between(what: &str, actual: f64, least: f64, most: f64) {
    assert_within(what, actual, least, most + tolerance() - LATE);
}

#[track_caller]
fn assert_within(what: &str, actual: f64, least: f64, most: f64) {
    assert!(
        (least..=most).contains(&actual),
        "{what}: {actual:.3} s, expected between {least:.3} s and {most:.3} s"
    );
}

/// Asks `condition` every 10 ms until it gives a value. `None` once `limit` has passed. Both are multiplied with
/// `TENURE_TOLERANCE` where that is set: a slow machine has no time to spare for asking.
pub fn wait_until<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit.mul_f64(slowness());
    let pause = Duration::from_millis(10).mul_f64(slowness());
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(pause);
    }
}
