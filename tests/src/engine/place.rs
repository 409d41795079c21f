//! The mount namespace in which an engine and `probe` run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use super::namespace::Namespace;
use crate::conditions;

/// The programs of a namespace with engines. The machine's own `/usr/local` is left out.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// The cgroup hierarchies that a namespace shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Those of this machine.
    Machine,
    /// v2 alone.
    V2,
}

/// A mount namespace in which commands run.
#[derive(Clone, Debug, Default)]
pub struct Place {
    namespace: Option<Rc<Namespace>>,
    /// Pid 1 of a machine that was booted in the namespace, and in which commands run.
    leader: Option<u32>,
}

impl Place {
    /// The namespace of this process with v2 alone; `None` if it cannot be made.
    #[must_use]
    pub fn pure_v2() -> Option<Self> {
        Self::hold(V2_ALONE, false)
    }

    /// A namespace with this view, in which the unpacked engines are installed. It has file
    /// systems of its own where engines keep their state; they vanish with it.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn private(view: View) -> Result<Self, String> {
        // `cargo xtask setup` unpacks packages there.
        let unpacked = target().join("tools/debian");
        let unpacked = unpacked
            .to_str()
            .ok_or("the checkout's path is not UTF-8")?;
        let v2 = if view == View::V2 { V2_ALONE } else { "" };
        // A controller that v1 uses is missing in v2, and runc fails to set a limit without it.
        let limits = if view == View::V2 {
            ".process.rlimits, .linux.resources"
        } else {
            ".process.rlimits"
        };
        let script = format!("unpacked='{unpacked}' limits='{limits}'\n{INSTALL}\n{v2}");
        Self::hold(&script, true).ok_or_else(|| "no mount namespace with overlayfs".to_owned())
    }

    fn hold(script: &str, is_private: bool) -> Option<Self> {
        Some(Self {
            namespace: Some(Rc::new(Namespace::hold(script, is_private)?)),
            leader: None,
        })
    }

    /// The machine that was booted in this namespace. `leader` is its pid 1.
    #[must_use]
    pub fn guest(&self, leader: u32) -> Self {
        Self {
            leader: Some(leader),
            ..self.clone()
        }
    }

    /// Whether commands run in a pid namespace of their own.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.leader.is_some()
    }

    /// A command in the namespace.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let Some(namespace) = &self.namespace else {
            return Command::new(program.as_ref());
        };
        let mut command = Command::new("nsenter");
        if let Some(leader) = self.leader {
            let words = format!("--target {leader} -m -u -i -n -p -C -r -w");
            command.args(words.split(' '));
        } else {
            let holder = namespace.holder.pid().to_string();
            command.args(["--mount", "--target", &holder]);
        }
        if namespace.is_private {
            command.env("PATH", PATH);
        }
        command.arg("--").arg(program.as_ref());
        command
    }

    /// A shell script in the namespace.
    #[must_use]
    pub fn script(&self, script: &str) -> Command {
        let mut command = self.command("sh");
        command.args(["-ec", script]);
        command
    }

    /// `probe` with these arguments in the namespace.
    #[must_use]
    pub fn probe(&self, args: &[&str]) -> Command {
        let here = conditions::unrestricted(args);
        let mut command = self.command(here.get_program());
        command.args(args);
        command
    }

    /// The pid by which this process knows a process of the namespace.
    #[must_use]
    pub fn outer_pid(&self, pid: u32) -> u32 {
        let Some(leader) = self.leader else {
            return pid;
        };
        let cgroup = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cgroup")).ok();
        let ours = cgroup(&leader.to_string()).expect("the guest runs");
        let ours = ours
            .trim_end()
            .rsplit_once("/init.scope")
            .expect("systemd")
            .0;
        let inner = pid.to_string();
        let is_it = |pid: &String| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let pids = status.lines().find_map(|it| it.strip_prefix("NSpid:"));
            let is_called = pids.and_then(|it| it.split_whitespace().nth(1)) == Some(&inner);
            is_called && cgroup(pid).is_some_and(|it| it.starts_with(ours))
        };
        let all = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        let mut all = all.filter_map(|it| it.file_name().into_string().ok());
        let found = all.find(is_it).expect("the process runs in the guest");
        found.parse().expect("a pid")
    }

    /// A directory for files that the namespace and this process use.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        if self.namespace.is_none() {
            return std::env::temp_dir();
        }
        let scratch = target().join("tmp");
        fs::create_dir_all(&scratch).expect("our own directory");
        scratch
    }

    /// The root directory of the namespace, as a path outside of it.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        match &self.namespace {
            None => PathBuf::from("/"),
            Some(namespace) => PathBuf::from(format!("/proc/{}/root", namespace.holder.pid())),
        }
    }

    /// The mount points of the cgroup hierarchies, as paths in the namespace.
    #[must_use]
    pub fn hierarchies(&self) -> Vec<PathBuf> {
        let top = Path::new("/sys/fs/cgroup");
        let mounts = self.root().join("sys/fs/cgroup");
        if mounts.join("cgroup.procs").exists() {
            return vec![top.to_owned()];
        }
        let entries = fs::read_dir(&mounts).expect("cgroups are mounted");
        // The names of controllers that share a hierarchy are links.
        let is_mount = |it: &fs::DirEntry| it.file_type().is_ok_and(|kind| kind.is_dir());
        let mut found: Vec<_> = entries
            .flatten()
            .filter(is_mount)
            .map(|it| top.join(it.file_name()))
            .collect();
        found.sort();
        found
    }
}

