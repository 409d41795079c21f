//! Recognizes containers of systemd-nspawn, and those that other programs register with
//! machined.
//!
//! `systemd-nspawn@NAME.service` or `machine-NAME.scope`, with the escapes of unit names; on
//! v2 the container is in `payload` below, and nspawn itself in `supervisor`.
//! <https://github.com/systemd/systemd/blob/0377c44b22dd2479fa68e328f42b25aa69723c8d/src/nspawn/nspawn-cgroup.c>
//! machined's files have the unit of a machine, which may have any name, and whether the
//! machine is virtual.

use std::{borrow::Cow, path::Path};

use crate::{
    container::{
        layout::{PathComponent, Recognized},
        state_file,
    },
    model::Runtime,
};

pub(in crate::container) fn recognize<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    let mut recognized = Recognized::certain(Runtime::Nspawn, machine_name(component.name)?);
    recognized.is_below = component.below == Some("payload");
    (component.below != Some("supervisor")).then_some(recognized)
}

/// The name in the unit of a machine. Units of libvirt have the same form but are skipped:
/// QEMU runs no containers, and libvirt's LXC driver is neither LXC nor nspawn.
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

/// Replaces escapes such as `\x2d`. A bare `-` stands for `/` in a unit name, but no machine
/// has a `/` in its name. `machinectl start a-b` does not escape, so `-` is left as it is.
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
    digits.iter().try_fold(0, |byte, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(byte << 4 | u8::try_from(digit).ok()?)
    })
}

/// A machine as machined's file describes it.
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
            // The file escapes the backslashes of the escaped unit name once more.
            Some(("SCOPE" | "UNIT", unit)) => machine.unit = unit.replace(r"\\", r"\"),
            Some(("LEADER", pid)) => machine.leader = pid.parse().ok(),
            Some(("CLASS", class)) => machine.is_container = class == "container",
            _ => {}
        }
    }
    (!machine.unit.is_empty()).then_some(machine)
}
