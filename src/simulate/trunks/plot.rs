//! A plan as a picture: what share of calls so many trunks refuse, and of which tenants.

use std::fmt::Write;

use super::plan::{Load, Point};
use crate::simulate::measure::Estimate;

/// Tenants shown at most: those who are refused most.
const ROWS_MAX: usize = 12;
/// Longest name and title shown, in characters.
const NAME_MAX: usize = 18;
const TITLE_MAX: usize = 60;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 86.0;
const RIGHT: f64 = 736.0;
const TOP: f64 = 96.0;
const BOTTOM: f64 = 396.0;
/// From the upper panel to the title of the lower one, to its first row, and from row to row.
const BELOW: f64 = 84.0;
const ROW_FIRST: f64 = 44.0;
const ROW: f64 = 22.0;
/// Where names of tenants end.
const NAMES: f64 = 176.0;

const FORMULA: &str = "#7a7a7a";
const TRIED: &str = "#1f5fa8";
const AIM: &str = "#b3261e";

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'p> {
    /// For people.
    pub title: &'p str,
    /// What is asked for.
    pub load: Load,
    /// The share that may be refused, in per cent.
    pub share_pct: f64,
    /// What was tried, by trunks.
    pub points: &'p [Point],
    /// The number of trunks that does.
    pub chosen: u32,
    /// Tenants' names, in the order of the points.
    pub names: &'p [&'p str],
}

/// The picture as SVG.
pub fn svg(picture: &Picture<'_>) -> String {
    let rows = rows(picture);
    let height = BOTTOM + BELOW + ROW_FIRST + ROW * rows.len() as f64 + 46.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let title = shortened(picture.title, TITLE_MAX);
    label(&mut text, (LEFT, 30.0), "start", "font-size=\"17\" font-weight=\"bold\"", &title);
    let told = format!(
        "{} trunks refuse no more than {} % of {:.1} erlangs (peakedness {:.2})",
        picture.chosen, picture.share_pct, picture.load.erlangs, picture.load.peakedness
    );
    label(&mut text, (LEFT, 50.0), "start", "fill=\"#444444\"", &told);
    legend(&mut text);
    upper(&mut text, picture);
    lower(&mut text, picture, &rows);
    text.push_str("</svg>\n");
    text
}

/// The numbers of trunks drawn, and the shares between which the axis runs, as powers of ten.
fn ranges(picture: &Picture<'_>) -> ((u32, u32), (i32, i32)) {
    let around = (f64::from(picture.chosen).sqrt().ceil() as u32).max(4);
    let tried = picture.points.iter().map(|point| point.trunks);
    let least = tried.clone().min().unwrap_or(picture.chosen).min(picture.chosen.saturating_sub(around)).max(1);
    let most = tried.max().unwrap_or(picture.chosen).max(picture.chosen.saturating_add(around));
    let shares = [least, most].map(|lines| 100.0 * picture.load.blocking(lines));
    let points = picture.points.iter().map(|point| point.blocked.mean);
    let all = shares.into_iter().chain(points).chain([picture.share_pct]).filter(|share| *share > 0.0);
    let (low, high) = all.fold((f64::MAX, f64::MIN), |(low, high), share| (low.min(share), high.max(share)));
    let floor = (low.log10().floor() as i32).clamp(-4, 1);
    ((least, most), (floor, (high.log10().ceil() as i32).clamp(floor + 1, 2)))
}

