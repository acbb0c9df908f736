//! Layered layout of a directed graph: boxes in rows, lines from row to row, nothing over anything else.
//!
//! The way of Sugiyama and others (1981): break cycles, put each box below those that lead to it, cut long lines into
//! one piece per row, order the rows for few crossings, then move boxes over one another's middle. Between two rows of
//! boxes lies a row of labels, so a label has a place of its own like a box.

use std::collections::BTreeMap;

/// Lines over more rows of boxes than these are not drawn through but named at their end.
const ROWS_MAX: usize = 8;

/// Space between neighbours of a row, in pixels.
const SPACE: f64 = 18.0;

/// Height of the band between two rows in which lines run across, in pixels.
const BAND: f64 = 26.0;

/// Height of a row of labels, in pixels.
const LABEL_HEIGHT: f64 = 18.0;

/// Space of a line that passes through a row, in pixels.
const LINE_WIDTH: f64 = 8.0;

const ORDER_SWEEPS: usize = 12;
const PLACE_SWEEPS: usize = 24;

/// A box to place. Sizes in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A line to draw from one box to another (not to itself).
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Zero for a line without a label.
    pub(super) label_width: f64,
    /// Width of the target's name, should the line end in a connector.
    pub(super) name_width: f64,
}

/// A point in pixels; y grows downwards.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// Where a line runs.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Route {
    /// From its beginning to its end: ends of vertical pieces, which curves join.
    pub(super) points: Vec<Point>,
    /// Middle of the label.
    pub(super) label: Option<Point>,
    /// Middle of the connector in which the line ends in place of its target.
    pub(super) connector: Option<Point>,
}

/// Where everything lies.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Layout {
    /// Top left corners of the boxes.
    pub(super) boxes: Vec<Point>,
    pub(super) routes: Vec<Route>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Something with a place in a row: a box, a label, a connector, or a line that passes.
struct Cell {
    row: usize,
    width: f64,
    height: f64,
    x: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// A line as a chain of cells from the upper row to the lower.
struct Chain {
    cells: Vec<usize>,
    /// Whether the line runs from the lower end to the upper.
    upwards: bool,
    label: Option<usize>,
    connector: Option<usize>,
}

/// Places `boxes` and `lines`; every box should be reachable from `starts`, which come first. A line that names a box that
/// is not there gets an empty route.
pub(super) fn layout(boxes: &[Size], lines: &[Line], starts: &[usize]) -> Layout {
    let upwards = back_lines(boxes.len(), lines, starts);
    let rows = rows_of(boxes.len(), lines, &upwards);
    let mut cells: Vec<Cell> =
        boxes.iter().zip(&rows).map(|(size, row)| Cell::new(2 * row, size.width, size.height)).collect();
    let chains: Vec<Option<Chain>> =
        lines.iter().zip(upwards).map(|(line, upwards)| chain(&mut cells, &rows, *line, upwards)).collect();
    let mut order = first_order(&cells);
    order_rows(&mut order, &cells);
    place(&order, &mut cells);
    draw(boxes.len(), &order, &cells, &chains)
}

impl Cell {
    fn new(row: usize, width: f64, height: f64) -> Self {
        Self { row, width, height, x: 0.0, above: Vec::new(), below: Vec::new() }
    }
}

/// Which lines lead back to a box on the way to their beginning (depth first from `starts`, without recursion).
fn back_lines(count: usize, lines: &[Line], starts: &[usize]) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (index, line) in lines.iter().enumerate() {
        if let Some(out) = out.get_mut(line.from) {
            out.push(index);
        }
    }
    let mut back = vec![false; lines.len()];
    let mut marks = vec![Mark::New; count];
    for root in starts.iter().copied().chain(0..count) {
        let mut stack = vec![(root, 0)];
        while let Some((node, tried)) = stack.pop() {
            let Some(mark) = marks.get_mut(node) else { continue };
            if tried == 0 {
                if *mark != Mark::New {
                    continue;
                }
                *mark = Mark::Open;
            }
            let next = out.get(node).and_then(|out| out.get(tried)).copied();
            let Some((index, line)) = next.and_then(|index| lines.get(index).map(|line| (index, line))) else {
                *mark = Mark::Done;
                continue;
            };
            stack.push((node, tried + 1));
            match marks.get(line.to) {
                Some(Mark::New) => stack.push((line.to, 0)),
                Some(Mark::Open) => {
                    if let Some(back) = back.get_mut(index) {
                        *back = true;
                    }
                }
                _ => {}
            }
        }
    }
    back
}

