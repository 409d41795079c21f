//! `-o` and `--json`: the format of the output.

use super::{ExitCode, Failure, terminal};
use crate::output::human::{Columns, UnknownColumn};

/// The format of the output on stdout.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct FormatArg {
    /// Format: text, json, or the columns of a table, such as pid,comm,status
    ///
    /// A column has the name that its header has; wrong names are answered with the list.
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,

    /// Print one JSON object per line, as -o json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Clone, Debug)]
enum Format {
    Text,
    Json,
    Columns(Vec<String>),
}

fn format(text: &str) -> Result<Format, String> {
    let names = text.split(',').map(str::trim);
    let names: Vec<_> = names.map(str::to_ascii_lowercase).collect();
    match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["text"] => Ok(Format::Text),
        ["json"] => Ok(Format::Json),
        _ if names.iter().any(String::is_empty) => {
            Err("expected text, json or columns, such as pid,comm,status".to_owned())
        }
        _ => Ok(Format::Columns(names)),
    }
}

impl FormatArg {
    pub(super) const fn is_json(&self) -> bool {
        self.json || matches!(self.format, Some(Format::Json))
    }

    /// Whether the user chose a format.
    pub(super) const fn is_chosen(&self) -> bool {
        self.json || self.format.is_some()
    }

    /// The columns that the user chose; none for the usual ones.
    pub(super) fn names(&self) -> &[String] {
        match &self.format {
            Some(Format::Columns(names)) => names,
            _ => &[],
        }
    }

    /// The columns of records, or `None` for JSON.
    pub(super) fn records(&self) -> Result<Option<Columns>, Failure> {
        if self.is_json() {
            return Ok(None);
        }
        let columns = terminal::columns().chosen(self.names());
        columns.map(Some).map_err(unknown_column)
    }
}

/// The failure if a table has no such column.
pub(super) fn unknown_column(error: UnknownColumn) -> Failure {
    let hint = format!("the columns are {}", error.known.to_ascii_lowercase());
    Failure::new(ExitCode::Usage, error).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_text_json_or_columns() {
        assert!(matches!(format("text"), Ok(Format::Text)));
        assert!(matches!(format("JSON"), Ok(Format::Json)));
        let Ok(Format::Columns(names)) = format("PID, killed-by") else {
            panic!("columns")
        };
        assert_eq!(names, ["pid", "killed-by"]);
        for wrong in ["", "pid,", ","] {
            assert!(format(wrong).is_err(), "{wrong}");
        }
    }
}
