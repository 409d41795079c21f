//! Writes the OpenAPI document of the daemon to stdout:
//! `cargo run --example openapi`. The daemon serves the same document at
//! `/v1/openapi.json`.

use std::{error::Error, io};

fn main() -> Result<(), Box<dyn Error>> {
    let document = probe_daemon::service::document();
    serde_json::to_writer_pretty(io::stdout().lock(), &document)?;
    Ok(())
}
