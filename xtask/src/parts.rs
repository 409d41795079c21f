//! The parts of a command: all of them run, even after one has failed, and a table of
//! them comes at the end.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::table;

#[derive(Default)]
pub(crate) struct Parts {
    rows: Vec<Vec<String>>,
    failed: Vec<&'static str>,
}

impl Parts {
    /// Runs a part; returns whether it passed.
    pub(crate) fn run(&mut self, name: &'static str, part: impl FnOnce() -> Result<()>) -> bool {
        self.run_remarked(name, |_| part())
    }

    /// Runs a part that writes a remark for the table.
    pub(crate) fn run_remarked(
        &mut self,
        name: &'static str,
        part: impl FnOnce(&mut String) -> Result<()>,
    ) -> bool {
        println!("── {name}");
        let begun = Instant::now();
        let mut remark = String::new();
        let result = part(&mut remark);
        if let Err(error) = &result {
            eprintln!("{name}: {error:#}");
            self.failed.push(name);
        }
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        let took = format!("{:.1} s", begun.elapsed().as_secs_f64());
        println!("── {name}: {word} in {took}\n");
        self.rows.push(table::row([name, word, &took, &remark]));
        result.is_ok()
    }

    /// Notes a part that does not run, with the reason.
    pub(crate) fn leave_out(&mut self, name: &'static str, reason: &str) {
        self.rows.push(table::row([name, "LEFT OUT", "-", reason]));
    }

    /// Prints the table; fails if a part failed.
    pub(crate) fn finish(self) -> Result<()> {
        print!("{}", table::aligned(&self.rows));
        ensure!(self.failed.is_empty(), "failed: {}", self.failed.join(", "));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_run_after_a_failed_part_and_left_out_parts_do_not_fail() {
        let mut parts = Parts::default();
        assert!(!parts.run("first", || anyhow::bail!("broken")));
        assert!(parts.run("second", || Ok(())));
        parts.leave_out("third", "needs --full");
        assert_eq!(parts.rows[2], ["third", "LEFT OUT", "-", "needs --full"]);
        let error = parts.finish().expect_err("the first part failed");
        assert_eq!(error.to_string(), "failed: first");
    }
}
