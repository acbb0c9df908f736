//! What the drawings show.

use super::*;
use crate::core::ivr::check;

const EVERY_STEP: &str = include_str!("../../../../examples/flows/every-step.toml");

fn flow(text: &str) -> Flow {
    check(text, "test.toml").unwrap_or_else(|faults| panic!("{faults:#?}"))
}

#[test]
fn dot_names_every_step_and_way() {
    let dot = draw_dot(&flow(EVERY_STEP));
    for line in [
        "digraph \"Every step\" {",
        "  start -> \"step answer\";",
        "  fax -> \"step fax\" [label=\"fax\"];",
        "  \"step transfer\" -> \"step queue\" [label=\"machine\"];",
        "  \"step menu\" -> \"step menu\" [label=\"*\"];",
        "  \"step menu\" -> \"step queue\" [label=\"2, timeout\"];",
        "  \"step who\" -> \"step gold\" [label=\"tier >= 3\"];",
        "  \"step answer\" -> \"step who\";",
        "  \"step queue\" -> \"step transfer\" [label=\"overflow\"];",
    ] {
        assert!(dot.lines().any(|found| found == line), "{line} is not in\n{dot}");
    }
}

#[test]
fn svg_shows_every_step_and_label() {
    let flow = flow(EVERY_STEP);
    let svg = draw_svg(&flow);
    for node in &flow.nodes {
        assert!(svg.contains(&format!(">{}</text>", node.name)), "{} is not drawn", node.name);
    }
    for label in ["2, timeout", "tier &gt;= 3", "overflow", "no answer", "6\u{2013}10 digits into account"] {
        assert!(svg.contains(&format!(">{label}</text>")), "{label} is not drawn");
    }
    let arrows = arrows(&flow).len();
    // One for each arrow, one from the start's dot and one from that for faxes.
    assert_eq!(svg.matches("marker-end").count(), arrows + 2);
    assert!(svg.contains(r#"class="small" text-anchor="middle">fax</text>"#));
}

#[test]
fn markup_in_texts_is_only_text() {
    let text = "[flow]\nname = '<b>\"&\\'\nstart = 'a'\n[step.a]\ndo = 'set'\nattributes = { x = '<\"&>' }\nnext = 'b'\n[step.b]\ndo = 'hangup'\n";
    let flow = flow(text);
    let svg = draw_svg(&flow);
    assert!(svg.contains("<title>&lt;b&gt;&quot;&amp;\\</title>") && svg.contains("x = &lt;&quot;&amp;&gt;"), "{svg}");
    assert!(draw_dot(&flow).starts_with("digraph \"<b>\\\"&\\\\\" {"), "{}", draw_dot(&flow));
}

#[test]
fn long_texts_are_cut() {
    assert_eq!(cut(&"x".repeat(36)), "x".repeat(36));
    assert_eq!(cut(&"x".repeat(37)), format!("{}\u{2026}", "x".repeat(35)));
    assert_eq!(cut("a\nb"), "a b");
}
