//! podman of a user, with runc.

use probe_tests::engine::{Pids, Place, View, attempt};

use crate::{
    cell::{Started, require},
    podman::{self, Podman},
};

cells!("podman, rootless", start);

/// Makes a user with a range of subordinate ids. On v2 the user has a cgroup of its own, as
/// systemd makes one.
const USER: &str = r#"
echo probe-user:x:4711:4711::/home/probe-user:/bin/sh >> /etc/passwd
echo probe-user:x:4711: >> /etc/group
echo probe-user:100000:65536 | tee /etc/subuid > /etc/subgid
mkdir -p /home/probe-user /run/user/4711
chown 4711:4711 /home/probe-user /run/user/4711
chmod 700 /run/user/4711
chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap 2> /dev/null || test -u /usr/bin/newuidmap
cat > /run/as-user <<END
#!/bin/sh
if [ -d /sys/fs/cgroup/user.slice ]; then
    echo \$\$ > /sys/fs/cgroup/user.slice/user-4711.slice/user@4711.service/app.slice/session.scope/cgroup.procs
fi
cd /home/probe-user
export HOME=/home/probe-user XDG_RUNTIME_DIR=/run/user/4711
exec setpriv --reuid 4711 --regid 4711 --init-groups "\$@"
END
chmod 755 /run/as-user
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    it=/sys/fs/cgroup
    for name in user.slice user-4711.slice user@4711.service app.slice session.scope; do
        it=$it/$name
        mkdir -p $it
        chown 4711 $it $it/cgroup.procs $it/cgroup.subtree_control $it/cgroup.threads
    done
fi
"#;

fn start(place: &Place, pids: Pids) -> Started<Podman> {
    require(place, "/usr/bin/newuidmap")?;
    attempt(&mut place.script(USER))?;
    podman::start(place, pids, &["/run/as-user"])
}
