//! BPF programs that a test loads by itself.

use probe_user::{
    model::Filter,
    unstable::bpf::{
        hook::{ExitShape, Hook},
        load::{self, Attached, MAX_WATCHED, Plan, Rings},
    },
};

use crate::{kernel, requirements};

const STREAM_BYTES: u32 = 8 << 20;

/// A plan without targets.
#[must_use]
pub fn plan(hooks: &[Hook]) -> Plan {
    Plan {
        hooks: hooks.to_vec(),
        filter: Filter::default().kernel_filter(STREAM_BYTES),
        cgroups: Vec::new(),
        pids: Vec::new(),
        stream_bytes: STREAM_BYTES,
        watched: MAX_WATCHED,
        loads_fast: false,
    }
}

/// Loads and attaches the programs of a plan, and one exit program if it is given.
#[must_use]
pub fn load(plan: &Plan, exit: Option<(ExitShape, &'static str)>) -> (Attached, Rings) {
    requirements::require_bpf();
    let (mut attached, rings) = load::load(plan).expect("BPF");
    if let Some((shape, program)) = exit {
        let result = attached.attach_exit_program(shape, program);
        result.unwrap_or_else(|error| panic!("{program}: {error}"));
    }
    (attached, rings)
}

/// The exit programs that this kernel accepts.
#[must_use]
pub fn exit_programs() -> Vec<(ExitShape, &'static str)> {
    let shapes = [ExitShape::GroupDead, ExitShape::Live, ExitShape::Classic];
    let all = shapes.map(|shape| shape.programs().iter().map(move |&it| (shape, it)));
    let all = all.into_iter().flatten();
    all.filter(|&(shape, program)| kernel::can_attach(shape, program))
        .collect()
}
