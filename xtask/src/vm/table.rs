//! Kernel × test.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display, Formatter},
};

use super::{row::ROWS, transcript::Outcome};

/// See the module.
#[derive(Default)]
pub(super) struct Table<'a> {
    columns: Vec<Column<'a>>,
}

struct Column<'a> {
    kernel: &'a str,
    outcomes: BTreeMap<String, Outcome>,
}

impl Column<'_> {
    fn width(&self) -> usize {
        self.kernel.len().max("FAILED".len())
    }
}

impl<'a> Table<'a> {
    /// What a kernel said; it may say more in a later start.
    pub(super) fn add(&mut self, kernel: &'a str, outcomes: BTreeMap<String, Outcome>) {
        match self.columns.iter_mut().find(|it| it.kernel == kernel) {
            Some(column) => column.outcomes.extend(outcomes),
            None => self.columns.push(Column { kernel, outcomes }),
        }
        // They end in any order; what is no row of ours comes last.
        let place = |column: &Column| {
            let row = ROWS.iter().position(|row| row.name == column.kernel);
            row.unwrap_or(ROWS.len())
        };
        self.columns.sort_by_key(place);
    }

    /// Why what does not apply does not, once for each reason and kernel.
    fn reasons(&self) -> BTreeSet<(&str, &str)> {
        let outcomes = self
            .columns
            .iter()
            .flat_map(|column| column.outcomes.values().map(|it| (column.kernel, it)));
        outcomes
            .filter_map(|(kernel, outcome)| match outcome {
                Outcome::Inapplicable(why) => Some((kernel, why.as_str())),
                _ => None,
            })
            .collect()
    }
}

impl Display for Table<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let names: BTreeSet<_> = self
            .columns
            .iter()
            .flat_map(|column| column.outcomes.keys())
            .collect();
        let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
        write!(out, "{:width$}", "")?;
        for column in &self.columns {
            write!(out, " {:>1$}", column.kernel, column.width())?;
        }
        writeln!(out)?;
        for name in names {
            write!(out, "{name:width$}")?;
            for column in &self.columns {
                let word = word(column.outcomes.get(name));
                write!(out, " {word:>0$}", column.width())?;
            }
            writeln!(out)?;
        }
        for (kernel, why) in self.reasons() {
            writeln!(out, "n/a on {kernel}: {why}")?;
        }
        Ok(())
    }
}

const fn word(outcome: Option<&Outcome>) -> &'static str {
    match outcome {
        None => "-",
        Some(Outcome::Passed) => "ok",
        Some(Outcome::Failed) => "FAILED",
        Some(Outcome::Inapplicable(_)) => "n/a",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_was_not_run_is_not_shown_as_passed() {
        let mut table = Table::default();
        let why = Outcome::Inapplicable("no tracing".to_owned());
        let outcomes = [("a", Outcome::Passed), ("b", why)];
        table.add(
            "UML",
            outcomes.map(|(name, it)| (name.to_owned(), it)).into(),
        );
        table.add("7.3", BTreeMap::new());
        table.add("7.3", [("a".to_owned(), Outcome::Failed)].into());
        let expected = [
            "     7.3    UML",
            "a FAILED     ok",
            "b      -    n/a",
            "n/a on UML: no tracing",
        ];
        let table = table.to_string();
        assert_eq!(table.lines().collect::<Vec<_>>(), expected);
    }
}
