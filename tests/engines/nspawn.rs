//! systemd-nspawn as a unit of systemd would start it, without machined.

use std::{cell::RefCell, collections::HashMap, fs, process::Stdio};

use probe_tests::{
    Deadline, Running,
    engine::{Engine, PROCESSES, Pids, Place, View, attempt, script, succeed},
};

use crate::{
    cell::{Started, require, version},
    image,
};

struct Nspawn {
    place: Place,
    running: RefCell<HashMap<String, Running>>,
}

cells!("systemd-nspawn", start);

fn start(place: &Place, pids: Pids) -> Started<Nspawn> {
    if pids == Pids::Host {
        return Err("systemd-nspawn always makes a pid namespace".to_owned());
    }
    require(place, "/usr/bin/systemd-nspawn")?;
    image::write(place)?;
    let version = version(&attempt(place.command("systemd-nspawn").arg("--version"))?);
    Ok((
        Nspawn {
            place: place.clone(),
            running: RefCell::default(),
        },
        version,
    ))
}

/// A shell loop over the unit's cgroup in each hierarchy that systemd uses.
fn in_each(name: &str, what: &str) -> String {
    format!(
        "for top in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do \
         if [ $top = /sys/fs/cgroup ] && [ -d /sys/fs/cgroup/unified ]; then continue; fi; \
         if [ ! -e $top/cgroup.procs ]; then continue; fi; \
         it=$top/machine.slice/systemd-nspawn@{name}.service; {what}; done"
    )
}

impl Engine for Nspawn {
    fn runtime(&self) -> &'static str {
        "systemd-nspawn"
    }

    fn place(&self) -> &Place {
        &self.place
    }

    /// The stub that nspawn starts as pid 1 of the container is one more.
    fn processes(&self) -> usize {
        PROCESSES + 1
    }

    fn start(&self, name: &str) -> Result<(), String> {
        let join = in_each(name, "mkdir -p $it; echo $$ > $it/cgroup.procs");
        let (image, script) = (image::ROOT, script());
        let start = format!(
            "mkdir -p /var/lib/machines; cp -a {image} /var/lib/machines/{name}; {join}; \
             exec systemd-nspawn --quiet --register=no --keep-unit --as-pid2 --console=pipe \
             --machine={name} --directory=/var/lib/machines/{name} /bin/sh -c '{script}'"
        );
        let mut command = self.place.script(&start);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let nspawn = Running::spawn(&mut command);
        let is_there = || stub(nspawn.pid()).is_some() || !nspawn.is_running();
        Deadline::start().until("nspawn starts the container", is_there);
        if !nspawn.is_running() {
            return Err(nspawn.finish().stderr);
        }
        self.running.borrow_mut().insert(name.to_owned(), nspawn);
        Ok(())
    }

    fn init(&self, name: &str) -> u32 {
        self.stub(name).expect("the stub runs")
    }

    /// Kills the init process. `machinectl kill --kill-whom=leader` does the same.
    fn kill(&self, name: &str) {
        probe_tests::kill(self.init(name));
    }

    /// Removes the cgroup of the payload at once, and the others when nspawn has ended.
    fn remove(&self, name: &str) -> Result<(), String> {
        let rmdir = in_each(name, "! test -d $it/payload || rmdir $it/payload");
        attempt(&mut self.place.script(&rmdir))?;
        let nspawn = self.running.borrow_mut().remove(name);
        let _output = nspawn.map(Running::finish);
        let rmdir = in_each(
            name,
            "! test -d $it || find $it -depth -type d -exec rmdir {} +",
        );
        attempt(&mut self.place.script(&rmdir))?;
        succeed(
            &mut self
                .place
                .script(&format!("rm -rf /var/lib/machines/{name}")),
        );
        Ok(())
    }

    fn clean_up(&self, name: &str) {
        if let Some(stub) = self.stub(name) {
            probe_tests::kill(stub);
        }
        let _removed = self.remove(name);
    }
}

impl Nspawn {
    /// The first process of a container.
    fn stub(&self, name: &str) -> Option<u32> {
        let running = self.running.borrow();
        stub(running.get(name)?.pid())
    }
}

/// The process that this nspawn has started as pid 1 of its container.
fn stub(nspawn: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    let stub = children.split_whitespace().next()?.parse().ok()?;
    let comm = fs::read_to_string(format!("/proc/{stub}/comm")).ok()?;
    (comm.trim() == "(sd-stubinit)").then_some(stub)
}
