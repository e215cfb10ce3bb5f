//! Changes to JSON that keep it JSON.

use serde_json::{Map, Value};

/// Values at the edges of what anything takes.
const NUMBERS: [i64; 14] = [
    0,
    1,
    -1,
    2,
    100,
    1000,
    0o777,
    65_535,
    65_536,
    i32::MAX as i64,
    u32::MAX as i64,
    u32::MAX as i64 + 1,
    i64::MAX,
    i64::MIN,
];

/// Words with a meaning somewhere, and words that mean trouble.
const WORDS: [&str; 58] = [
    "",
    "/",
    ".",
    "..",
    "/..",
    "/../..",
    "a",
    "\0",
    "\n",
    "é\u{202e}",
    "/absolute/x",
    "/relative/y",
    "/circle/z",
    "/dangling/w",
    "/etc/up/up/x",
    "/tmp/t",
    "/proc",
    "/proc/self/fd",
    "/dev",
    "/dev/null",
    "/sys/fs/cgroup",
    "proc",
    "tmpfs",
    "cgroup",
    "bind",
    "rbind",
    "ro",
    "rro",
    "idmap",
    "ridmap",
    "tmpcopyup",
    "noatime",
    "rstrictatime",
    "rshared",
    "mode=755",
    "size=1%",
    "mount",
    "user",
    "time",
    "network",
    "CAP_CHOWN",
    "CAP_NONE",
    "RLIMIT_NOFILE",
    "RLIMIT_NONE",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_ERRNO",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_ARCH_X86",
    "PATH=",
    "=",
    "A",
    "net.ipv4.ip_forward",
    "kernel/shmmax",
    "fs.mqueue/../x",
    "0-3,7",
    "1.0.2",
    "rwm",
    "LINUX32",
];

/// A small generator of numbers, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len()))
    }
}

/// Changes a few values of a JSON document. `None` if it is none, or too large afterwards.
pub fn mutate(bytes: &[u8], seed: u32, max: usize) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    let mut numbers = Numbers(u64::from(seed) << 1 | 1);
    for _ in 0..8 {
        numbers.next();
    }
    let donor = value.clone();
    for _ in 0..=numbers.below(3) {
        let count = count(&value);
        let index = numbers.below(count);
        if let Some(place) = nth(&mut value, &mut index.clone()) {
            change(place, &donor, &mut numbers);
        }
    }
    let changed = serde_json::to_vec(&value).ok()?;
    (changed.len() <= max).then_some(changed)
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum::<usize>(),
        _ => 0,
    }
}

/// The value that comes `index`th when all are counted, the outermost first.
fn nth<'a>(value: &'a mut Value, index: &mut usize) -> Option<&'a mut Value> {
    if *index == 0 {
        return Some(value);
    }
    *index -= 1;
    match value {
        Value::Array(list) => list.iter_mut().find_map(|v| nth(v, index)),
        Value::Object(map) => map.values_mut().find_map(|v| nth(v, index)),
        _ => None,
    }
}

fn change(place: &mut Value, donor: &Value, numbers: &mut Numbers) {
    match (numbers.below(8), &mut *place) {
        (0 | 1, Value::Array(list)) if !list.is_empty() => {
            let from = numbers.below(list.len());
            let copy = list.get(from).cloned().unwrap_or_default();
            list.push(copy);
        }
        (2 | 3, Value::Array(list)) if !list.is_empty() => {
            let at = numbers.below(list.len());
            list.remove(at);
        }
        (0..=2, Value::Object(map)) => {
            let key = map
                .keys()
                .nth(numbers.below(map.len()))
                .cloned()
                .unwrap_or_default();
            map.remove(&key);
        }
        (3, Value::Object(map)) => rename(map, numbers),
        (4, _) => {
            // Something from elsewhere in the same document: often of the right kind.
            let mut donor = donor.clone();
            let mut index = numbers.below(count(&donor));
            *place = nth(&mut donor, &mut index).map(Value::take).unwrap_or_default();
        }
        (5, Value::String(text)) => {
            text.push_str(numbers.pick(&WORDS).copied().unwrap_or_default());
        }
        (6, _) => *place = numbers.pick(&NUMBERS).copied().unwrap_or_default().into(),
        (7, Value::Bool(b)) => *b = !*b,
        _ => *place = numbers.pick(&WORDS).copied().unwrap_or_default().into(),
    }
}

fn rename(map: &mut Map<String, Value>, numbers: &mut Numbers) {
    let key = map
        .keys()
        .nth(numbers.below(map.len()))
        .cloned()
        .unwrap_or_default();
    if let Some(value) = map.remove(&key) {
        map.insert(
            numbers.pick(&WORDS).copied().unwrap_or_default().to_owned(),
            value,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_stays_json_and_is_changed_the_same_way_for_the_same_seed() {
        let json = br#"{"a":[1,{"b":"c"},true],"d":null}"#;
        let mut different = 0;
        for seed in 0..500 {
            let changed = mutate(json, seed, 4096).unwrap();
            let again = mutate(json, seed, 4096).unwrap();
            assert_eq!(changed, again);
            serde_json::from_slice::<Value>(&changed).unwrap();
            different += usize::from(changed != json);
        }
        assert!(different > 400, "{different}");
    }

    #[test]
    fn what_is_no_json_or_grows_too_large_is_left_alone() {
        assert_eq!(mutate(b"{", 1, 4096), None);
        assert_eq!(mutate(b"[1,2,3,4]", 1, 1), None);
    }
}
