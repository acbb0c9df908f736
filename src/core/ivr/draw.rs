//! Drawings of a flow: Graphviz DOT, and SVG by a layout of our own.

use std::fmt::Write;

use super::flow::{Flow, Node, NodeId};
use super::layout::{Layout, Line, Point, Route, Size, layout};

/// Longest line of text in a box or at an arrow, in characters; the rest is cut with an ellipsis.
const TEXT_MAX: usize = 36;

/// Width of a character of the small and the bold size, in pixels: those of a wide sans-serif font, so that no font
/// makes a text overrun its box.
const SMALL: f64 = 6.8;
const BOLD: f64 = 8.4;

const LINE_HEIGHT: f64 = 15.0;
const PADDING: f64 = 9.0;
const HEADER: f64 = 34.0;

/// An arrow of the drawing: all ways from one step to another.
struct Arrow {
    from: NodeId,
    to: NodeId,
    label: String,
}

/// Where calls come in: the start, and the step for faxes.
fn entries(flow: &Flow) -> Vec<(NodeId, &'static str)> {
    [(flow.start, "")].into_iter().chain(flow.on_fax.map(|fax| (fax, "fax"))).collect()
}

/// The flow in Graphviz's DOT language: a node per step, an edge per pair of steps with all its labels.
pub fn draw_dot(flow: &Flow) -> String {
    let mut dot = format!("digraph {} {{\n", quoted(flow.name()));
    dot.push_str("  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11];\n");
    dot.push_str("  edge [fontname=\"Helvetica\", fontsize=10];\n");
    for (step, label) in entries(flow) {
        let (id, step) = (if label.is_empty() { "start" } else { label }, step_id(flow, step));
        let _ = writeln!(dot, "  {id} [shape=point, width=0.15];");
        let _ = match label {
            "" => writeln!(dot, "  {id} -> {step};"),
            _ => writeln!(dot, "  {id} -> {step} [label={}];", quoted(label)),
        };
    }
    for node in &flow.nodes {
        let label = quoted(&texts(node).join("\n"));
        let _ = writeln!(dot, "  {} [label={label}, fillcolor=\"{}\"];", quoted(&id_of(node)), colour(node.kind));
    }
    for arrow in arrows(flow) {
        let _ = write!(dot, "  {} -> {}", step_id(flow, arrow.from), step_id(flow, arrow.to));
        if !arrow.label.is_empty() {
            let _ = write!(dot, " [label={}]", quoted(&arrow.label));
        }
        dot.push_str(";\n");
    }
    dot.push_str("}\n");
    dot
}

/// Prefixed, so that no step's name meets a word of the language.
fn id_of(node: &Node) -> String {
    format!("step {}", node.name)
}

