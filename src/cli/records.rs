//! What users have ordered.

use std::path::Path;

use super::args::AuditArgs;
use super::cdr::reader;
use super::{CliError, live, output};
use crate::edge::console::render;

/// The trail of orders.
pub fn audit(dir: &Path, args: &AuditArgs) -> Result<(), CliError> {
    let entries = match reader(dir)? {
        Some(reader) => reader.audit(args.tenant.as_deref(), None, args.limit)?,
        None => Vec::new(),
    };
    let entries: Vec<_> = entries.into_iter().map(|(_, audit)| audit).collect();
    if args.json { output::json_lines(&entries) } else { live::text(&render::audit(&entries)) }
}