fn upper(text: &mut String, picture: &Picture<'_>) {
    let ((least, most), (floor, ceiling)) = ranges(picture);
    let x = |trunks: f64| LEFT + (trunks - f64::from(least)) / f64::from(most - least) * (RIGHT - LEFT);
    let y = |pct: f64| {
        let height = (pct.log10() - f64::from(floor)) / f64::from(ceiling - floor);
        BOTTOM - height.clamp(0.0, 1.0) * (BOTTOM - TOP)
    };
    for power in floor..=ceiling {
        for digit in [1.0, 2.0, 5.0] {
            let pct = digit * 10f64.powi(power);
            if pct <= 10f64.powi(ceiling) * 1.001 {
                let at = y(pct);
                line(text, (LEFT, at), (RIGHT, at), "stroke=\"#e4e4e4\"");
                label(text, (LEFT - 8.0, at + 4.5), "end", "", &format!("{pct}"));
            }
        }
    }
    let step = ((most - least) / 12).max(1);
    for trunks in (least..=most).filter(|trunks| (trunks - least).is_multiple_of(step)) {
        let at = x(f64::from(trunks));
        line(text, (at, BOTTOM), (at, BOTTOM + 5.0), "stroke=\"#444444\"");
        label(text, (at, BOTTOM + 20.0), "middle", "", &trunks.to_string());
    }
    let frame = format!("<path d=\"M{LEFT} {TOP} V{BOTTOM} H{RIGHT}\" fill=\"none\" stroke=\"#444444\"/>\n");
    text.push_str(&frame);
    label(text, (f64::midpoint(LEFT, RIGHT), BOTTOM + 42.0), "middle", "", "trunks");
    let middle = f64::midpoint(TOP, BOTTOM);
    let turned = format!("transform=\"rotate(-90 24 {middle})\"");
    label(text, (24.0, middle), "middle", &turned, "calls refused, % (logarithmic)");
    let aim = y(picture.share_pct);
    line(text, (LEFT, aim), (RIGHT, aim), &format!("stroke=\"{AIM}\" stroke-dasharray=\"6 4\""));
    let wanted = format!("at most {} %", picture.share_pct);
    label(text, (RIGHT - 4.0, aim - 6.0), "end", &format!("fill=\"{AIM}\""), &wanted);
    let chosen = x(f64::from(picture.chosen));
    line(text, (chosen, TOP), (chosen, BOTTOM), &format!("stroke=\"{AIM}\" stroke-dasharray=\"6 4\""));
    let curve: Vec<String> = (least..=most)
        .map(|lines| format!("{:.1},{:.1}", x(f64::from(lines)), y(100.0 * picture.load.blocking(lines))))
        .collect();
    let _ = writeln!(
        text,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{FORMULA}\" stroke-width=\"2\"/>",
        curve.join(" ")
    );
    for point in picture.points {
        let (at, of) = (x(f64::from(point.trunks)), point.blocked);
        line(text, (at, y((of.mean - of.ci95).max(1e-9))), (at, y(of.mean + of.ci95)), &bar());
        dot(text, (at, y(of.mean.max(1e-9))), true);
    }
}

/// The tenants shown: name, refused, refused within the permitted number.
fn rows<'p>(picture: &Picture<'p>) -> Vec<(&'p str, Estimate, Estimate)> {
    let Some(point) = picture.points.iter().find(|point| point.trunks == picture.chosen) else { return Vec::new() };
    let mut rows: Vec<(&str, Estimate, Estimate)> =
        picture.names.iter().zip(&point.tenants).map(|(name, [all, within])| (*name, *all, *within)).collect();
    rows.sort_by(|a, b| b.1.mean.total_cmp(&a.1.mean));
    rows.truncate(ROWS_MAX);
    rows
}

fn lower(text: &mut String, picture: &Picture<'_>, rows: &[(&str, Estimate, Estimate)]) {
    let top = BOTTOM + BELOW;
    let left_out = picture.names.len() - rows.len();
    let rest = if left_out > 0 { format!(" ({left_out} more are refused less)") } else { String::new() };
    let title = format!("Tenants with {} trunks, as permitted by the plan{rest}", picture.chosen);
    label(text, (LEFT, top), "start", "font-weight=\"bold\"", &title);
    let most = rows.iter().map(|(_, all, within)| (all.mean + all.ci95).max(within.mean + within.ci95));
    let most = most.fold(1.5 * picture.share_pct, f64::max);
    let x = |pct: f64| NAMES + (pct / most).clamp(0.0, 1.0) * (RIGHT - NAMES);
    let bottom = top + ROW_FIRST + ROW * rows.len() as f64 - 8.0;
    for quarter in 0..=4 {
        let pct = most * f64::from(quarter) / 4.0;
        line(text, (x(pct), top + 16.0), (x(pct), bottom), "stroke=\"#e4e4e4\"");
        label(text, (x(pct), bottom + 16.0), "middle", "", &format!("{pct:.3}"));
    }
    label(text, (f64::midpoint(NAMES, RIGHT), bottom + 36.0), "middle", "", "calls refused, %");
    let aim = x(picture.share_pct);
    line(text, (aim, top + 16.0), (aim, bottom), &format!("stroke=\"{AIM}\" stroke-dasharray=\"6 4\""));
    for (n, (name, all, within)) in rows.iter().enumerate() {
        let at = top + ROW_FIRST - 8.0 + ROW * n as f64;
        label(text, (NAMES - 10.0, at + 4.5), "end", "", &shortened(name, NAME_MAX));
        for (of, full, lift) in [(all, true, -4.0), (within, false, 4.0)] {
            let from = (x((of.mean - of.ci95).max(0.0)), at + lift);
            line(text, from, (x(of.mean + of.ci95), at + lift), &bar());
            dot(text, (x(of.mean), at + lift), full);
        }
    }
}

