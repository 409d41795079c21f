//! Access control: the peer of a connection, which processes and cgroups it may see,
//! which directory its paths mean, and refusals.

pub(crate) mod directory;
pub(crate) mod ownership;
pub(crate) mod peer;
pub(crate) mod refusal;
pub(crate) mod visibility;
