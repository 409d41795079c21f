//! Other programs: run one, and say which it was if it fails.

use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, anyhow, bail};

use crate::environment;

/// Runs it to its end; its output is ours.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    let status = command.status().with_context(|| line.clone())?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs it to its end and shows its output only if it fails.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Runs it to its end; its stdout is ours, and is read besides.
pub(crate) fn run_and_read(command: &mut Command) -> Result<(Result<()>, String)> {
    let line = line(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| line.clone())?;
    let mut read = String::new();
    for text in child
        .stdout
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(BufRead::lines)
    {
        let text = text.with_context(|| format!("output of `{line}`"))?;
        println!("{text}");
        read.push_str(&text);
        read.push('\n');
    }
    let status = child.wait().with_context(|| line.clone())?;
    let result = if status.success() {
        Ok(())
    } else {
        Err(anyhow!("`{line}` ended with {status}"))
    };
    Ok((result, read))
}

/// Where a program is: what was unpacked comes first. System administrators'
/// directories are not on every user's path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&environment::path())
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

/// What it writes to stdout.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    String::from_utf8(output.stdout).with_context(|| format!("output of `{}`", line(command)))
}

fn output(command: &mut Command) -> Result<Output> {
    let line = line(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| line.clone())?;
    if !output.status.success() {
        bail!(
            "`{line}` ended with {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output)
}

/// As one would type it, without the environment.
fn line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_what_it_wrote() {
        let error = quiet(Command::new("sh").args(["-c", "echo why >&2; exit 3"]))
            .expect_err("the shell fails");
        let text = format!("{error:#}");
        assert!(
            text.contains("sh -c echo why") && text.contains("\nwhy"),
            "{text}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("/no/such/program")).expect_err("nothing to run");
        assert!(format!("{error:#}").starts_with("/no/such/program: "));
    }
}