/// A text of so many characters at most.
fn shortened(text: &str, most: usize) -> String {
    let short: String = text.chars().take(most).collect();
    if short.len() < text.len() { format!("{short}\u{2026}") } else { short }
}

fn legend(text: &mut String) {
    let at = 72.0;
    line(text, (LEFT, at), (LEFT + 26.0, at), &format!("stroke=\"{FORMULA}\" stroke-width=\"2\""));
    label(text, (LEFT + 32.0, at + 4.5), "start", "", "by formula");
    dot(text, (LEFT + 128.0, at), true);
    label(text, (LEFT + 138.0, at + 4.5), "start", "", "all calls, simulated, with 95 % interval");
    dot(text, (LEFT + 402.0, at), false);
    label(text, (LEFT + 412.0, at + 4.5), "start", "", "those within the permitted number");
}

fn bar() -> String {
    format!("stroke=\"{TRIED}\" stroke-width=\"2\"")
}

fn dot(text: &mut String, (x, y): (f64, f64), full: bool) {
    let fill = if full { TRIED } else { "#ffffff" };
    let _ = writeln!(
        text,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{fill}\" stroke=\"{TRIED}\" stroke-width=\"1.5\"/>"
    );
}

fn line(text: &mut String, from: (f64, f64), to: (f64, f64), style: &str) {
    let _ = writeln!(
        text,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {style}/>",
        from.0, from.1, to.0, to.1
    );
}

fn label(text: &mut String, (x, y): (f64, f64), anchor: &str, style: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {style}>{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_told_is_in_the_picture_and_within_its_frame() {
        let of = |mean: f64| Estimate { mean, ci95: mean / 8.0 };
        let points: Vec<Point> = [(22, 2.5), (23, 1.6), (24, 0.9), (25, 0.0)]
            .map(|(trunks, pct)| Point { trunks, blocked: of(pct), tenants: vec![[of(pct), of(pct / 2.0)]; 14] })
            .into();
        let names: Vec<String> = (0..14).map(|n| format!("a tenant & <more> {n:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let load = Load { erlangs: 15.0, peakedness: 1.25 };
        let picture = Picture { title: "S1", load, share_pct: 1.0, points: &points, chosen: 24, names: &names };
        let drawn = svg(&picture);
        for told in [
            ">S1<",
            "24 trunks refuse no more than 1 % of 15.0 erlangs",
            "peakedness 1.25",
            "at most 1 %",
            ">trunks<",
            "2 more are refused less",
        ] {
            assert!(drawn.contains(told), "{told}\n{drawn}");
        }
        assert!(drawn.contains("a tenant &amp; &lt;mor") && !drawn.contains("& "), "names are escaped");
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        let numbers = |key: &str| -> Vec<f64> {
            drawn.split(&format!(" {key}=\"")).skip(1).filter_map(|rest| rest.split('"').next()?.parse().ok()).collect()
        };
        for key in ["x", "x1", "x2", "cx"] {
            assert!(numbers(key).iter().all(|x| (0.0..=WIDTH).contains(x)), "{key}");
        }
        // Nobody, and nothing refused at all.
        let still =
            Picture { points: &[], names: &[], load: Load { erlangs: 0.0, peakedness: 1.0 }, chosen: 0, ..picture };
        assert!(!svg(&still).contains("NaN"));
    }
}
