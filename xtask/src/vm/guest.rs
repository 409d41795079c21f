//! A virtual machine from its first instruction to its end, under a time limit.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result};

use super::{
    console::{self, Finding},
    initramfs::Initramfs,
    kernel::Kernel,
    qemu::Qemu,
    row::Row,
    transcript::{Outcome, Transcript},
    uml,
};
use crate::checkout;

/// Crowds of 64 MiB each are among the tests.
const MEMORY: &str = "3G";

/// How to start one.
pub(super) struct Guest<'a> {
    pub(super) row: &'a Row<'a>,
    pub(super) kernel: &'a Kernel,
    pub(super) qemu: Option<&'a Qemu>,
    pub(super) initramfs: &'a Initramfs,
    /// Which start of this kernel it is.
    pub(super) start: usize,
    /// For pid 1, as words of the kernel's command line.
    pub(super) words: &'a str,
    pub(super) seconds: u64,
}

/// A machine with a terminal of its own, as long as somebody wants it.
pub(super) fn shell(
    row: &Row,
    kernel: &Kernel,
    qemu: Option<&Qemu>,
    initramfs: &Initramfs,
) -> Result<()> {
    let guest = Guest {
        row,
        kernel,
        qemu,
        initramfs,
        start: 0,
        words: "probe.shell",
        seconds: SHELL_SECONDS,
    };
    let mut command = guest.emulator("console=ttyS0 loglevel=4")?;
    command.args(["-serial", "mon:stdio", "-serial", "null"]);
    crate::command::run(&mut command)
}

/// A day: one that is forgotten ends.
const SHELL_SECONDS: u64 = 24 * 60 * 60;

/// What became of one.
pub(super) struct Run {
    pub(super) transcript: Transcript,
    pub(super) findings: Vec<Finding>,
    /// Where all that it said is kept.
    pub(super) directory: PathBuf,
}

impl Guest<'_> {
    /// Runs it to its end; what the tests say is shown as it comes.
    pub(super) fn run(&self) -> Result<Run> {
        let runs = checkout::target().join("vm/runs").join(self.row.name);
        let directory = runs.join(self.start.to_string());
        fs::create_dir_all(&directory)
            .with_context(|| format!("create {}", directory.display()))?;
        let console = directory.join("console.log");
        let mut child = self
            .command(&console)?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the machine")?;
        let pipe = child.stdout.take().context("a pipe of the machine")?;
        let transcript = self.read(BufReader::new(pipe), &directory.join("tests.log"))?;
        child.wait().context("wait for the machine")?;
        let console = fs::read(&console).unwrap_or_default();
        if let Some(doctor) = &transcript.doctor {
            let path = directory.join("doctor.json");
            fs::write(&path, doctor).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(Run {
            transcript,
            findings: console::findings(&String::from_utf8_lossy(&console)),
            directory,
        })
    }

    fn read(&self, mut pipe: impl BufRead, log: &Path) -> Result<Transcript> {
        let mut log = File::create(log).with_context(|| format!("create {}", log.display()))?;
        let mut transcript = Transcript::default();
        let mut line = Vec::new();
        let begun = Instant::now();
        while pipe.read_until(b'\n', &mut line).context("read its line")? > 0 {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']);
            writeln!(log, "{text}").context("keep what it says")?;
            if !text.contains("@vm doctor") && !transcript.is_known(text) {
                let seconds = begun.elapsed().as_secs();
                println!("{:>6} {seconds:>4} s │ {text}", self.row.name);
            }
            transcript.read(text);
            line.clear();
        }
        transcript.close();
        Ok(transcript)
    }

    fn command(&self, console: &Path) -> Result<Command> {
        let mut qemu = self.emulator("console=ttyS0 loglevel=6")?;
        let console = format!("file:{}", console.display());
        qemu.args(["-serial", &console, "-serial", "stdio"]);
        Ok(qemu)
    }

    /// Gently, because it takes all that it gets, and never for ever.
    fn limited(&self, program: &Path) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--foreground", "-k", "5"])
            .arg(self.seconds.to_string())
            .args(["nice", "-n", "10"])
            .arg(program);
        command
    }

    fn emulator(&self, console: &str) -> Result<Command> {
        let qemu = self.qemu.context("no emulator")?;
        let (cpus, initramfs) = match &self.kernel.uml {
            Some(uml) => {
                let Initramfs { path, uml_init } = self.initramfs;
                (uml::CPUS, uml::pack(uml, uml_init, path)?)
            }
            None => (qemu.cpus(), self.initramfs.path.clone()),
        };
        let mut command = self.limited(&qemu.program);
        for directory in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(qemu.root.join(directory));
        }
        command
            .args(["-machine", "q35", "-accel", "tcg,thread=multi"])
            .args(["-cpu", "max", "-smp", cpus, "-m", MEMORY])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-no-reboot", "-kernel"])
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(initramfs)
            .arg("-append")
            .arg(format!(
                "{console} panic=-1 oops=panic {} {}",
                self.row.words, self.words
            ));
        Ok(command)
    }
}

impl Run {
    pub(super) fn has_stalled(&self) -> bool {
        let is_stall = |finding: &Finding| matches!(finding, Finding::Stalled(_));
        self.findings.iter().any(is_stall)
    }

    /// All that is wrong.
    pub(super) fn trouble(&self) -> Vec<String> {
        let transcript = &self.transcript;
        let mut trouble: Vec<String> = transcript
            .outcomes
            .iter()
            .filter(|(_, outcome)| **outcome == Outcome::Failed)
            .map(|(name, _)| format!("{name} failed"))
            .collect();
        let errors = transcript.notes.iter();
        trouble.extend(errors.filter(|it| it.starts_with("error")).cloned());
        if transcript.release.is_none() {
            trouble.push("it never came to its first program".to_owned());
        } else if !transcript.is_whole {
            trouble.push("it did not come to its end".to_owned());
        }
        trouble.extend(self.findings.iter().map(|finding| match finding {
            Finding::Broken(line) | Finding::Stalled(line) => format!("console: {line}"),
        }));
        trouble
    }
}
