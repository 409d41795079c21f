mod mountinfo;
mod mounts;
