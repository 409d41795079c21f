//! Other programs: find one, run one, and name it in the error if it fails.

use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::environment;

/// A program and its arguments, which spaces separate.
pub(crate) fn new(line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

/// A child process that is killed and reaped when it is dropped.
pub(crate) struct OwnedChild(pub(crate) Child);

impl Drop for OwnedChild {
    fn drop(&mut self) {
        // Both fail only if the process is gone already.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Starts a program; an error names it.
pub(crate) fn spawn(command: &mut Command) -> Result<OwnedChild> {
    let child = command.spawn().with_context(|| line(command))?;
    Ok(OwnedChild(child))
}

/// Runs a program to its end; its output goes where xtask's goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    let status = command.status().with_context(|| line.clone())?;
    check(&line, status, "")
}

/// Runs a program to its end and shows its output only if it fails.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Runs a program to its end; prints its stdout line by line, and returns it too.
pub(crate) fn run_and_read(command: &mut Command) -> Result<(Result<()>, String)> {
    let line = line(command);
    let OwnedChild(child) = &mut spawn(command.stdout(Stdio::piped()))?;
    let stdout = child.stdout.take().context("no stdout")?;
    let mut read = String::new();
    for text in BufReader::new(stdout).lines() {
        let text = text.with_context(|| format!("output of `{line}`"))?;
        println!("{text}");
        read += &(text + "\n");
    }
    let status = child.wait().with_context(|| line.clone())?;
    Ok((check(&line, status, ""), read))
}

/// The stdout of a program that runs to its end.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    String::from_utf8(output.stdout).with_context(|| format!("output of `{}`", line(command)))
}

/// The path of a program: an unpacked one comes first. Not every user's PATH has the
/// directories of the system administrator.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&environment::path())
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

fn output(command: &mut Command) -> Result<Output> {
    let line = line(command);
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| line.clone())?;
    let text = [&*output.stdout, &*output.stderr].concat();
    check(&line, output.status, &String::from_utf8_lossy(&text))?;
    Ok(output)
}

fn check(line: &str, status: ExitStatus, output: &str) -> Result<()> {
    ensure!(status.success(), "`{line}` ended with {status}\n{output}");
    Ok(())
}

/// The command as a user would type it, without its environment.
fn line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line += &[" ", &argument.to_string_lossy()].concat();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_command_and_its_output() {
        let error = quiet(Command::new("sh").args(["-c", "echo why >&2; exit 3"]));
        let text = format!("{:#}", error.expect_err("the shell fails"));
        assert!(text.starts_with("`sh -c echo why"), "{text}");
        assert!(text.ends_with("\nwhy\n"), "{text}");
    }

    #[test]
    fn an_error_names_a_missing_program() {
        let error = run(&mut Command::new("/no/such/program")).expect_err("no such program");
        assert!(format!("{error:#}").starts_with("/no/such/program: "));
    }
}
