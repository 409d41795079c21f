//! systemd-nspawn, and containers that others register with machined.
//!
//! `systemd-nspawn@NAME.service` or `machine-NAME.scope`, escaped as unit names
//! are; on v2 with `payload` below for the container and `supervisor` for nspawn
//! itself.
//! <https://github.com/systemd/systemd/blob/0377c44b22dd2479fa68e328f42b25aa69723c8d/src/nspawn/nspawn-cgroup.c>
//! machined's files tell the unit, whatever its name, and whether it is a
//! virtual machine.

use std::{borrow::Cow, path::Path};

use crate::{
    container::{
        layout::{Named, PathComponent},
        state_file,
    },
    model::Runtime,
};

pub(in crate::container) fn named<'a>(place: &PathComponent<'_, 'a>) -> Option<Named<'a>> {
    let name = machine_name(place.name)?;
    within(place.below, Named::certain(Runtime::Nspawn, name))
}

fn within<'a>(below: Option<&str>, mut named: Named<'a>) -> Option<Named<'a>> {
    match below {
        Some("supervisor") => None,
        below => {
            named.is_below = below == Some("payload");
            Some(named)
        }
    }
}

/// Machines of libvirt have units of the same form: QEMU's are no containers,
/// libvirt's own LXC driver is neither LXC nor nspawn.
fn machine_name(unit: &str) -> Option<Cow<'_, str>> {
    if let Some(instance) = unit.strip_prefix("systemd-nspawn@") {
        return unescape(instance.strip_suffix(".service")?);
    }
    let machine = unit.strip_prefix("machine-")?.strip_suffix(".scope")?;
    let is_libvirt = ["qemu", "lxc"].iter().any(|driver| {
        machine
            .strip_prefix(driver)
            .and_then(|rest| rest.strip_prefix(r"\x2d"))
            .is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_digit()))
    });
    if is_libvirt {
        return None;
    }
    unescape(machine)
}

/// Undoes `\x2d`. A bare `-` would stand for `/`, which no machine's name has:
/// where there is one (`machinectl start a-b` does not escape) it means itself.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if text.is_empty() {
        return None;
    }
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = rest.strip_prefix(br"\x").and_then(|it| it.get(..2));
        if let Some(escaped) = digits.and_then(hex_byte) {
            bytes.push(escaped);
            rest = &rest[4..];
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digits = str::from_utf8(digits).ok()?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| u8::from_str_radix(digits, 16).ok())?
}

/// What machined knows of a machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::container) struct Machine {
    pub(in crate::container) name: String,
    pub(in crate::container) unit: String,
    pub(in crate::container) leader: Option<u32>,
    pub(in crate::container) is_container: bool,
    pub(in crate::container) owner: u32,
}

/// Reads `/run/systemd/machines/NAME`.
pub(in crate::container) fn machine(directory: &Path, name: &str) -> Option<Machine> {
    let file = state_file::read_in(directory, name)?;
    let mut machine = Machine {
        name: name.to_owned(),
        owner: file.owner,
        ..Machine::default()
    };
    for line in file.text().lines() {
        match line.split_once('=') {
            Some(("NAME", name)) => name.clone_into(&mut machine.name),
            // The file escapes what the name of the unit escapes already.
            Some(("SCOPE" | "UNIT", unit)) => machine.unit = unit.replace(r"\\", r"\"),
            Some(("LEADER", pid)) => machine.leader = pid.parse().ok(),
            Some(("CLASS", class)) => machine.is_container = class == "container",
            _ => {}
        }
    }
    (!machine.unit.is_empty()).then_some(machine)
}
