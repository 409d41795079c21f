//! Prints how the processes of a cgroup end:
//! `cargo run --example stream_exits -- /sys/fs/cgroup/NAME`.

use std::{env, error::Error, path::Path};

use probe_user::{ExitStream, Filter, model::Record};

/// Streams the exits of a cgroup and its descendants, until `print` returns `false`.
pub async fn exits(
    cgroup: &Path,
    mut print: impl FnMut(Record) -> bool,
) -> Result<(), Box<dyn Error>> {
    let mut exits = ExitStream::open(Filter::cgroup(cgroup)).await?;
    while let Some(record) = exits.next().await {
        if !print(record?) {
            break;
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
#[cfg_attr(test, expect(dead_code, reason = "a test calls the function above"))]
#[expect(clippy::print_stdout, reason = "an example that shows something")]
async fn main() -> Result<(), Box<dyn Error>> {
    let cgroup = env::args_os().nth(1).ok_or("usage: stream_exits CGROUP")?;
    exits(Path::new(&cgroup), |record| {
        println!("{record:?}");
        true
    })
    .await
}
