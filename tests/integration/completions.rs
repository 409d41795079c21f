//! The completion scripts in real shells on a terminal: a key is pressed and the line is read.

use std::{env, ffi::OsString, fs, path::PathBuf, process::Command};

use probe_tests::{
    Cgroup, Running, Terminal, Victim, binaries,
    requirements::{self, not_tested},
};
use tempfile::TempDir;

/// A shell that reads the script when it starts.
struct Shell {
    name: &'static str,
    args: &'static [&'static str],
    /// The file below the home directory that the shell reads, and its text.
    files: fn() -> Vec<(&'static str, String)>,
}

const SHELLS: [Shell; 3] = [
    Shell {
        name: "bash",
        args: &["--noprofile", "-i"],
        files: || {
            let text = "PS1='shell> '\nsource <(probe completions bash)\n";
            vec![(".bashrc", text.to_owned())]
        },
    },
    Shell {
        name: "zsh",
        args: &["-i"],
        files: || {
            let text = "PROMPT='shell> '\nautoload -Uz compinit\ncompinit -u -D\n\
                        source <(probe completions zsh)\n";
            vec![(".zshenv", zsh_paths()), (".zshrc", text.to_owned())]
        },
    },
    Shell {
        name: "fish",
        args: &[],
        files: || {
            let text = "function fish_prompt\n  echo -n 'shell> '\nend\nset fish_greeting\n\
                        set -g fish_autosuggestion_enabled 0\nprobe completions fish | source\n";
            vec![(".config/fish/config.fish", text.to_owned())]
        },
    },
];

fn search_path() -> OsString {
    #[expect(
        clippy::disallowed_methods,
        reason = "the shells get one more directory"
    )]
    env::var_os("PATH").unwrap_or_default()
}

/// A zsh that `cargo xtask setup` unpacked finds its modules and functions only if it is told.
fn zsh_paths() -> String {
    let path = search_path();
    let found = env::split_paths(&path).find(|it| it.join("zsh").is_file());
    let root = found.and_then(|it| Some(it.parent()?.join("debian/usr")));
    let Some(root) = root.filter(|it| it.join("share/zsh").is_dir()) else {
        return String::new();
    };
    let root = root.display();
    format!(
        "module_path=({root}/lib/*/zsh/*(/N))\n\
         fpath=({root}/share/zsh/functions/**/*(/N) {root}/share/zsh/functions $fpath)\n"
    )
}

/// A shell at its prompt, on a terminal.
struct Session {
    terminal: Terminal,
    shell: Running,
    _home: TempDir,
}

impl Session {
    fn start(shell: &Shell) -> Self {
        let home = tempfile::tempdir().expect("a home directory");
        for (name, text) in (shell.files)() {
            let file = home.path().join(name);
            fs::create_dir_all(file.parent().expect("below home")).expect("a directory");
            fs::write(file, text).expect("a new file");
        }
        let directory = binaries::probe();
        let directory = directory.parent().expect("in a directory").to_owned();
        let path = search_path();
        let paths = [directory].into_iter().chain(env::split_paths(&path));
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", shell.name])
            .args(shell.args)
            .env("PATH", env::join_paths(paths).expect("no colon"))
            .env("HOME", home.path())
            .env("ZDOTDIR", home.path())
            .env("XDG_CONFIG_HOME", home.path().join(".config"))
            .env("PROBE_SOCKET", "/no/such/socket")
            .env("LC_ALL", "C.UTF-8");
        let terminal = Terminal::new(120, 40);
        let shell = terminal.start(&mut command);
        terminal.until("the prompt", |it| it.current_line().ends_with("shell>"));
        Self {
            terminal,
            shell,
            _home: home,
        }
    }

    /// Asserts that the key Tab completes a line to this one, then empties the line.
    #[track_caller]
    fn assert_completes(&self, typed: &str, completed: &str) {
        self.terminal.press(typed);
        self.terminal
            .until("the typed line", |it| it.current_line().ends_with(typed));
        self.terminal.press("\t");
        self.terminal.until(&format!("{typed} is completed"), |it| {
            it.current_line().ends_with(&format!("shell> {completed}"))
        });
        // Ctrl-U empties the line.
        self.terminal.press("\u{15}");
        self.terminal
            .until("an empty line", |it| it.current_line().ends_with("shell>"));
    }

    fn exit(mut self) {
        self.terminal.press("exit\r");
        let _status = self.shell.wait();
    }
}

/// The shells that are installed or unpacked. The others are named on stderr.
fn shells() -> Vec<&'static Shell> {
    let mut found = Vec::new();
    for shell in &SHELLS {
        if Command::new(shell.name).arg("--version").output().is_ok() {
            found.push(shell);
        } else {
            let name = shell.name;
            not_tested(&format!(
                "completion in {name}, which is not installed: `cargo xtask setup` unpacks it"
            ));
        }
    }
    assert!(!found.is_empty(), "no shell is installed");
    found
}

#[test]
#[ignore = "needs root"]
fn scripts_complete_commands_signals_cgroups_and_processes_in_real_shells() {
    let _setsid = requirements::tool("setsid");
    let cgroup = Cgroup::v2("complete");
    let unit = cgroup.sub("probe-test-complete.service");
    let victim = Victim::paused(&unit);
    // Docker names the cgroup of a container so.
    let id = format!("{:064x}", cgroup.id()).replace("0000", "c0de");
    let container = cgroup.sub(&format!("docker-{id}.scope"));
    let _member = Victim::paused(&container);
    let pid = victim.pid().to_string();
    let path = PathBuf::from(cgroup.path());
    let (directory, name) = (path.parent().expect("a mount"), cgroup.name());
    let typed = format!("{}{}", directory.display(), &name[..name.len() - 1]);
    for shell in shells() {
        let session = Session::start(shell);
        for (typed, completed) in [
            ("probe doc", "probe doctor"),
            ("probe kill --signal SIGTER", "probe kill --signal SIGTERM"),
            ("probe kill --signal TER", "probe kill --signal TERM"),
            (
                "probe kill --unit probe-test-comp",
                "probe kill --unit probe-test-complete.service",
            ),
            (
                &format!("probe wait --cgroup {typed}"),
                &format!("probe wait --cgroup {}/", cgroup.path()),
            ),
            (
                &format!("probe wait --pid {pid}"),
                &format!("probe wait --pid {pid}"),
            ),
            ("probe daemon --user roo", "probe daemon --user root"),
            (
                &format!("probe wait --container {}", &id[..11]),
                &format!("probe wait --container {}", &id[..12]),
            ),
            ("probe trace --uid roo", "probe trace --uid root"),
        ] {
            session.assert_completes(typed, completed);
        }
        session.exit();
    }
}