/// The row of each box: below all that lead to it.
fn rows_of(count: usize, lines: &[Line], upwards: &[bool]) -> Vec<usize> {
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut waiting = vec![0_usize; count];
    for (line, upwards) in lines.iter().zip(upwards) {
        let (top, bottom) = if *upwards { (line.to, line.from) } else { (line.from, line.to) };
        if let (Some(below), Some(waiting)) = (below.get_mut(top), waiting.get_mut(bottom)) {
            below.push(bottom);
            *waiting += 1;
        }
    }
    let mut rows = vec![0_usize; count];
    let mut free: Vec<usize> = waiting.iter().enumerate().filter(|(_, n)| **n == 0).map(|(node, _)| node).collect();
    while let Some(node) = free.pop() {
        let row = rows.get(node).copied().unwrap_or_default() + 1;
        for next in below.get(node).into_iter().flatten() {
            if let (Some(rows), Some(waiting)) = (rows.get_mut(*next), waiting.get_mut(*next)) {
                *rows = row.max(*rows);
                *waiting -= 1;
                if *waiting == 0 {
                    free.push(*next);
                }
            }
        }
    }
    rows
}

/// Adds the cells through which a line passes.
fn chain(cells: &mut Vec<Cell>, rows: &[usize], line: Line, upwards: bool) -> Option<Chain> {
    let (top, bottom) = if upwards { (line.to, line.from) } else { (line.from, line.to) };
    let (first, last) = (2 * rows.get(top)?, 2 * rows.get(bottom)?);
    let labelled = line.label_width > 0.0;
    let add = |cells: &mut Vec<Cell>, row: usize, width: f64, height: f64| {
        cells.push(Cell::new(row, width, height));
        cells.len() - 1
    };
    if last > first + 2 * ROWS_MAX {
        let row = 2 * rows.get(line.from)?;
        let (width, height) = if labelled { (line.label_width, LABEL_HEIGHT) } else { (LINE_WIDTH, 0.0) };
        let way = add(cells, row + 1, width, height);
        let connector = add(cells, row + 2, line.name_width, LABEL_HEIGHT);
        let way = vec![line.from, way, connector];
        join(cells, &way);
        let label = labelled.then(|| way.get(1).copied()).flatten();
        return Some(Chain { cells: way, upwards: false, label, connector: Some(connector) });
    }
    let label_row = if upwards { last.checked_sub(1)? } else { first + 1 };
    let mut label = None;
    let mut way = vec![top];
    for row in first + 1..last {
        let cell = if row == label_row && labelled {
            let cell = add(cells, row, line.label_width, LABEL_HEIGHT);
            label = Some(cell);
            cell
        } else {
            add(cells, row, LINE_WIDTH, 0.0)
        };
        way.push(cell);
    }
    way.push(bottom);
    join(cells, &way);
    Some(Chain { cells: way, upwards, label, connector: None })
}

fn join(cells: &mut [Cell], way: &[usize]) {
    for (upper, lower) in way.iter().zip(way.iter().skip(1)) {
        if let Some(cell) = cells.get_mut(*upper) {
            cell.below.push(*lower);
        }
        if let Some(cell) = cells.get_mut(*lower) {
            cell.above.push(*upper);
        }
    }
}

fn first_order(cells: &[Cell]) -> Vec<Vec<usize>> {
    let height = cells.iter().map(|cell| cell.row + 1).max().unwrap_or_default();
    let mut order = vec![Vec::new(); height];
    for (index, cell) in cells.iter().enumerate() {
        if let Some(row) = order.get_mut(cell.row) {
            row.push(index);
        }
    }
    order
}

/// Orders each row by the middle of its neighbours above, then below, and so on; keeps the order with fewest crossings.
fn order_rows(order: &mut Vec<Vec<usize>>, cells: &[Cell]) {
    let mut best = order.clone();
    let mut fewest = usize::MAX;
    let mut ranks = vec![0.0; cells.len()];
    for sweep in 0..ORDER_SWEEPS {
        let downwards = sweep % 2 == 0;
        set_ranks(order, &mut ranks);
        let rows: Vec<usize> = if downwards { (0..order.len()).collect() } else { (0..order.len()).rev().collect() };
        for row in rows {
            let Some(row) = order.get_mut(row) else { continue };
            let middles: BTreeMap<usize, f64> = row
                .iter()
                .filter_map(|index| {
                    let cell = cells.get(*index)?;
                    let near = if downwards { &cell.above } else { &cell.below };
                    let own = ranks.get(*index).copied().unwrap_or_default();
                    Some((*index, mean(near.iter().filter_map(|other| ranks.get(*other)).copied()).unwrap_or(own)))
                })
                .collect();
            let key = |index: &usize| middles.get(index).copied().unwrap_or_default();
            row.sort_by(|a, b| key(a).total_cmp(&key(b)));
            set_ranks(std::slice::from_ref(row), &mut ranks);
        }
        let crossings = crossings(order, cells, &ranks);
        if crossings < fewest {
            fewest = crossings;
            best.clone_from(order);
        }
    }
    *order = best;
}

