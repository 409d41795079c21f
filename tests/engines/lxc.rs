//! LXC.

use std::process::Command;

use probe_tests::engine::{Engine, Pids, Place, View, attempt, script, succeed};

use crate::{
    cell::{Started, require, version},
    image,
};

struct Lxc {
    place: Place,
    pids: Pids,
}

cells!("LXC", start);

fn start(place: &Place, pids: Pids) -> Started<Lxc> {
    require(place, "/usr/bin/lxc-start")?;
    image::write(place)?;
    let version = version(&attempt(place.command("lxc-start").arg("--version"))?);
    let place = place.clone();
    Ok((Lxc { place, pids }, version))
}

impl Lxc {
    fn command(&self, program: &str, name: &str) -> Command {
        let mut command = self.place.command(program);
        command.args(["--name", name]);
        command
    }

    /// Runs a script in the cgroup of the payload in each hierarchy.
    fn in_payload(&self, name: &str, script: &str) {
        let script = format!(
            "for it in /sys/fs/cgroup/lxc.payload.{name} /sys/fs/cgroup/*/lxc.payload.{name}; do \
             if [ -d $it ]; then {script}; fi; done"
        );
        succeed(&mut self.place.script(&script));
    }
}

/// Kills the members of a cgroup, of which some may end by themselves.
const KILL: &str = "while grep -q . $it/cgroup.procs; do \
                    xargs -r kill -9 < $it/cgroup.procs 2> /dev/null || true; done";

const RMDIR: &str = "rmdir $it || true";

impl Engine for Lxc {
    fn runtime(&self) -> &'static str {
        "lxc"
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn start(&self, name: &str) -> Result<(), String> {
        let keep = match self.pids {
            Pids::Own => "",
            Pids::Host => "lxc.namespace.keep = user pid",
        };
        let (image, script) = (image::ROOT, script());
        let create = format!(
            r"
            it=/var/lib/lxc/{name}
            mkdir -p $it
            cp -a {image} $it/rootfs
            echo '#!/bin/sh' > $it/rootfs/init.sh
            echo '{script}' >> $it/rootfs/init.sh
            chmod 755 $it/rootfs/init.sh
            cat > $it/config <<END
lxc.uts.name = {name}
lxc.rootfs.path = dir:$it/rootfs
lxc.net.0.type = empty
lxc.init.cmd = /init.sh
lxc.mount.auto = proc:mixed sys:ro
lxc.apparmor.profile = unconfined
{keep}
END
            lxc-start --name {name} --daemon --logfile /run/lxc.log ||
                {{ cat /run/lxc.log >&2; exit 1; }}
            "
        );
        attempt(&mut self.place.script(&create)).map(drop)
    }

    fn init(&self, name: &str) -> u32 {
        let pid = succeed(
            self.command("lxc-info", name)
                .args(["--pid", "--no-humanize"]),
        );
        pid.parse().expect("a pid")
    }

    /// In the pid namespace of the host LXC kills the first process alone.
    fn kill(&self, name: &str) {
        succeed(self.command("lxc-stop", name).arg("--kill"));
        if self.pids == Pids::Host {
            self.in_payload(name, KILL);
        }
    }

    fn remove(&self, name: &str) -> Result<(), String> {
        attempt(&mut self.command("lxc-destroy", name)).map(drop)
    }

    fn settle(&self, name: &str) {
        succeed(self.command("lxc-wait", name).args(["--state", "STOPPED"]));
    }

    fn clean_up(&self, name: &str) {
        let _destroyed = self.command("lxc-destroy", name).arg("--force").output();
        // LXC leaves the cgroup if a process outlived the first one.
        if self.pids == Pids::Host {
            self.in_payload(name, KILL);
            self.in_payload(name, RMDIR);
        }
    }
}
