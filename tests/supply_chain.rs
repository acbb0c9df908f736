//! What we build from, held against `deny.toml` without a network: licences, sources, bans, versions beside each other.
//! `cargo deny check` does the same and more where it is installed; the advisories of a vulnerability database can be
//! checked only there, for the database has to be fetched.
#![allow(clippy::disallowed_methods, reason = "cargo is asked what the dependencies are")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// Crates that the shipped binary links in two versions, because what we depend on does not agree. None may be added
/// without a look. The older `sha2` with its `digest` is what sip-codec brings, the older `getrandom` ring.
const TWICE: &[&str] =
    &["bitflags", "block-buffer", "cpufeatures", "crypto-common", "digest", "getrandom", "sha2", "syn"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    root: String,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Metadata {
    let arguments = ["metadata", "--offline", "--locked", "--format-version=1"];
    let target = "--filter-platform=x86_64-unknown-linux-gnu";
    let output = Command::new(env!("CARGO")).args(arguments).arg(target).current_dir(root()).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo's metadata")
}

fn rules() -> toml::Table {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    text.parse().expect("TOML")
}

fn strings(value: &toml::Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(toml::Value::as_str).collect()
}

/// Whether a licence expression (SPDX, or the older form with a slash) can be met by what is allowed.
fn is_met(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let plain = expression.replace('/', " OR ");
    // No expression in use nests deeper than one pair of parentheses around alternatives.
    let all = split(&plain, " AND ");
    if all.len() > 1 {
        return all.iter().all(|part| is_met(part, allowed));
    }
    let inner = plain.trim();
    if let Some(inner) = inner.strip_prefix('(').and_then(|i| i.strip_suffix(')')) {
        return is_met(inner, allowed);
    }
    split(inner, " OR ").iter().any(|licence| allowed(licence.trim()))
}

/// Splits where no parenthesis is open.
fn split<'t>(text: &'t str, at: &str) -> Vec<&'t str> {
    let (mut parts, mut from, mut depth) = (vec![], 0, 0);
    for (n, c) in text.char_indices() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth == 0 && text[n..].starts_with(at) && n >= from {
            parts.push(&text[from..n]);
            from = n + at.len();
        }
    }
    parts.push(&text[from..]);
    parts
}

#[test]
fn licences_are_those_allowed() {
    let rules = rules();
    let allowed = strings(&rules["licenses"]["allow"]);
    let exceptions: BTreeMap<&str, Vec<&str>> = rules["licenses"]["exceptions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|e| (e["crate"].as_str().expect("a name"), strings(&e["allow"])))
        .collect();
    let mut faults = vec![];
    for package in metadata().packages {
        let Some(licence) = &package.license else {
            faults.push(format!("{} names no licence", package.name));
            continue;
        };
        let own = exceptions.get(&*package.name);
        let met = is_met(licence, &|l| allowed.contains(&l) || own.is_some_and(|own| own.contains(&l)));
        if !met {
            faults.push(format!("{} {}: {licence}", package.name, package.version));
        }
    }
    assert!(faults.is_empty(), "not allowed by deny.toml:\n{}", faults.join("\n"));
}

#[test]
fn sources_are_one_registry_with_checksums() {
    let sources: BTreeSet<String> = metadata().packages.into_iter().filter_map(|p| p.source).collect();
    assert_eq!(sources.len(), 1, "{sources:?}");
    assert!(sources.iter().all(|s| s.starts_with("registry+")), "{sources:?}");
    let lock: toml::Table =
        std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock").parse().expect("TOML");
    for package in lock["package"].as_array().expect("packages") {
        let package = package.as_table().expect("a package");
        assert_eq!(package.contains_key("source"), package.contains_key("checksum"), "{package}");
    }
}

#[test]
fn nothing_banned_is_linked_and_nothing_new_twice() {
    let metadata = metadata();
    let rules = rules();
    let banned: Vec<&str> =
        rules["bans"]["deny"].as_array().into_iter().flatten().filter_map(|b| b["crate"].as_str()).collect();
    assert!(!banned.is_empty());
    for package in &metadata.packages {
        assert!(!banned.contains(&&*package.name), "{} is banned by deny.toml", package.name);
    }
    // What ships: no dependency that only tests have.
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|p| (&*p.id, p)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|n| (&*n.id, n)).collect();
    let (mut shipped, mut next) = (BTreeSet::new(), vec![&*metadata.resolve.root]);
    while let Some(id) = next.pop() {
        if shipped.insert(id) {
            let ships = |d: &&Dependency| d.dep_kinds.iter().any(|k| k.kind.as_deref() != Some("dev"));
            next.extend(nodes[id].deps.iter().filter(ships).map(|d| &*d.pkg));
        }
    }
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for id in &shipped {
        *names.entry(&packages[id].name).or_default() += 1;
    }
    let twice: Vec<&str> = names.into_iter().filter(|(_, n)| *n > 1).map(|(name, _)| name).collect();
    let new: Vec<&&str> = twice.iter().filter(|name| !TWICE.contains(name)).collect();
    assert!(new.is_empty(), "in several versions, and not in the list: {new:?}");
}

#[test]
fn expressions_are_understood() {
    let met = |e: &str| is_met(e, &|l| ["MIT", "ISC", "Unicode-3.0"].contains(&l));
    for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0-only OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0", "MIT AND ISC"] {
        assert!(met(good), "{good}");
    }
    for bad in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "(GPL-2.0 OR LGPL-2.1) AND MIT", "", "Apache-2.0/BSD"] {
        assert!(!met(bad), "{bad}");
    }
}
