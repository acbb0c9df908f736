//! Aligned tables.

use std::fmt;

/// Widest column, in characters; longer cells push the rest of their line to the right.
const COLUMN_MAX: usize = 60;

/// A table with a head line. Numbers are aligned to the right, everything else to the left.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new<'a>(head: impl IntoIterator<Item = &'a str>) -> Self {
        Self { head: head.into_iter().map(str::to_uppercase).collect(), rows: Vec::new() }
    }

    /// Adds a row; what a cell holds beyond printable characters is replaced.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        self.rows.push(cells.into_iter().map(|cell| cell.chars().map(printable).collect()).collect());
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn columns(&self) -> Vec<Column> {
        let column = |(n, title): (usize, &String)| {
            let cells = || self.rows.iter().filter_map(|row| row.get(n));
            Column {
                width: cells().chain([title]).map(|cell| cell.chars().count()).max().unwrap_or(0).min(COLUMN_MAX),
                right: cells().any(|cell| !cell.is_empty()) && cells().all(|cell| numeric(cell)),
            }
        };
        self.head.iter().enumerate().map(column).collect()
    }
}

struct Column {
    width: usize,
    right: bool,
}

fn numeric(cell: &str) -> bool {
    cell.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '%' | '-'))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns();
        for row in std::iter::once(&self.head).chain(&self.rows) {
            let mut line = String::new();
            for (cell, column) in row.iter().zip(&columns) {
                let width = column.width;
                line.push_str(&if column.right { format!("{cell:>width$}") } else { format!("{cell:<width$}") });
                line.push_str("  ");
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["name", "calls", "since"]);
        table.row(["zürich".into(), "7".into(), "now".into()]);
        table.row(["ana".into(), "1234".into(), String::new()]);
        assert_eq!(table.to_string(), "NAME    CALLS  SINCE\nzürich      7  now\nana      1234\n");
    }

    #[test]
    fn cells_cannot_steer_the_terminal() {
        let mut table = Table::new(["from"]);
        table.row(["\x1b[2Jx\ny".into()]);
        assert_eq!(table.to_string(), "FROM\n\u{fffd}[2Jx\u{fffd}y\n");
    }
}