fn step_id(flow: &Flow, id: NodeId) -> String {
    quoted(&flow.nodes.get(id).map(id_of).unwrap_or_default())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// The flow as an SVG image: boxes with the step's name, kind and main parameter, arrows with the key or condition. A way
/// over many rows ends in a rounded connector with the target's name.
pub fn draw_svg(flow: &Flow) -> String {
    let texts: Vec<Vec<String>> = flow.nodes.iter().map(texts).collect();
    let (loops, arrows): (Vec<Arrow>, Vec<Arrow>) = arrows(flow).into_iter().partition(|arrow| arrow.from == arrow.to);
    let mut sizes: Vec<Size> = texts.iter().map(|lines| box_size(lines)).collect();
    let boxes = sizes.clone();
    for arrow in &loops {
        if let Some(size) = sizes.get_mut(arrow.from) {
            size.width += loop_width(&arrow.label);
        }
    }
    let lines: Vec<Line> = arrows
        .iter()
        .map(|arrow| Line {
            from: arrow.from,
            to: arrow.to,
            label_width: text_width(&arrow.label),
            name_width: text_width(&connector_text(flow, arrow.to)) + 2.0 * PADDING,
        })
        .collect();
    let entries = entries(flow);
    let starts: Vec<NodeId> = entries.iter().map(|(step, _)| *step).collect();
    let layout = layout(&sizes, &lines, &starts);
    let mut svg = head(flow, &layout);
    for (route, arrow) in layout.routes.iter().zip(&arrows) {
        draw_route(&mut svg, route, arrow, flow);
    }
    for (((node, lines), at), size) in flow.nodes.iter().zip(&texts).zip(&layout.boxes).zip(&boxes) {
        draw_box(&mut svg, node, lines, *at, *size);
    }
    for arrow in &loops {
        if let (Some(at), Some(size)) = (layout.boxes.get(arrow.from), boxes.get(arrow.from)) {
            draw_loop(&mut svg, *at, *size, &arrow.label);
        }
    }
    for (step, label) in entries {
        if let (Some(at), Some(size)) = (layout.boxes.get(step), boxes.get(step)) {
            draw_entry(&mut svg, *at, *size, label);
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn head(flow: &Flow, layout: &Layout) -> String {
    let width = layout.width.max(text_width(flow.name()) * 1.6 + 2.0 * PADDING);
    let height = layout.height + HEADER;
    let title = escaped(flow.name());
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" font-family="Helvetica, Arial, sans-serif">
<title>{title}</title>
<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="#555"/></marker></defs>
<style>.line{{fill:none;stroke:#555;stroke-width:1.2}}.small{{font-size:11px;fill:#333}}.name{{font-size:13px;font-weight:bold;fill:#111}}</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="{PADDING}" y="22" font-size="16" font-weight="bold" fill="#111">{title}</text>
<g transform="translate(0 {HEADER})">
"##
    )
}

fn draw_route(svg: &mut String, route: &Route, arrow: &Arrow, flow: &Flow) {
    let mut points = route.points.iter();
    let Some(first) = points.next() else { return };
    let mut path = format!("M{:.1} {:.1}", first.x, first.y);
    let mut last = *first;
    for point in points {
        if (point.x - last.x).abs() < 0.1 {
            let _ = write!(path, "V{:.1}", point.y);
        } else {
            let middle = f64::midpoint(last.y, point.y);
            let _ = write!(path, "C{:.1} {middle:.1} {:.1} {middle:.1} {:.1} {:.1}", last.x, point.x, point.x, point.y);
        }
        last = *point;
    }
    let _ = writeln!(svg, r#"<path d="{path}" class="line" marker-end="url(#arrow)"/>"#);
    if let Some(at) = route.label {
        let width = text_width(&arrow.label);
        let _ = writeln!(
            svg,
            r##"<rect x="{:.1}" y="{:.1}" width="{width:.1}" height="16" fill="#fff"/>"##,
            at.x - width / 2.0,
            at.y - 8.0
        );
        text(svg, at, "small", &arrow.label);
    }
    if let Some(at) = route.connector {
        let name = connector_text(flow, arrow.to);
        let width = text_width(&name) + 2.0 * PADDING;
        let _ = writeln!(
            svg,
            r##"<rect x="{:.1}" y="{:.1}" width="{width:.1}" height="18" rx="9" fill="#fff" stroke="#555" stroke-dasharray="3 2"/>"##,
            at.x - width / 2.0,
            at.y - 9.0
        );
        text(svg, at, "small", &name);
    }
}

fn connector_text(flow: &Flow, to: NodeId) -> String {
    format!("\u{2192} {}", cut(flow.nodes.get(to).map_or("", |node| node.name.as_str())))
}

fn draw_box(svg: &mut String, node: &Node, lines: &[String], at: Point, size: Size) {
    let _ = writeln!(
        svg,
        r##"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="6" fill="{}" stroke="#777"/>"##,
        at.x,
        at.y,
        size.width,
        size.height,
        colour(node.kind)
    );
    let x = at.x + size.width / 2.0;
    for (place, line) in lines.iter().enumerate() {
        let y = at.y + PADDING + LINE_HEIGHT * (place as f64 + 0.5);
        text(svg, Point { x, y }, if place == 0 { "name" } else { "small" }, line);
    }
}

/// A dot above the step, and a line down to it; in the middle for the start, on the right where it has a label.
fn draw_entry(svg: &mut String, at: Point, size: Size, label: &str) {
    let share = if label.is_empty() { 0.5 } else { 0.75 };
    let (x, y) = (at.x + size.width * share, at.y - 20.0);
    let _ = writeln!(svg, r##"<circle cx="{x:.1}" cy="{y:.1}" r="5" fill="#333"/>"##);
    let _ = writeln!(svg, r##"<path d="M{x:.1} {y:.1}V{:.1}" class="line" marker-end="url(#arrow)"/>"##, at.y - 1.0);
    if !label.is_empty() {
        text(svg, Point { x: x + 7.0 + text_width(label) / 2.0, y }, "small", label);
    }
}

fn draw_loop(svg: &mut String, at: Point, size: Size, label: &str) {
    let (x, y) = (at.x + size.width, at.y + size.height / 2.0);
    let _ = writeln!(
        svg,
        r#"<path d="M{x:.1} {:.1}C{:.1} {:.1} {:.1} {:.1} {x:.1} {:.1}" class="line" marker-end="url(#arrow)"/>"#,
        y - 9.0,
        x + 24.0,
        y - 14.0,
        x + 24.0,
        y + 14.0,
        y + 9.0
    );
    text(svg, Point { x: x + 24.0 + text_width(label) / 2.0, y }, "small", label);
}

fn loop_width(label: &str) -> f64 {
    28.0 + text_width(label)
}

/// A line of text with its middle at a point.
fn text(svg: &mut String, at: Point, class: &str, text: &str) {
    let text = escaped(text);
    let y = at.y + 4.0;
    let _ = writeln!(svg, r#"<text x="{:.1}" y="{y:.1}" class="{class}" text-anchor="middle">{text}</text>"#, at.x);
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn text_width(text: &str) -> f64 {
    if text.is_empty() { 0.0 } else { text.chars().count() as f64 * SMALL + 6.0 }
}

fn box_size(lines: &[String]) -> Size {
    let name = lines.first().map_or(0.0, |name| name.chars().count() as f64 * BOLD);
    let widest = lines.iter().skip(1).map(|line| text_width(line)).fold(name, f64::max);
    Size { width: (widest + 2.0 * PADDING).max(90.0), height: lines.len() as f64 * LINE_HEIGHT + 2.0 * PADDING }
}

/// The lines of a step's box: name, kind, main parameter.
fn texts(node: &Node) -> Vec<String> {
    let detail = node.action.detail();
    let mut lines = vec![cut(&node.name), node.kind.to_owned()];
    if !detail.is_empty() {
        lines.push(cut(&detail));
    }
    lines
}

fn cut(text: &str) -> String {
    // Control characters mean nothing in a drawing, and are not allowed in XML.
    let mut clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut cut: String = clean.by_ref().take(TEXT_MAX).collect();
    if clean.next().is_some() {
        cut.pop();
        cut.push('\u{2026}');
    }
    cut
}

fn colour(kind: &str) -> &'static str {
    match kind {
        "play" | "say" | "answer" => "#eaf3ff",
        "menu" | "collect" => "#fff4d6",
        "branch" | "hours" => "#f1e9fb",
        "enqueue" | "callback" | "transfer" | "agent" => "#e3f6e5",
        "hangup" => "#fbe5e3",
        _ => "#f2f2f2",
    }
}

/// All ways of the flow, those between the same two steps in one arrow.
fn arrows(flow: &Flow) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for (from, node) in flow.nodes.iter().enumerate() {
        let mut own: Vec<Arrow> = Vec::new();
        for (label, to) in node.action.exits() {
            match own.iter_mut().find(|arrow| arrow.to == to) {
                Some(arrow) if arrow.label.is_empty() => arrow.label = label,
                Some(arrow) if label.is_empty() => arrow.label.push_str(", next"),
                Some(arrow) => {
                    let _ = write!(arrow.label, ", {label}");
                }
                None => own.push(Arrow { from, to, label }),
            }
        }
        arrows.extend(own.into_iter().map(|arrow| Arrow { label: cut(&arrow.label), ..arrow }));
    }
    arrows
}

#[cfg(test)]
mod tests;
