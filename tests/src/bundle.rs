//! A bundle of runc or crun.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use serde_json::{Value, json};

/// Writes a bundle with the programs of this machine. It sets no limits, because setting them
/// needs a capability that a virtual machine may lack. It has no policy for devices either: crun
/// raises a limit before it loads the BPF program of the policy.
///
/// `runtime` is the command of the runtime without arguments.
pub fn write(mut runtime: Command, bundle: &Path, script: &str, has_own_pids: bool) {
    let spec = runtime.arg("spec").arg("--bundle").arg(bundle).status();
    let spec = spec.expect("the runtime runs");
    assert!(spec.success(), "{runtime:?}: {spec}");
    change(bundle, |spec| {
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["sh", "-c", script]);
        let process = spec["process"].as_object_mut().expect("an object");
        process.remove("rlimits");
        let linux = spec["linux"].as_object_mut().expect("an object");
        linux.remove("resources");
        let namespaces = linux["namespaces"].as_array_mut().expect("an array");
        namespaces.retain(|it| has_own_pids || it["type"] != "pid");
        let usr = json!({
            "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"],
        });
        spec["mounts"].as_array_mut().expect("an array").push(usr);
    });
    make_root(&bundle.join("rootfs"));
}

/// Changes the configuration of a bundle.
pub fn change(bundle: &Path, change: impl FnOnce(&mut Value)) {
    let config = bundle.join("config.json");
    let text = fs::read_to_string(&config).expect("our own bundle");
    let mut spec = serde_json::from_str(&text).expect("JSON");
    change(&mut spec);
    fs::write(config, spec.to_string()).expect("our own bundle");
}

/// Makes a root directory for a mount of `/usr`.
pub fn make_root(root: &Path) {
    fs::create_dir_all(root.join("usr")).expect("our own bundle");
    for directory in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{directory}"), root.join(directory)).expect("our own bundle");
    }
}
