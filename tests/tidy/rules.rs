//! The rules. Each looks at one source and says what is wrong where.

use crate::source::{Source, has_word};

/// Something wrong: path, line from 1, what the rule says.
pub type Fault = (String, usize, String);

/// What a layer may import of the library, in the order of DESIGN: itself is understood. `None`: everything.
const LAYERS: &[(&str, Option<&[&str]>)] = &[
    ("base", Some(&[])),
    ("proto", Some(&["base"])),
    ("dsp", Some(&["base"])),
    ("core", Some(&["base", "proto"])),
    // Of the core only the media command and event types: see `MEDIA_MAY`.
    ("media", Some(&["base", "proto", "dsp", "core"])),
    ("edge", Some(&["base", "proto", "dsp", "core", "media"])),
    ("simulate", Some(&["base", "proto", "core"])),
    ("appliance", None),
    ("cli", None),
    ("demo", None),
    ("main", None),
    ("lib", None),
];

/// The one module of the core that the media plane may name.
const MEDIA_MAY: &str = "core::media";

/// Layers that may name a hardware crate, and which.
const HARDWARE: &[(&str, &[&str])] =
    &[("media", &["cordboard_hal"]), ("edge", &["cordboard_hal", "cordboard_hal_sim"])];

/// Layers without clock, socket, file, thread, lock or executor.
const PURE: &[&str] = &["base", "proto", "dsp", "core", "media", "simulate"];

/// What a pure layer does not name, and why.
const IMPURE: &[(&str, &str)] = &[
    ("Instant::now", "time is an argument"),
    ("SystemTime::now", "time is an argument"),
    ("std::time::Instant", "time is base::Instant"),
    ("SystemTime", "time is base::Timestamp"),
    ("std::thread", "threads belong to edge"),
    ("UdpSocket", "sockets belong to edge"),
    ("TcpStream", "sockets belong to edge"),
    ("TcpListener", "sockets belong to edge"),
    ("std::fs", "files belong to edge"),
    ("Mutex", "one owner per piece of state"),
    ("RwLock", "one owner per piece of state"),
    ("RefCell", "one owner per piece of state"),
    ("OnceLock", "no global state"),
    ("LazyLock", "no global state"),
    ("thread_local", "no global state"),
    ("static mut", "no global state"),
    ("smol", "the executor belongs to edge"),
    ("rusqlite", "the store belongs to edge"),
];

/// What may panic on outside input, and is therefore not used in code that ships.
const PANICS: &[&str] = &[".unwrap()", ".unwrap_err()", ".expect(", ".expect_err(", "panic!", "unimplemented!"];

/// Where a panic is meant, with the reason.
const MAY_PANIC: &[(&str, &str)] = &[
    ("hal/src/conformance", "a test suite that drivers run: it fails by panicking"),
    ("examples/", "small programs for people to read: they stop at the first fault"),
];

/// Most lines of a Rust file.
const LINES_MAX: usize = 800;

/// The layer a file of the library belongs to: the first name below `src/`.
fn layer(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    below.split('/').next().map(|name| name.strip_suffix(".rs").unwrap_or(name))
}

/// Imports follow the layer table.
pub fn layers(source: &Source) -> Vec<Fault> {
    let Some(layer) = layer(&source.path) else { return vec![] };
    let fault = |line: usize, what: String| (source.path.clone(), line, what);
    let Some((_, may)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![fault(1, format!("`{layer}` is in no layer: give it a row in the layer table"))];
    };
    let Some(may) = may else { return vec![] };
    let mut faults = vec![];
    for (line, path) in crate_paths(source) {
        let first = path.split("::").next().unwrap_or_default();
        if first != layer && !may.contains(&first) {
            faults.push(fault(line, format!("layer: {layer} may not import {first} (it may: {})", may.join(", "))));
        } else if layer == "media" && first == "core" && !(path == MEDIA_MAY || path.starts_with("core::media::")) {
            faults.push(fault(line, format!("layer: media may import only {MEDIA_MAY} of the core, not {path}")));
        }
    }
    let hardware = HARDWARE.iter().find(|(name, _)| *name == layer).map_or(&[][..], |(_, crates)| crates);
    for (n, code) in source.code.iter().enumerate() {
        for name in ["cordboard_hal", "cordboard_hal_sim", "cordboard_hal_dahdi"] {
            if has_word(code, name) && !hardware.contains(&name) {
                faults.push(fault(n + 1, format!("layer: {layer} may not import {name}")));
            }
        }
        if code.contains("super::super::super") {
            faults.push(fault(n + 1, "layer: three levels up; write the path from `crate::`".to_owned()));
        }
    }
    faults
}

