//! Access control: the peer of a connection, the processes and cgroups that it may see,
//! the directories of its paths, and refusals.

pub(crate) mod directory;
pub(crate) mod ownership;
pub(crate) mod peer;
pub(crate) mod refusal;
pub(crate) mod visibility;
