//! Where the shapes of the charts stand; all in whole units of their view boxes.

use super::facts::{Count, Facts, Step};
use super::shown::moment;

/// Width of each chart.
pub(super) const WIDTH: u64 = 720;
/// Room for the labels of the vertical axis.
pub(super) const LEFT: u64 = 44;
/// Where the horizontal axis is.
pub(super) const FLOOR: u64 = 170;
const TOP: u64 = 12;

/// A rectangle, and what it stands for.
pub(super) struct Shape {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) class: &'static str,
    pub(super) title: String,
}

/// A word at a place.
pub(super) struct Label {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) text: String,
}

/// Columns over a horizontal axis.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) bars: Vec<Shape>,
    pub(super) labels: Vec<Label>,
    pub(super) lines: Vec<Label>,
}

/// The next round number: 1, 2, 5, 10, 20, …
fn round(most: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            if unit.saturating_mul(factor) >= most {
                return unit.saturating_mul(factor);
            }
        }
        unit = unit.saturating_mul(10);
    }
}

fn scale(count: u64, most: u64, room: u64) -> u64 {
    // What is there is seen, however small its share.
    if count == 0 { 0 } else { u64::try_from(u128::from(count) * u128::from(room) / u128::from(most.max(1))).unwrap_or(room).max(1) }
}

fn grid(most: u64) -> Vec<Label> {
    let mut values = vec![0, most / 2, most];
    values.dedup();
    let place = |value| Label { x: LEFT - 8, y: FLOOR - scale(value, most, FLOOR - TOP), text: format!("{value}") };
    values.into_iter().map(place).collect()
}

/// Requests over time: what rules let run below, what people let run above it, what was refused on top.
pub(super) fn activity(steps: &[Step]) -> Columns {
    let most = round(steps.iter().map(|step| step.allowed + step.approved + step.refused).max().unwrap_or(1));
    let each = (WIDTH - LEFT) / (steps.len() as u64).max(12);
    let mut columns = Columns { lines: grid(most), ..Columns::default() };
    for (x, step) in (0..).map(|number| LEFT + number * each).zip(steps) {
        let mut y = FLOOR;
        for (count, class, name) in
            [(step.allowed, "ran", "run by a rule"), (step.approved, "yes", "approved"), (step.refused, "no", "refused")]
        {
            let height = scale(count, most, FLOOR - TOP);
            if height > 0 {
                y = y.saturating_sub(height);
                let title = format!("{}: {count} {name}", step.from);
                columns.bars.push(Shape { x: x + 1, y, width: each.saturating_sub(2).max(1), height, class, title });
            }
        }
    }
    // As many labels as stand side by side.
    let apart = (steps.len() / 5).max(1);
    let shown = steps.iter().zip(0_u64..).step_by(apart).filter(|(_, number)| LEFT + number * each + 90 <= WIDTH + 20);
    columns.labels = shown.map(|(step, number)| Label { x: LEFT + number * each, y: FLOOR + 18, text: step.from.clone() }).collect();
    columns
}

/// How many answers took how long.
pub(super) fn times(ranges: &[Count]) -> Columns {
    let most = round(ranges.iter().map(|range| range.count).max().unwrap_or(1));
    let each = (WIDTH - LEFT) / (ranges.len() as u64).max(1);
    let mut columns = Columns { lines: grid(most), ..Columns::default() };
    for (x, range) in (0..).map(|number| LEFT + number * each).zip(ranges) {
        let height = scale(range.count, most, FLOOR - TOP);
        let title = format!("{}: {}", range.name, range.count);
        columns.bars.push(Shape { x: x + 8, y: FLOOR - height, width: each - 16, height, class: "yes", title });
        columns.labels.push(Label { x: x + each / 2, y: FLOOR + 18, text: range.name.clone() });
    }
    columns
}

/// One file of the policy: a line of its versions.
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) y: u64,
    pub(super) shapes: Vec<Shape>,
}

/// Which version of which file was in force when. Only files that changed, the foremost ones.
pub(super) fn drift(facts: &Facts, since: i64, until: i64) -> Vec<Lane> {
    let changed = facts.policy_files.iter().filter(|file| file.versions.len() > 1).take(12);
    let length = u128::try_from(i128::from(until) - i128::from(since)).unwrap_or(1).max(1);
    let place = |wall: i64| {
        let passed = u128::try_from(i128::from(wall.clamp(since, until)) - i128::from(since)).unwrap_or_default();
        u64::try_from(passed * u128::from(WIDTH) / length).unwrap_or(WIDTH).min(WIDTH)
    };
    let lane = |(number, file): (u64, &super::PolicyFile)| {
        let y = number * 46;
        let ends = file.versions.iter().skip(1).map(|version| version.from_wall).chain([until]);
        let shapes = file.versions.iter().zip(ends).enumerate().map(|(at, (version, end))| {
            let (x, to) = (place(version.from_wall), place(end));
            let digest: String = version.sha256.chars().take(12).collect();
            let title = format!("{digest}… from {}, entry {}", moment(version.from_wall), version.first);
            let class = if at % 2 == 0 { "even" } else { "odd" };
            Shape { x, y: y + 20, width: to.saturating_sub(x).max(3), height: 16, class, title }
        });
        Lane { name: file.path.clone(), y: y + 14, shapes: shapes.collect() }
    };
    (0..).zip(changed).map(lane).collect()
}
