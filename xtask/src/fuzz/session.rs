//! One target under libFuzzer, and what it says of itself.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::checkout;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// After so long.
    Seconds(u64),
    /// When the committed corpus has what the other one reaches.
    Merge,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "for {seconds} s"),
            Self::Merge => write!(f, "to keep what is new"),
        }
    }
}

/// Where everything is built and written.
pub(super) fn directory() -> PathBuf {
    checkout::target().join("fuzz")
}

/// What one run did.
pub(super) struct Session<'a> {
    target: &'a str,
    said: Said,
    /// Inputs that failed.
    found: Vec<PathBuf>,
}

impl<'a> Session<'a> {
    /// Runs a target to the limit or its first finding.
    pub(super) fn run(target: &'a str, limit: Limit) -> Result<Self> {
        let place = |name: &str| directory().join(name).join(target);
        let (corpus, artifacts) = (place("corpus"), place("artifacts"));
        for directory in [&corpus, &artifacts] {
            fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        }
        let before = files(&artifacts)?;
        let scratch = Scratch::new()?;
        let committed = checkout::root().join("fuzz/corpus").join(target);
        let mut fuzzer = Command::new(program(target)?);
        match limit {
            Limit::Seconds(seconds) => fuzzer
                .arg(format!("-max_total_time={seconds}"))
                .args([&corpus, &committed]),
            // By the edges reached, not by how often: a fifth of the files.
            Limit::Merge => fuzzer
                .args(["-merge=1", "-use_counters=0"])
                .args([&committed, &corpus]),
        };
        let output = fuzzer
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(["-print_final_stats=1", "-timeout=25", "-max_len=4096"])
            .env("TMPDIR", &scratch.0)
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run the fuzz target {target}"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let found: Vec<_> = files(&artifacts)?.difference(&before).cloned().collect();
        let is_expected = output.status.success() || !found.is_empty();
        if !output.status.success() {
            // Without each step of its progress.
            let told = text.lines().filter(|it| !it.starts_with(['#', '\t']));
            told.for_each(|line| eprintln!("{line}"));
        }
        if !is_expected {
            bail!("the fuzz target {target} ended with {}", output.status);
        }
        Ok(Self {
            target,
            said: Said::of(&text),
            found,
        })
    }

    pub(super) fn row(&self) -> String {
        let Said { runs, coverage } = self.said;
        let found = self.found.len();
        format!("{:16} {runs:>12} {coverage:>9}  {found}\n", self.target)
    }

    /// Target and file.
    pub(super) fn findings(&self) -> impl Iterator<Item = (String, PathBuf)> {
        let target = self.target;
        let files = self.found.iter().cloned();
        files.map(move |file| (target.to_owned(), file))
    }
}

fn program(target: &str) -> Result<PathBuf> {
    let triple = checkout::host()?;
    Ok(directory().join(triple).join("release").join(target))
}

fn files(directory: &Path) -> Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// Where a target may write files: in memory, if there is such a place.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            directory()
        };
        let path = parent.join(format!("probe-fuzz-{}", process::id()));
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// What libFuzzer says at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    runs: u64,
    /// Edges of the control flow.
    coverage: u64,
}

impl Said {
    fn of(text: &str) -> Self {
        let mut said = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            while let Some(word) = words.next() {
                let number = match word {
                    "stat::number_of_executed_units:" => &mut said.runs,
                    "cov:" => &mut said.coverage,
                    _ => continue,
                };
                *number = words.next().and_then(|it| it.parse().ok()).unwrap_or(0);
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &str = "\
INFO: seed corpus: files: 8 min: 26b max: 244b total: 1103b rss: 43Mb
#9\tINITED cov: 711 ft: 1205 corp: 8/1103b exec/s: 0 rss: 44Mb
#120034\tDONE   cov: 1534 ft: 6200 corp: 512/31Kb lim: 4096 exec/s: 6000 rss: 80Mb
Done 120034 runs in 20 second(s)
stat::number_of_executed_units: 120034
stat::average_exec_per_sec:     6001
";

    #[test]
    fn runs_and_coverage_are_the_last_that_were_told() {
        let said = Said {
            runs: 120_034,
            coverage: 1534,
        };
        assert_eq!(Said::of(END), said);
        assert_eq!(Said::of("Segmentation fault\n"), Said::default());
    }
}
