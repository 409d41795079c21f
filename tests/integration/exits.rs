//! One record for each process, with the status that its parent was told.

use probe_tests::{Cgroup, Probe, Victim, record};

#[test]
#[ignore = "needs root"]
fn every_exit_code_is_told() {
    let cgroup = Cgroup::v2("codes");
    let mut probe = Probe::trace(&["--cgroup", cgroup.path()]);
    for code in 0..=255 {
        let mut victim = Victim::start(&["exit", &code.to_string()], Some(&cgroup));
        let status = victim.wait();
        assert_eq!(status, code << 8);
        let exit = probe.exit_of(victim.pid());
        assert_eq!(record::wait_status(&exit), status);
    }
    let told = probe.finish();
    assert_eq!((told.seen, told.shown, told.lost), (256, 256, 0));
}
