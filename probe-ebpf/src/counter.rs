//! Slots of the per-CPU counter map: records that the BPF programs wrote, and data
//! that they had to drop.
//!
//! Every slot is a `u64` that only grows. Userspace sums the CPUs.

/// Records handed to the stream ring.
pub const STREAM_SUBMITTED: u32 = 0;
/// Exits and starts for which the stream ring had no room.
pub const STREAM_DROPPED: u32 = 1;
/// Records handed to the decisive ring.
pub const DECISIVE_SUBMITTED: u32 = 2;
/// Records for which the decisive ring had no room.
pub const DECISIVE_DROPPED: u32 = 3;
/// Fatal signals that could not be remembered (map update refused).
pub const SIGNAL_UNRECORDED: u32 = 4;
/// Out-of-memory victims that could not be remembered (map update refused).
pub const OOM_UNRECORDED: u32 = 5;
/// New cgroups and moves between cgroups for which the stream ring had no room.
/// They have a counter of their own because userspace can look them up again,
/// and an exit it cannot.
pub const CGROUP_DROPPED: u32 = 6;
/// Changes of a watched cgroup that could not be stored (map update refused).
pub const OCCUPANCY_UNRECORDED: u32 = 7;
/// Processes that entered a cgroup so far below its root that the programs cannot tell
/// whether an ancestor is watched.
pub const MEMBERS_UNRECORDED: u32 = 8;
/// Number of slots.
pub const COUNT: u32 = 9;