/// Each cell's place in its row, as a share of the row, so that rows of unlike lengths compare.
fn set_ranks(order: &[Vec<usize>], ranks: &mut [f64]) {
    for row in order {
        for (place, index) in row.iter().enumerate() {
            if let Some(rank) = ranks.get_mut(*index) {
                *rank = (place as f64 + 0.5) / row.len() as f64;
            }
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// How many pairs of lines cross: inversions, counted by merge sort.
fn crossings(order: &[Vec<usize>], cells: &[Cell], ranks: &[f64]) -> usize {
    let mut count = 0;
    for row in order {
        let mut ends = Vec::new();
        for index in row {
            let below = cells.get(*index).map(|cell| cell.below.as_slice()).unwrap_or_default();
            let mut own: Vec<f64> = below.iter().filter_map(|other| ranks.get(*other)).copied().collect();
            own.sort_by(f64::total_cmp);
            ends.extend(own);
        }
        count += inversions(&mut ends);
    }
    count
}

fn inversions(values: &mut [f64]) -> usize {
    if values.len() < 2 {
        return 0;
    }
    let (left, right) = values.split_at_mut(values.len() / 2);
    let mut count = inversions(left) + inversions(right);
    let mut place = 0;
    for value in &*left {
        place += right.get(place..).unwrap_or_default().iter().take_while(|other| *other < value).count();
        count += place;
    }
    values.sort_by(f64::total_cmp);
    count
}

/// Moves each cell towards the middle of its neighbours, as far as the others of its row let it.
fn place(order: &[Vec<usize>], cells: &mut [Cell]) {
    for row in order {
        let wanted: Vec<(f64, f64)> = vec![(0.0, 1.0); row.len()];
        settle(row, &wanted, cells);
    }
    for sweep in 0..PLACE_SWEEPS {
        // The last sweeps look both ways, so that neither end pulls a box out of the middle.
        let (above, below) = match sweep {
            s if s + 6 >= PLACE_SWEEPS => (true, true),
            s if s % 2 == 0 => (true, false),
            _ => (false, true),
        };
        let rows: Vec<&Vec<usize>> = if sweep % 2 == 0 { order.iter().collect() } else { order.iter().rev().collect() };
        for row in rows {
            let wanted: Vec<(f64, f64)> = row.iter().map(|index| wish(*index, cells, above, below)).collect();
            settle(row, &wanted, cells);
        }
    }
    let left = cells.iter().map(|cell| cell.x - cell.width / 2.0).fold(f64::INFINITY, f64::min);
    for cell in cells.iter_mut() {
        cell.x += SPACE - left;
    }
}

/// Where a cell would like to be, and how much: lines that pass want to be straight.
fn wish(index: usize, cells: &[Cell], above: bool, below: bool) -> (f64, f64) {
    let Some(cell) = cells.get(index) else { return (0.0, 1.0) };
    let near = |wanted: bool, list: &[usize]| {
        let xs = list.iter().filter(|_| wanted).filter_map(|other| cells.get(*other)).map(|other| other.x);
        mean(xs)
    };
    let wish = mean([near(above, &cell.above), near(below, &cell.below)].into_iter().flatten());
    let weight = if cell.height == 0.0 { 4.0 } else { 1.0 };
    match wish {
        Some(x) => (x, weight),
        None => (cell.x, 0.5),
    }
}

/// Places a row's cells in their order, as near to their wishes as the space between them allows: least weighted squares,
/// by pooling neighbours that get in each other's way (isotonic regression).
fn settle(row: &[usize], wanted: &[(f64, f64)], cells: &mut [Cell]) {
    struct Pool {
        sum: f64,
        weight: f64,
        count: usize,
    }
    let mut offsets = Vec::with_capacity(row.len());
    let mut right = 0.0;
    for index in row {
        let half = cells.get(*index).map_or(0.0, |cell| cell.width / 2.0);
        offsets.push(right + half);
        right += 2.0 * half + SPACE;
    }
    let mut pools: Vec<Pool> = Vec::new();
    for ((x, weight), offset) in wanted.iter().zip(&offsets) {
        let mut pool = Pool { sum: (x - offset) * weight, weight: *weight, count: 1 };
        while let Some(last) = pools.pop_if(|last| last.sum / last.weight > pool.sum / pool.weight) {
            pool.sum += last.sum;
            pool.weight += last.weight;
            pool.count += last.count;
        }
        pools.push(pool);
    }
    let shifts = pools.iter().flat_map(|pool| std::iter::repeat_n(pool.sum / pool.weight, pool.count));
    for ((index, offset), shift) in row.iter().zip(&offsets).zip(shifts) {
        if let Some(cell) = cells.get_mut(*index) {
            cell.x = offset + shift;
        }
    }
}

fn draw(boxes: usize, order: &[Vec<usize>], cells: &[Cell], chains: &[Option<Chain>]) -> Layout {
    let mut tops = Vec::with_capacity(order.len());
    let mut heights = Vec::with_capacity(order.len());
    let mut y = BAND;
    for row in order {
        let height = row.iter().filter_map(|index| cells.get(*index)).map(|cell| cell.height).fold(0.0, f64::max);
        tops.push(y);
        heights.push(height);
        y += height + BAND;
    }
    let span = |row: usize| {
        let top = tops.get(row).copied().unwrap_or_default();
        (top, top + heights.get(row).copied().unwrap_or_default())
    };
    // Where each line leaves the lower side and enters the upper side of its boxes.
    let mut ports: BTreeMap<(usize, usize, bool), f64> = BTreeMap::new();
    for (index, cell) in cells.iter().enumerate().take(boxes) {
        spread(index, cell, true, cells, &mut ports);
        spread(index, cell, false, cells, &mut ports);
    }
    let middle = |index: usize| {
        let cell = cells.get(index)?;
        let (top, bottom) = span(cell.row);
        Some(Point { x: cell.x, y: f64::midpoint(top, bottom) })
    };
    let route = |chain: &Option<Chain>| {
        let mut route = Route { points: Vec::new(), label: None, connector: None };
        let Some(chain) = chain else { return route };
        for (place, index) in chain.cells.iter().enumerate() {
            let Some(cell) = cells.get(*index) else { continue };
            let (top, bottom) = span(cell.row);
            let port = |other: Option<&usize>, below| {
                other.and_then(|other| ports.get(&(*index, *other, below))).copied().unwrap_or(cell.x)
            };
            let before = place.checked_sub(1).and_then(|before| chain.cells.get(before));
            let after = chain.cells.get(place + 1);
            if before.is_some() {
                route.points.push(Point { x: port(before, false), y: top });
            }
            if after.is_some() {
                let x = port(after, true);
                if *index < boxes && top + cell.height < bottom {
                    // Straight down beside the taller boxes of the row.
                    route.points.push(Point { x, y: top + cell.height });
                }
                route.points.push(Point { x, y: bottom });
            }
        }
        if chain.upwards {
            route.points.reverse();
        }
        route.label = chain.label.and_then(middle);
        route.connector = chain.connector.and_then(|index| {
            let cell = cells.get(index)?;
            Some(Point { x: cell.x, y: span(cell.row).0 + cell.height / 2.0 })
        });
        route
    };
    let corner = |cell: &Cell| Point { x: cell.x - cell.width / 2.0, y: span(cell.row).0 };
    Layout {
        boxes: cells.iter().take(boxes).map(corner).collect(),
        routes: chains.iter().map(route).collect(),
        width: cells.iter().map(|cell| cell.x + cell.width / 2.0).fold(0.0, f64::max) + SPACE,
        height: y,
    }
}

/// Spreads the lines of one side of a box over its width, in the order of where they come from.
fn spread(index: usize, cell: &Cell, below: bool, cells: &[Cell], ports: &mut BTreeMap<(usize, usize, bool), f64>) {
    let mut near = if below { cell.below.clone() } else { cell.above.clone() };
    near.sort_by(|a, b| {
        let x = |other: &usize| cells.get(*other).map_or(0.0, |cell| cell.x);
        x(a).total_cmp(&x(b))
    });
    let step = (cell.width * 0.8 / near.len().max(1) as f64).min(28.0);
    let first = cell.x - step * (near.len() as f64 - 1.0) / 2.0;
    for (place, other) in near.into_iter().enumerate() {
        ports.insert((index, other, below), first + step * place as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Size = Size { width: 100.0, height: 40.0 };

    fn line(from: usize, to: usize) -> Line {
        Line { from, to, label_width: 20.0, name_width: 60.0 }
    }

    /// Every box, label and connector of a layout as left, top, right, bottom.
    fn areas(layout: &Layout, boxes: &[Size], lines: &[Line]) -> Vec<[f64; 4]> {
        let boxes =
            layout.boxes.iter().zip(boxes).map(|(at, size)| [at.x, at.y, at.x + size.width, at.y + size.height]);
        let around = |at: Point, width: f64| {
            [at.x - width / 2.0, at.y - LABEL_HEIGHT / 2.0, at.x + width / 2.0, at.y + LABEL_HEIGHT / 2.0]
        };
        let labels = layout.routes.iter().zip(lines).filter_map(|(r, l)| r.label.map(|at| around(at, l.label_width)));
        let connectors =
            layout.routes.iter().zip(lines).filter_map(|(r, l)| r.connector.map(|at| around(at, l.name_width)));
        boxes.chain(labels).chain(connectors).collect()
    }

    fn check(boxes: &[Size], lines: &[Line]) -> Layout {
        let layout = layout(boxes, lines, &[0]);
        let areas = areas(&layout, boxes, lines);
        for (place, a) in areas.iter().enumerate() {
            assert!(a[0] >= 0.0 && a[1] >= 0.0 && a[2] <= layout.width && a[3] <= layout.height, "{a:?} is outside");
            for b in areas.iter().skip(place + 1) {
                let apart = a[2] <= b[0] + 0.01 || b[2] <= a[0] + 0.01 || a[3] <= b[1] || b[3] <= a[1];
                assert!(apart, "{a:?} overlaps {b:?}");
            }
        }
        assert!(layout.routes.iter().all(|route| route.points.len() >= 2));
        layout
    }

    #[test]
    fn one_box() {
        let layout = check(&[BOX], &[]);
        assert_eq!(layout.boxes.len(), 1);
    }

    #[test]
    fn a_diamond_has_its_ends_in_the_middle() {
        let layout = check(&[BOX; 4], &[line(0, 1), line(0, 2), line(1, 3), line(2, 3)]);
        let x: Vec<f64> = layout.boxes.iter().map(|at| at.x).collect();
        assert!((x[0] - x[3]).abs() < 1.0 && (x[1] + x[2] - 2.0 * x[0]).abs() < 1.0, "{x:?}");
        assert!(layout.boxes[0].y < layout.boxes[1].y && layout.boxes[1].y < layout.boxes[3].y);
    }

    #[test]
    fn a_way_back_ends_at_its_target() {
        let layout = check(&[BOX; 3], &[line(0, 1), line(1, 2), line(2, 0)]);
        let back = &layout.routes[2];
        let (first, last) = (back.points[0], back.points[back.points.len() - 1]);
        assert!(first.y > last.y, "it runs upwards: {back:?}");
        assert_eq!(last.y, layout.boxes[0].y + BOX.height);
        assert_eq!(first.y, layout.boxes[2].y);
    }

    #[test]
    fn very_long_ways_end_in_connectors() {
        let mut lines: Vec<Line> = (0..19).map(|from| line(from, from + 1)).collect();
        lines.push(line(0, 19));
        lines.push(line(19, 0));
        let layout = check(&[BOX; 20], &lines);
        assert!(layout.routes[19].connector.is_some() && layout.routes[20].connector.is_some());
        assert!(layout.routes[..19].iter().all(|route| route.connector.is_none()));
    }

    #[test]
    fn random_graphs_never_overlap() {
        let seed = 0x5eed_0001_u64;
        println!("seed {seed:#x}");
        let mut state = seed;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap_or(0) % below
        };
        for _ in 0..60 {
            let count = 1 + random(30);
            let boxes: Vec<Size> = (0..count)
                .map(|_| Size { width: 60.0 + random(200) as f64, height: 30.0 + random(30) as f64 })
                .collect();
            let mut lines: Vec<Line> = (1..count).map(|to| line(random(to), to)).collect();
            for _ in 0..random(2 * count) {
                let (from, to) = (random(count), random(count));
                if from != to && !lines.iter().any(|line| (line.from, line.to) == (from, to)) {
                    lines.push(line(from, to));
                }
            }
            check(&boxes, &lines);
        }
    }
}
