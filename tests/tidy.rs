//! The house rules, as tests: layers, purity, panics, files and folders. Each fault is told as `file:line: rule`.
//!
//! `ARCHITECTURE.md` has the layer table and the reasons.

use std::collections::BTreeMap;
use std::path::Path;

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use rules::Fault;
use source::{Source, has_word, load, mask};

/// What the root holds: one folder a purpose. Names that begin with a dot come on top.
const ROOT: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "config",
    "deny.toml",
    "examples",
    "firmware",
    "hal",
    "src",
    "tests",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(endings: &[&str]) -> Vec<Source> {
    let sources = load(root(), endings).unwrap_or_else(|e| panic!("the repository cannot be read: {e}"));
    assert!(!sources.is_empty(), "no file ends in {endings:?}");
    sources
}

fn report(faults: Vec<Fault>) {
    let lines: Vec<_> = faults.iter().map(|(path, line, what)| format!("{path}:{line}: {what}")).collect();
    assert!(lines.is_empty(), "{} faults\n{}\n", lines.len(), lines.join("\n"));
}

#[test]
fn imports_follow_the_layer_table() {
    report(sources(&[".rs"]).iter().flat_map(rules::layers).collect());
}

#[test]
fn pure_layers_are_pure() {
    report(sources(&[".rs"]).iter().flat_map(rules::purity).collect());
}

#[test]
fn code_that_ships_neither_panics_nor_is_unsafe() {
    report(sources(&[".rs"]).iter().flat_map(rules::panics).collect());
}

#[test]
fn nothing_is_left_for_later() {
    report(sources(&[".rs", ".md", ".sh"]).iter().flat_map(rules::unfinished).collect());
}

#[test]
fn files_are_in_shape() {
    report(sources(&[".rs", ".md", ".sh", ".toml"]).iter().flat_map(rules::shape).collect());
}

#[test]
fn documents_link_to_files_that_are_there() {
    let mut faults = vec![];
    for document in sources(&[".md", ".rs"]).iter().filter(|s| s.path.ends_with(".md")) {
        let folder = root().join(&document.path);
        let folder = folder.parent().unwrap_or(root());
        for (line, target) in rules::links(document) {
            if !folder.join(&target).exists() {
                faults.push((document.path.clone(), line, format!("link: {target} is not there")));
            }
        }
    }
    report(faults);
}

#[test]
fn the_root_holds_what_it_should() {
    let ignored = source::ignored(root()).unwrap_or_default();
    let mut faults = vec![];
    for entry in root().read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !ignored.contains(&name) && !ROOT.contains(&&*name) {
            faults.push((name, 1, format!("root: not one of {}", ROOT.join(" "))));
        }
    }
    report(faults);
}

#[test]
fn hardware_crates_depend_on_nothing_of_ours() {
    let mut faults = vec![];
    for manifest in sources(&["Cargo.toml"]).iter().filter(|s| s.path.starts_with("hal/")) {
        let may: &[&str] = if manifest.path == "hal/Cargo.toml" { &[] } else { &["cordboard-hal"] };
        for name in own_dependencies(&manifest.raw.join("\n")) {
            if !may.contains(&&*name) {
                faults.push((manifest.path.clone(), 1, format!("layer: depends on {name}")));
            }
        }
    }
    report(faults);
}

/// Crates of this workspace that a manifest depends on, for whatever purpose.
fn own_dependencies(manifest: &str) -> Vec<String> {
    let tables: BTreeMap<String, toml::Value> = toml::from_str(manifest).unwrap_or_default();
    let dependencies = tables.iter().filter(|(name, _)| name.ends_with("dependencies"));
    let names = dependencies.filter_map(|(_, table)| table.as_table()).flat_map(|table| table.keys().cloned());
    names.filter(|name| name.starts_with("cordboard")).collect()
}

// The rules themselves must be able to fail.

fn count(rule: fn(&Source) -> Vec<Fault>, path: &str, text: &str) -> usize {
    rule(&Source::parse(path, text)).len()
}

