//! A virtual machine from its start to its end.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process};

use super::{
    initramfs::Initramfs,
    kernel::{Kernel, Row},
    transcript::Transcript,
};
use crate::{
    checkout,
    command::{self, OwnedChild},
    setup,
};

/// Tests start crowds with 64 MiB each.
const MEMORY: &str = "3G";

/// A guest that prints no line for this long has hung. Every test prints a line, so a guest
/// on a busy machine is slow, but not silent.
const SILENCE: Duration = Duration::from_mins(15);

/// A guest ends after a day, in case it prints for ever or a shell is forgotten.
const LIMIT: &str = "24h";

/// The emulator: QEMU 10 from Debian's backports.
pub(super) struct Qemu {
    program: PathBuf,
    /// The directory of its package.
    root: PathBuf,
    /// The number of CPUs of a guest. Before QEMU 8 a guest crashes when its second CPU
    /// runs a tracepoint while the first one patches it, as BPF does.
    cpus: &'static str,
}

const PROGRAM: &str = "qemu-system-x86_64";

impl Qemu {
    /// Finds or unpacks the emulator.
    pub(super) fn find() -> Result<Self> {
        setup::packages("qemu-system");
        let program = command::find(PROGRAM).with_context(|| format!("no {PROGRAM}"))?;
        let output = command::stdout(Command::new(&program).arg("--version"))?;
        let version = version(&output).with_context(|| format!("no version in: {output}"))?;
        if version < 8 {
            println!("QEMU {version} CRASHES GUESTS with two CPUs: they get one");
        }
        Ok(Self {
            program,
            root: setup::root_of(PROGRAM),
            cpus: if version < 8 { "1" } else { "2" },
        })
    }
}

/// `QEMU emulator version 10.0.2 (…)`
fn version(output: &str) -> Option<u32> {
    let (_, version) = output.split_once("version ")?;
    version.split('.').next()?.parse().ok()
}

pub(super) struct Guest<'a> {
    pub(super) row: &'a Row<'a>,
    pub(super) kernel: &'a Kernel,
    pub(super) qemu: &'a Qemu,
    pub(super) initramfs: &'a Initramfs,
}

impl Guest<'_> {
    /// Runs a machine with a shell on this terminal.
    pub(super) fn shell(&self) -> Result<()> {
        let mut command = self.command("console=ttyS0 loglevel=4 probe.shell")?;
        command::run(command.args(["-serial", "mon:stdio", "-serial", "null"]))
    }

    /// Runs a machine to its end and shows its lines as they come. `words` are for pid 1,
    /// and `start` is the number of the start of this kernel.
    pub(super) fn run(&self, words: &str, start: usize) -> Result<Transcript> {
        let runs = checkout::target().join("vm/runs").join(self.row.name);
        let directory = runs.join(start.to_string());
        fs::create_dir_all(&directory)?;
        let console = directory.join("console.log");
        let mut command = self.command(&format!("console=ttyS0 loglevel=6 {words}"))?;
        let file = format!("file:{}", console.display());
        command.args(["-serial", &file, "-serial", "stdio"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let OwnedChild(child) = &mut command::spawn(&mut command)?;
        let pipe = BufReader::new(child.stdout.take().context("no stdout")?);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = pipe.split(b'\n').map_while(Result::ok);
            lines.all(|line| sender.send(line).is_ok())
        });
        let mut transcript = Transcript::default();
        let mut log = fs::File::create(directory.join("tests.log"))?;
        let begun = Instant::now();
        loop {
            match lines.recv_timeout(SILENCE) {
                Ok(line) => {
                    let line = String::from_utf8_lossy(&line);
                    let line = line.trim_end_matches('\r');
                    writeln!(log, "{line}")?;
                    if transcript.read(line) {
                        let seconds = begun.elapsed().as_secs();
                        println!("{:>6} {seconds:>4} s │ {line}", self.row.name);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let minutes = SILENCE.as_secs() / 60;
                    let trouble = format!("it printed nothing for {minutes} minutes");
                    transcript.trouble.push(trouble);
                    kill_process(Pid::from_child(child), Signal::TERM).context("stop it")?;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        child.wait().context("wait for the machine")?;
        let console = fs::read(&console).unwrap_or_default();
        transcript.close(&String::from_utf8_lossy(&console));
        if let Some(doctor) = &transcript.doctor {
            fs::write(directory.join("doctor.json"), doctor)?;
        }
        Ok(transcript)
    }

    /// The emulator under `timeout`, which stops it even if this process is killed, and
    /// with a low priority, because it uses all CPU time that it gets.
    fn command(&self, words: &str) -> Result<Command> {
        let Self { kernel, qemu, .. } = self;
        let (cpus, initramfs) = match &kernel.uml {
            // UML and its programs take turns. On two CPUs each turn wakes the other CPU,
            // which takes ten times as long.
            Some(uml) => ("1", self.initramfs.pack_uml(uml)?),
            None => (qemu.cpus, self.initramfs.path.clone()),
        };
        let mut command = command::new("timeout --foreground -k 5");
        command.args([LIMIT, "nice", "-n", "10"]).arg(&qemu.program);
        for directory in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(qemu.root.join(directory));
        }
        let path = |path: &Path| path.display().to_string();
        command
            .args(["-machine", "q35", "-accel", "tcg,thread=multi"])
            .args(["-cpu", "max", "-smp", cpus, "-m", MEMORY])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-no-reboot", "-kernel", &path(&kernel.image)])
            .args(["-initrd", &path(&initramfs), "-append"])
            .arg(format!("panic=-1 oops=panic {} {words}", self.row.words));
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_qemu_is_its_first_number() {
        let output = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright\n";
        assert_eq!(version(output), Some(7));
    }
}
