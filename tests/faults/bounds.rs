//! `status` and ARCHITECTURE.md name the same bounds, with the same numbers.

use std::collections::BTreeMap;

use cordboard::core::control::Status;

use crate::process::{Process, ok};
use crate::site::{Site, flow, quiet};
use crate::users::directory;

const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");

/// The bounds of the document's tables: name, and its figure where it is a number.
fn documented() -> BTreeMap<String, Option<u64>> {
    let mut inside = false;
    let mut bounds = BTreeMap::new();
    for line in ARCHITECTURE.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        inside = line.starts_with('|') && (inside || cells.first() == Some(&"bound"));
        if let (true, [name, _, most, _]) = (inside && line.starts_with("| `"), cells.as_slice()) {
            bounds.insert(name.trim_matches('`').to_owned(), most.replace(',', "").parse().ok());
        }
    }
    bounds
}

#[test]
fn status_shows_every_bound_that_the_document_lists_and_no_other() {
    let site = Site::new();
    let users = format!("[access]\nsocket = '{}'\n", directory(&site).join("users.sock").display());
    let file = site.file("site.toml", &site.text(1, &(flow("200", "quiet", &quiet()) + &users)));
    let _process = Process::start(&site, Some(&file));
    let status: Status = serde_json::from_str(&ok(&site, &["status", "--json"])).unwrap();
    let shown: BTreeMap<String, u64> = status.bounds.iter().map(|b| (b.name.clone(), b.max)).collect();
    assert_eq!(shown.len(), status.bounds.len(), "a bound is shown twice");
    let documented = documented();
    let names = |of: Vec<&String>| of.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(names(shown.keys().collect()), names(documented.keys().collect()));
    for (name, most) in documented {
        assert!(most.is_none_or(|most| most == shown[&name]), "{name}: {most:?} in the document, {}", shown[&name]);
    }
    let table = ok(&site, &["status"]);
    for name in shown.keys() {
        assert!(table.lines().any(|line| line.starts_with(&format!("{name} "))), "{name} is not in\n{table}");
    }
}
