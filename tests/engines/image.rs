//! An image that needs no registry: a static busybox and the directories that engines mount.

use std::env::consts;

use probe_tests::engine::{Place, attempt};

/// The root directory of the image, in the namespace.
pub(crate) const ROOT: &str = "/run/image/root";

/// The archive of the image, as `docker save` writes it.
pub(crate) const ARCHIVE: &str = "/run/image/image.tar";

/// The name of the image.
pub(crate) const NAME: &str = "localhost/busybox:latest";

/// Writes both.
pub(crate) fn write(place: &Place) -> Result<(), String> {
    crate::cell::require(place, "/bin/busybox")?;
    let architecture = match consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let script = format!(
        r#"
        mkdir -p {ROOT}/bin {ROOT}/proc {ROOT}/sys {ROOT}/dev {ROOT}/etc {ROOT}/tmp {ROOT}/usr/lib
        cp /bin/busybox {ROOT}/bin
        for it in sh sleep; do ln -s busybox {ROOT}/bin/$it; done
        echo root:x:0:0:root:/root:/bin/sh > {ROOT}/etc/passwd
        echo ID=busybox | tee {ROOT}/etc/os-release > {ROOT}/usr/lib/os-release
        cd /run/image
        tar -C root -cf layer.tar .
        sum=$(sha256sum layer.tar | cut -d ' ' -f 1)
        echo '{{"architecture":"{architecture}","os":"linux","config":{{"Env":["PATH=/bin"]}},' \
            '"rootfs":{{"type":"layers","diff_ids":["sha256:'$sum'"]}}}}' > config.json
        echo '[{{"Config":"config.json","RepoTags":["{NAME}"],"Layers":["layer.tar"]}}]' > manifest.json
        tar -cf {ARCHIVE} manifest.json config.json layer.tar
        chmod -R a+rX /run/image
        "#
    );
    attempt(&mut place.script(&script)).map(drop)
}