#[test]
fn masking_leaves_code_alone() {
    let text = "let a = \"crate::x \\\" // no\"; // crate::y\n/* /* z */ */ let b = r#\"\"q\"\"#; let c = '\"'; f::<'a>(b'\\'');";
    let masked = mask(text);
    assert_eq!(masked.len(), text.len());
    let words: Vec<_> = masked.split_whitespace().collect();
    assert_eq!(words.join(" "), "let a = ; let b = ; let c = ; f::<'a>(b );");
}

#[test]
fn test_code_is_known() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { { } }\n}\nfn c() {}\n#[cfg(test)]\nmod walk;\n";
    let source = Source::parse("src/core/a.rs", text);
    assert_eq!(source.test, [false, true, true, true, true, false, true, true]);
    assert!(Source::parse("src/core/a/tests.rs", "fn a() {}").is_test());
    assert!(!Source::parse("src/core/a.rs", "#[cfg(not(test))]\nfn a() {}").test[1]);
}

#[test]
fn the_layer_rule_sees_paths_and_groups() {
    let layers = rules::layers;
    assert_eq!(
        count(layers, "src/core/a.rs", "use crate::base::Now;\nuse crate::{base::{A, B as C}, proto, core::x};"),
        0
    );
    assert_eq!(count(layers, "src/core/a.rs", "use crate::{base::{A, B}, media::X, edge::{self, Y}};"), 3);
    assert_eq!(count(layers, "src/core/a.rs", "fn a() { crate::dsp::g711::encode(0) }"), 1);
    assert_eq!(count(layers, "src/media/a.rs", "use crate::core::media::{A, B};\nuse cordboard_hal::Law;"), 0);
    assert_eq!(count(layers, "src/media/a.rs", "use crate::core::{media::A, queue::B};"), 1);
    assert_eq!(count(layers, "src/media/a.rs", "use cordboard_hal_sim::Card;"), 1);
    assert_eq!(count(layers, "src/proto/a.rs", "use crate::core::X; // crate::edge"), 1);
    assert_eq!(count(layers, "src/elsewhere/a.rs", ""), 1);
    assert_eq!(count(layers, "src/appliance.rs", "use crate::edge::X;"), 0);
}

#[test]
fn the_other_rules_see_what_they_should() {
    assert_eq!(count(rules::purity, "src/core/a.rs", "let t = Instant::now();\n// Mutex\nuse smol::net;"), 2);
    assert_eq!(count(rules::purity, "src/edge/a.rs", "let t = Instant::now();"), 0);
    assert_eq!(count(rules::purity, "src/core/a.rs", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}"), 0);
    let may_panic = "let a = b.unwrap();\nlet c = d.unwrap_or(1);\npanic!(\"x\");\nlet e = f.expect(\"g\");";
    assert_eq!(count(rules::panics, "src/core/a.rs", may_panic), 3);
    assert_eq!(count(rules::panics, "tests/a.rs", may_panic), 0);
    assert_eq!(count(rules::panics, "src/edge/a.rs", &["unsa", "fe { x() }"].concat()), 1);
    assert_eq!(count(rules::unfinished, "README.md", &["TO", "DO: later. Methodology, in todos"].concat()), 1);
    assert_eq!(count(rules::shape, "src/a.rs", "//! A.\nfn a() {}\n"), 0);
    assert_eq!(count(rules::shape, "src/a.rs", "fn a() {} \n\tx\n"), 3);
    assert_eq!(count(rules::shape, "src/a.rs", &format!("//! A.\n{}", "x\n".repeat(800))), 1);
    assert!(has_word("a Mutex<T>", "Mutex") && !has_word("MutexGuard", "Mutex"));
    let links = rules::links(&Source::parse("a.md", "[a](b.md#c) [d](https://e) [f](#g)\n```\n[h](i)\n```\n"));
    assert_eq!(links, [(1, "b.md".to_owned())]);
    assert_eq!(own_dependencies("[dev-dependencies]\ncordboard = { path = \"..\" }\nx = \"1\""), ["cordboard"]);
}
