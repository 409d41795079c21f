//! Parts of a command that all run, whatever becomes of the others, and the
//! table of them at the end.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What ran so far.
pub(crate) struct Parts {
    parts: Vec<Part>,
}

struct Part {
    name: &'static str,
    result: PartResult,
    took: Duration,
    /// A remark in the table.
    remark: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PartResult {
    Passed,
    Failed,
    LeftOut,
}

impl PartResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "FAILED",
            Self::LeftOut => "LEFT OUT",
        }
    }
}

impl Parts {
    pub(crate) const fn new() -> Self {
        Self { parts: Vec::new() }
    }

    /// Runs one; says whether it passed.
    pub(crate) fn run(&mut self, name: &'static str, part: impl FnOnce() -> Result<()>) -> bool {
        self.run_remarked(name, |_| part())
    }

    /// Runs one that has something to say of itself.
    pub(crate) fn run_remarked(
        &mut self,
        name: &'static str,
        part: impl FnOnce(&mut String) -> Result<()>,
    ) -> bool {
        println!("── {name}");
        let begun = Instant::now();
        let mut remark = String::new();
        let result = match part(&mut remark) {
            Ok(()) => PartResult::Passed,
            Err(error) => {
                eprintln!("{name}: {error:#}");
                PartResult::Failed
            }
        };
        let took = begun.elapsed();
        println!(
            "── {name}: {} in {:.1} s\n",
            result.as_str(),
            took.as_secs_f64()
        );
        self.parts.push(Part {
            name,
            result,
            took,
            remark,
        });
        result == PartResult::Passed
    }

    /// Puts down what does not run, and why.
    pub(crate) fn leave_out(&mut self, name: &'static str, reason: &str) {
        self.parts.push(Part {
            name,
            result: PartResult::LeftOut,
            took: Duration::ZERO,
            remark: reason.to_owned(),
        });
    }

    /// Shows the table; fails if a part did.
    pub(crate) fn finish(self) -> Result<()> {
        print!("{}", self.table());
        let failed: Vec<_> = self
            .parts
            .iter()
            .filter(|part| part.result == PartResult::Failed)
            .map(|part| part.name)
            .collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }

    fn table(&self) -> String {
        let width = self
            .parts
            .iter()
            .map(|part| part.name.len())
            .max()
            .unwrap_or(0);
        let mut table = String::new();
        for Part {
            name,
            result,
            took,
            remark,
        } in &self.parts
        {
            let took = match result {
                PartResult::LeftOut => "-".to_owned(),
                _ => format!("{:.1} s", took.as_secs_f64()),
            };
            let row = format!("{name:width$}  {:8}  {took:>8}  {remark}", result.as_str());
            table.push_str(row.trim_end());
            table.push('\n');
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_does_not_keep_the_next_part_from_running() {
        let mut parts = Parts::new();
        assert!(!parts.run("first", || bail!("broken")));
        assert!(parts.run("second", || Ok(())));
        let error = parts.finish().expect_err("the first failed");
        assert_eq!(error.to_string(), "failed: first");
    }

    #[test]
    fn what_is_left_out_is_in_the_table_and_is_no_failure() {
        let mut parts = Parts::new();
        parts.leave_out("vm", "needs --full");
        assert_eq!(parts.table(), "vm  LEFT OUT         -  needs --full\n");
        parts.finish().expect("nothing failed");
    }
}
