//! A table of text: the first column to the left, the others to the right, a rule above the last row if asked for.

/// How many blanks stand between two columns.
const GAP: usize = 2;

/// Rows of equally many cells, the first row being the heading.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Columns aligned to the left: the first so many.
    left: usize,
}

impl Table {
    /// A table with this heading, its first `left` columns aligned to the left.
    pub fn new(heading: &[&str], left: usize) -> Table {
        Table { rows: vec![heading.iter().map(|&h| h.to_owned()).collect()], left }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, without blanks at their ends. `sums`: a rule stands above the last row.
    pub fn render(&self, sums: Sums) -> String {
        let columns = self.rows[0].len();
        let widths: Vec<usize> =
            (0..columns).map(|c| self.rows.iter().map(|row| row[c].chars().count()).max().unwrap_or(0)).collect();
        let mut text = String::new();
        for (i, row) in self.rows.iter().enumerate() {
            if sums == Sums::LastRow && i + 1 == self.rows.len() {
                text.push_str(&"─".repeat(widths.iter().sum::<usize>() + GAP * (columns - 1)));
                text.push('\n');
            }
            let mut line = String::new();
            for (c, cell) in row.iter().enumerate() {
                let blanks = " ".repeat(widths[c] - cell.chars().count());
                let gap = if c == 0 { 0 } else { GAP };
                line.push_str(&" ".repeat(gap));
                if c < self.left { line.extend([cell.as_str(), &blanks]) } else { line.extend([blanks.as_str(), cell]) }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Whether the last row sums up the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sums {
    /// It is a row like the others.
    None,
    /// A rule stands above it.
    LastRow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["type", "lines"], 1);
        table.row(["Patient".into(), "1,000".into()]);
        table.row(["all".into(), "–".into()]);
        assert_eq!(table.render(Sums::None), "type     lines\nPatient  1,000\nall          –\n");
        assert_eq!(table.render(Sums::LastRow), "type     lines\nPatient  1,000\n──────────────\nall          –\n");
    }
}
