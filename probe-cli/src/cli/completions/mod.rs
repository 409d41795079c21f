//! `probe completions`: prints a completion script for a shell.
//!
//! The scripts for all shells but Nushell ask `probe` itself at each completion, by the variable
//! `COMPLETE`, so that they know the containers, units and processes of the moment.

mod candidates;

use std::io::{self, Write};

use clap::{Arg, Command};
use clap_complete::{ArgValueCandidates, ArgValueCompleter, CompleteEnv, env::Shells, generate};
use clap_complete_nushell::Nushell;

use super::{ExitCode, Failure};
use crate::output::ignore_closed;

/// Print a completion script for a shell
///
/// The script completes commands and options, and the containers, units, cgroups, processes,
/// signals and users of this machine. The script for Nushell completes commands and options
/// only.
///
/// bash and zsh read it when they start if a line such as `source <(probe completions bash)` is
/// in ~/.bashrc. fish reads ~/.config/fish/completions/probe.fish.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Shell to print the script for
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells. `--help` shows their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Nushell,
    Powershell,
    Zsh,
}

/// The variable by which a script asks for candidates. Its value is the name of the shell.
const VARIABLE: &str = "COMPLETE";

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    match args.shell {
        Shell::Nushell => generate(Nushell, &mut super::command(), "probe", &mut script),
        Shell::Bash => register("bash", &mut script)?,
        Shell::Elvish => register("elvish", &mut script)?,
        Shell::Fish => register("fish", &mut script)?,
        Shell::Powershell => register("powershell", &mut script)?,
        Shell::Zsh => {
            register("zsh", &mut script)?;
            script.extend_from_slice(ZSH_AUTOLOAD.as_bytes());
        }
    }
    ignore_closed(io::stdout().write_all(&script))?;
    Ok(ExitCode::Done)
}

/// zsh executes the file `_probe` of its function path for the first completion, which would have
/// no candidates.
const ZSH_AUTOLOAD: &str = "
if [ \"$funcstack[1]\" = _probe ]; then
    _clap_dynamic_completer_probe \"$@\"
fi
";

fn register(shell: &str, script: &mut Vec<u8>) -> io::Result<()> {
    let shells = Shells::builtins();
    let completer = shells.completer(shell);
    let completer = completer.ok_or_else(|| io::Error::other(format!("unknown shell {shell}")))?;
    completer.write_registration(VARIABLE, "probe", "probe", "probe", script)
}

/// Answers a completion script, if one runs this command. Returns the exit code of the process
/// then.
pub(super) fn answer() -> Option<ExitCode> {
    let complete = CompleteEnv::with_factory(|| with_candidates(super::command()));
    let args = std::env::args_os();
    let directory = std::env::current_dir().ok();
    match complete
        .var(VARIABLE)
        .try_complete(args, directory.as_deref())
    {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::Done),
        Err(error) => {
            let _closed = error.print();
            Some(ExitCode::Failure)
        }
    }
}

/// Adds to the arguments the functions that find their values.
fn with_candidates(command: Command) -> Command {
    let verbs: Vec<_> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    verbs.into_iter().fold(command, |command, verb| {
        command.mut_subcommand(verb, |verb| verb.mut_args(with_values))
    })
}

fn with_values(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "cgroup" => arg.add(ArgValueCompleter::new(candidates::cgroups)),
        "container" => arg.add(ArgValueCandidates::new(candidates::containers)),
        "unit" => arg.add(ArgValueCandidates::new(candidates::units)),
        "pid" | "processes" => arg.add(ArgValueCandidates::new(candidates::processes)),
        "signal" => arg.add(ArgValueCompleter::new(candidates::signals)),
        "user" | "uid" => arg.add(ArgValueCandidates::new(candidates::users)),
        "group" => arg.add(ArgValueCandidates::new(candidates::groups)),
        "hierarchy" => arg.add(ArgValueCandidates::new(candidates::hierarchies)),
        _ => arg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_target_has_candidates() {
        let command = with_candidates(crate::cli::command());
        command.clone().debug_assert();
        let kill = command.find_subcommand("kill").expect("a verb");
        for name in ["container", "unit", "pid", "processes"] {
            let arg = kill.get_arguments().find(|arg| arg.get_id() == name);
            let arg = arg.unwrap_or_else(|| panic!("no argument {name}"));
            assert!(arg.get::<ArgValueCandidates>().is_some(), "{name}");
        }
        for name in ["cgroup", "signal"] {
            let arg = kill.get_arguments().find(|arg| arg.get_id() == name);
            let arg = arg.unwrap_or_else(|| panic!("no argument {name}"));
            assert!(arg.get::<ArgValueCompleter>().is_some(), "{name}");
        }
    }
}
