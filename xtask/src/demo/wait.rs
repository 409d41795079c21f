//! A `probe wait` in the background.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};

use super::cgroup::Cgroup;
use crate::checkout;

/// Ends with us.
pub(super) struct Wait {
    child: Child,
}

impl Wait {
    /// Tells the user.
    pub(super) fn start(cgroup: &Cgroup) -> Result<Self> {
        Self::spawn(cgroup, &[], Stdio::inherit())
    }

    /// Tells us.
    pub(super) fn start_json(cgroup: &Cgroup) -> Result<Self> {
        Self::spawn(cgroup, &["--json"], Stdio::piped())
    }

    fn spawn(cgroup: &Cgroup, words: &[&str], stdout: Stdio) -> Result<Self> {
        let child = Command::new(checkout::probe())
            .args(["-v", "wait", "--cgroup"])
            .arg(cgroup.directory())
            .args(words)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .context("run probe wait")?;
        Ok(Self { child })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Until no exit can be missed any more.
    pub(super) fn until_armed(
        &mut self,
        tell: impl Fn(&str),
    ) -> Result<Lines<BufReader<ChildStderr>>> {
        let stderr = self.child.stderr.take().context("stderr of probe wait")?;
        let mut lines = BufReader::new(stderr).lines();
        for line in lines.by_ref() {
            let line = line.context("stderr of probe wait")?;
            tell(&line);
            if line.contains("armed") {
                return Ok(lines);
            }
        }
        bail!(
            "probe wait ended before it was armed, with {}",
            self.child.wait()?
        )
    }

    /// Until the verdict was told in JSON.
    pub(super) fn until_verdict(&mut self) -> Result<()> {
        let stdout = self.child.stdout.take().context("stdout of probe wait")?;
        for line in BufReader::new(stdout).lines() {
            if line
                .context("stdout of probe wait")?
                .contains("\"type\":\"wait\"")
            {
                return Ok(());
            }
        }
        bail!("probe wait ended without a verdict")
    }

    pub(super) fn finish(&mut self, stderr: Lines<BufReader<ChildStderr>>) -> Result<ExitStatus> {
        let copy = thread::spawn(move || {
            for line in stderr.map_while(Result::ok) {
                eprintln!("{line}");
            }
        });
        let status = self.child.wait().context("wait for probe")?;
        // Nothing in it can panic but a closed stderr.
        let _copied = copy.join();
        Ok(status)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // Both fail if it has ended, as it should have.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