/// Every path below `crate::` that the file names, `use` groups taken apart, with its line from 1.
fn crate_paths(source: &Source) -> Vec<(usize, String)> {
    let text = source.code.join("\n");
    let mut paths = vec![];
    for (at, root) in text.match_indices("crate::") {
        // `$crate::` counts; `my_crate::` does not.
        if text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let line = text[..at].matches('\n').count() + 1;
        spread(&text[at + root.len()..], String::new(), &mut |path| paths.push((line, path)));
    }
    paths
}

/// Reads a path, and each path of a group at its end; returns what follows.
fn spread<'a>(text: &'a str, prefix: String, found: &mut impl FnMut(String)) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if rest.is_empty() || rest.starts_with('}') {
                return rest.strip_prefix('}').unwrap_or(rest);
            }
            let left = rest.len();
            rest = spread(rest, prefix.clone(), found);
            if rest.len() == left {
                return rest;
            }
            // ` as name` and a glob's star.
            rest = rest.trim_start_matches(|c: char| c != ',' && c != '}');
        }
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    match rest.strip_prefix("::") {
        Some(rest) => spread(rest, path, found),
        None => {
            found(path);
            rest
        }
    }
}

/// Pure layers name no clock, socket, file, thread, lock or executor.
pub fn purity(source: &Source) -> Vec<Fault> {
    if !layer(&source.path).is_some_and(|l| PURE.contains(&l)) {
        return vec![];
    }
    let mut faults = vec![];
    for (line, code) in source.shipped() {
        for (name, why) in IMPURE.iter().filter(|(name, _)| has_word(code, name)) {
            faults.push((source.path.clone(), line, format!("purity: `{name}` in a pure layer: {why}")));
        }
    }
    faults
}

/// Code that ships does not panic by choice, and is safe.
pub fn panics(source: &Source) -> Vec<Fault> {
    let allowed = MAY_PANIC.iter().any(|(path, _)| source.path.starts_with(path));
    let mut faults = vec![];
    for (line, code) in source.shipped() {
        for name in PANICS.iter().filter(|name| !allowed && has_word(code, name)) {
            faults.push((source.path.clone(), line, format!("panic: `{name}` in code that ships: return an error")));
        }
        if has_word(code, "unsafe") {
            faults.push((source.path.clone(), line, "unsafe: not in this crate".to_owned()));
        }
    }
    faults
}

/// Nothing is left for later, in code, comments or documents.
pub fn unfinished(source: &Source) -> Vec<Fault> {
    // Taken apart, so that this file passes.
    let words = [["to", "do"], ["fix", "me"], ["place", "holder"], ["xx", "x"]].map(|w| w.concat());
    let mut faults = vec![];
    for (n, raw) in source.raw.iter().enumerate() {
        let raw = raw.to_lowercase();
        for word in words.iter().filter(|word| has_word(&raw, word)) {
            faults.push((source.path.clone(), n + 1, format!("unfinished: the word `{word}`")));
        }
    }
    faults
}

/// Length, white space, and what a Rust file opens with.
pub fn shape(source: &Source) -> Vec<Fault> {
    let mut faults = vec![];
    let mut fault = |line: usize, what: &str| faults.push((source.path.clone(), line, format!("shape: {what}")));
    let rust = source.path.ends_with(".rs");
    if rust && source.raw.len() > LINES_MAX {
        fault(LINES_MAX + 1, "longer than 800 lines: split by noun");
    }
    let opens = source.raw.iter().find(|l| !l.trim().is_empty());
    if rust && !source.path.ends_with("/tests.rs") && !opens.is_some_and(|l| l.starts_with("//!")) {
        fault(1, "does not open with a module comment (`//!`)");
    }
    for (n, raw) in source.raw.iter().enumerate() {
        if raw.contains('\t') {
            fault(n + 1, "a tab");
        }
        if raw.ends_with([' ', '\r']) {
            fault(n + 1, "white space at the end of the line");
        }
    }
    faults
}

/// Files that a document links to, with their lines from 1: links without scheme, code blocks left out.
pub fn links(source: &Source) -> Vec<(usize, String)> {
    let mut links = vec![];
    let mut fenced = false;
    for (n, raw) in source.raw.iter().enumerate() {
        fenced ^= raw.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        for (at, _) in raw.match_indices("](") {
            let target = raw[at + 2..].split([')', ' ', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                links.push((n + 1, target.to_owned()));
            }
        }
    }
    links
}
