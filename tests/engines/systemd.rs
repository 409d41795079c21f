//! Docker with its systemd driver. systemd is pid 1 of a container of systemd-nspawn.

use std::{fs, process::Stdio};

use probe_tests::{
    Deadline, Running,
    engine::{Pids, Place, View, attempt},
};

use crate::{
    cell::{Started, require},
    docker::{self, Docker},
    image,
};

/// The machine. Dropping it ends it.
pub(crate) struct Machine {
    leader: u32,
    nspawn: Running,
}

cells!("Docker, systemd driver", start);

/// Makes the root directory of the machine, which shares the programs of the namespace.
const ROOT: &str = r#"
root=/run/guest
mkdir -p $root && cd $root
mkdir usr etc var run tmp proc sys dev root
for it in bin sbin lib lib64; do ln -s usr/$it $it; done
mount --rbind /usr usr
cp -a /etc/. etc
rm -rf etc/systemd/system && mkdir -p etc/systemd/system etc/docker
ln -s /lib/systemd/system/basic.target etc/systemd/system/default.target
for it in systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
    systemd-udev-trigger.service systemd-resolved.service systemd-networkd.service \
    systemd-timesyncd.service systemd-tmpfiles-setup.service systemd-tmpfiles-clean.timer; do
    ln -s /dev/null etc/systemd/system/$it
done
: > etc/machine-id
: > etc/fstab
echo '{"exec-opts":["native.cgroupdriver=systemd"]}' > etc/docker/daemon.json
"#;

fn start(place: &Place, pids: Pids) -> Started<Docker> {
    require(place, "/usr/bin/systemd-nspawn")?;
    require(place, "/usr/lib/systemd/systemd")?;
    if !place.root().join("sys/fs/cgroup/cgroup.procs").exists() {
        return Err("systemd is booted with v2 alone".to_owned());
    }
    attempt(&mut place.script(ROOT))?;
    let scratch = place.scratch();
    let target = scratch.parent().and_then(|it| it.to_str()).expect("UTF-8");
    let boot = format!(
        "it=/sys/fs/cgroup/machine.slice/systemd-nspawn@host1.service; mkdir -p $it; \
         echo $$ > $it/cgroup.procs; \
         export SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1; \
         exec systemd-nspawn --quiet --register=no --keep-unit --boot --capability=all \
         --system-call-filter='bpf perf_event_open keyctl add_key @keyring' --console=pipe \
         --machine=host1 --directory=/run/guest --bind={target}"
    );
    let mut command = place.script(&boot);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let nspawn = Running::spawn(&mut command);
    let mut guest = None;
    Deadline::start().until("systemd has started", || {
        let pid = nspawn.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let leader = children.unwrap_or_default().trim().parse();
        guest = leader.ok().map(|leader| (leader, place.guest(leader)));
        let state = guest.as_ref().map(|(_, guest)| {
            let mut state = guest.command("systemctl");
            let output = state.arg("is-system-running").output();
            String::from_utf8(output.expect("nsenter runs").stdout).expect("a word")
        });
        let has_started = |it: &String| ["running", "degraded"].contains(&it.trim());
        state.as_ref().is_some_and(has_started) || !nspawn.is_running()
    });
    if !nspawn.is_running() {
        return Err(nspawn.finish().stderr);
    }
    let (leader, guest) = guest.ok_or("systemd-nspawn has no child")?;
    let machine = Machine { leader, nspawn };
    image::write(&guest)?;
    docker::start(&guest, pids, Some(machine))
}

impl Drop for Machine {
    fn drop(&mut self) {
        probe_tests::kill(self.leader);
        let _status = self.nspawn.wait();
    }
}
