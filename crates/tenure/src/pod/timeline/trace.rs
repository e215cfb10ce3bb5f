//! The picture as Chrome trace events, for Perfetto and its like.
//!
//! The pod is the process, each container a thread of it, each handler a thread below its container. Times are
//! microseconds since the epoch. Source: the Trace Event Format, `X` (complete), `i` (instant) and `M` (metadata).

use serde_json::{Value, json};

use super::story::{Mark, Micros, Span, Story};

/// The events of a story.
pub(super) fn events(story: &Story) -> Value {
    let origin = story.begin.as_microsecond();
    let mut events = vec![metadata("process_name", 0, &format!("pod {}", story.name))];
    events.push(metadata("thread_name", 0, "pod"));
    events.extend(story.marks.iter().map(|mark| instant(mark, 0, origin)));
    for (number, track) in story.tracks.iter().enumerate() {
        // Two rows for each container, in the order of the manifest.
        let (life, hooks) = (2 * number + 1, 2 * number + 2);
        let name = match track.member.kind {
            "" => track.member.name.clone(),
            kind => format!("{} ({kind})", track.member.name),
        };
        events.push(metadata("thread_name", life, &name));
        events.extend(track.spans.iter().map(|span| complete(span, life, origin)));
        events.extend(track.marks.iter().map(|mark| instant(mark, life, origin)));
        if !track.hooks.is_empty() {
            events.push(metadata("thread_name", hooks, &format!("{name} handlers")));
            events.extend(track.hooks.iter().map(|span| complete(span, hooks, origin)));
        }
    }
    json!({ "displayTimeUnit": "ms", "traceEvents": events })
}

fn metadata(what: &str, thread: usize, name: &str) -> Value {
    json!({ "ph": "M", "name": what, "pid": 1, "tid": thread, "args": { "name": name } })
}

fn complete(span: &Span, thread: usize, origin: Micros) -> Value {
    json!({
        "ph": "X", "name": span.kind.as_str(), "cat": "lifecycle", "pid": 1, "tid": thread,
        "ts": origin + span.from, "dur": span.to - span.from, "args": { "failed": span.failed },
    })
}

fn instant(mark: &Mark, thread: usize, origin: Micros) -> Value {
    json!({
        "ph": "i", "s": "t", "name": mark.message, "cat": "lifecycle", "pid": 1, "tid": thread,
        "ts": origin + mark.at,
    })
}

#[cfg(test)]
mod tests {
    use super::super::story::tests::sample;
    use super::*;

    #[test]
    fn spans_are_complete_events_on_the_containers_thread() {
        let trace = events(&sample());
        let events = trace["traceEvents"].as_array().unwrap();
        let running = events
            .iter()
            .filter(|event| event["name"] == "running")
            .collect::<Vec<_>>();
        assert_eq!(running.len(), 2);
        assert_eq!(
            (&running[1]["ph"], &running[1]["tid"], &running[1]["dur"]),
            (&json!("X"), &json!(3), &json!(2_960_000))
        );
        let names = events
            .iter()
            .filter(|event| event["name"] == "thread_name")
            .collect::<Vec<_>>();
        assert_eq!(names[1]["args"]["name"], "setup (init)");
        assert!(
            events
                .iter()
                .all(|event| event["pid"] == 1 && event["tid"].is_u64())
        );
    }
}
