//! Kills a cgroup and removes it: `cargo run --example remove_cgroup -- /sys/fs/cgroup/NAME`.

use std::{env, error::Error, fs, path::Path, time::Duration};

use probe_user::Waiter;

/// Kills every process in a cgroup (v2, Linux 5.14) and removes its directory.
pub async fn remove(cgroup: &Path) -> Result<(), Box<dyn Error>> {
    let waiter = Waiter::builder().build()?;
    let limit = Duration::from_secs(10);
    let wait = waiter.cgroup(cgroup)?.timeout(limit).arm()?;
    fs::write(cgroup.join("cgroup.kill"), "1")?;
    wait.await?;
    fs::remove_dir(cgroup)?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
#[cfg_attr(test, expect(dead_code, reason = "a test calls the function above"))]
async fn main() -> Result<(), Box<dyn Error>> {
    let cgroup = env::args_os().nth(1).ok_or("usage: remove_cgroup CGROUP")?;
    remove(Path::new(&cgroup)).await
}
