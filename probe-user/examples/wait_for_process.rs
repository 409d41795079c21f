//! Waits for a process that is not a child: `cargo run --example wait_for_process -- PID`.

use std::{env, error::Error};

use probe_user::{Until, Waiter};

/// Returns when a process is reaped: from then on `kill -0` fails with ESRCH.
pub async fn reaped(pid: u32) -> Result<(), Box<dyn Error>> {
    let waiter = Waiter::builder().bpf(false).build()?;
    waiter.process(pid)?.until(Until::Reaped).await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
#[cfg_attr(test, expect(dead_code, reason = "a test calls the function above"))]
async fn main() -> Result<(), Box<dyn Error>> {
    let pid = env::args().nth(1).ok_or("usage: wait_for_process PID")?;
    reaped(pid.parse()?).await
}
