//! Which client may see what: the peer of a connection, whose cgroups and
//! processes are its own, and why a request is refused.

pub(crate) mod ownership;
pub(crate) mod peer;
pub(crate) mod place;
pub(crate) mod refusal;
pub(crate) mod visibility;