/// The directory of cargo's results.
fn target() -> PathBuf {
    let program = conditions::program("victim");
    let target = program.ancestors().nth(2).expect("target/PROFILE/victim");
    target.to_owned()
}

/// Shows v2 alone.
const V2_ALONE: &str = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup";

/// Installs the unpacked packages, and a runc that sets no limits, because setting them needs a
/// capability or a controller that a machine may lack.
const INSTALL: &str = r#"
own=$(mktemp -d)
mount -t tmpfs -o mode=755 none "$own"
for program in "$unpacked/usr" /usr; do
    for it in sbin bin; do
        if [ -z "$runc" ] && [ -f "$program/$it/runc" ] && [ ! -L "$program/$it/runc" ]; then
            runc=$program/$it/runc
            mkdir -p "$own/usr/$it"
            cp "$runc" "$own/usr/$it/real-runc"
            wrapper=$own/usr/$it/runc
        fi
    done
done
cat > "$wrapper" <<END
#!/bin/sh
before=
for word; do
    if [ "\$before" = --bundle ] && [ -f "\$word/config.json" ]; then
        jq 'del($limits)' "\$word/config.json" > "\$word/config.new" &&
            mv "\$word/config.new" "\$word/config.json"
    fi
    before=\$word
done
exec real-runc "\$@"
END
chmod 755 "$wrapper"
# One layer above the file system of the machine, which may be an overlay already.
for it in bin sbin lib libexec share; do
    layers=/usr/$it
    for layer in "$unpacked/$it" "$unpacked/usr/$it" "$own/usr/$it"; do
        if [ -d "$layer" ]; then layers=$layer:$layers; fi
    done
    if [ -d /usr/$it ] && [ "$layers" != /usr/$it ]; then
        mount -t overlay overlay -o "lowerdir=$layers" /usr/$it
    fi
done
mkdir "$own/etc"
cp -a /etc/. "$own/etc"
cp -an "$unpacked/etc/." "$own/etc" || true
# systemd-nspawn needs one.
[ -s "$own/etc/machine-id" ] || tr -d - < /proc/sys/kernel/random/uuid > "$own/etc/machine-id"
mount --bind "$own/etc" /etc
for directory in /run /var/lib /var/log /home; do mount -t tmpfs -o mode=755 none $directory; done
"#;
