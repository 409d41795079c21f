//! Kills a cgroup and knows the moment when it is empty:
//! `cargo run --example wait -- /sys/fs/cgroup/NAME`.

use std::{error::Error, fs, path::PathBuf, time::Instant};

use probe_user::{
    model::{Backend, Until},
    unstable::{
        bpf::load::Plan,
        wait::{Hub, Target},
    },
};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example that shows something")]
async fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args_os().nth(1);
    let cgroup: PathBuf = argument.ok_or("usage: wait CGROUP")?.into();

    let mut hub = Hub::start(Backend::Bpf);
    // Not needed: where BPF cannot be had, what needs no privilege serves.
    hub.load(Plan::decisive());
    let bpf = hub.bpf().await.is_some_and(|loaded| loaded.is_ok());

    let mut wait = hub.arm(Target::cgroup(&cgroup)?, Until::Empty)?;
    let killed = Instant::now();
    fs::write(cgroup.join("cgroup.kill"), "1")?;
    let met = wait.met().await?;
    println!("empty after {:?} ({met:?}, bpf: {bpf})", killed.elapsed());

    // That is what empty means.
    fs::remove_dir(&cgroup)?;
    Ok(())
}
