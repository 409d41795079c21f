//! The conditions of a query, as a filter of records.

use std::str::FromStr;

use glob::Pattern;
use probe_user::model::Filter;

use crate::{
    access::refusal::Refusal,
    api::{
        quantity::{duration, nanoseconds},
        query::{Exits, Records},
    },
};

/// The conditions of a query on the history, without its container and pids.
pub(super) fn of_history(query: &Exits) -> Records {
    Records {
        cgroup: query.cgroup.clone(),
        container: None,
        pid: None,
        start_ticks: None,
        failed: query.failed,
        signaled: query.signaled,
        oom: query.oom,
        comm: query.comm.clone(),
        uid: query.uid.clone(),
        min_age: query.min_age.clone(),
        max_age: query.max_age.clone(),
    }
}

/// The conditions on the process and its end.
pub(super) fn filter(query: &Records) -> Result<Filter, Refusal> {
    let age = |field: &str, text: Option<&str>| {
        let age = text.map(duration).transpose();
        let age = age.map_err(|error| Refusal::bad(format!("{field}: {error}")))?;
        Ok::<_, Refusal>(age.map(nanoseconds))
    };
    Ok(Filter {
        failed: query.failed,
        signaled: query.signaled,
        oom: query.oom,
        comms: list::<Pattern>("comm", query.comm.as_deref())?,
        uids: list("uid", query.uid.as_deref())?,
        min_age_ns: age("min_age", query.min_age.as_deref())?,
        max_age_ns: age("max_age", query.max_age.as_deref())?,
        // Which tasks there are records of is not a condition of the query.
        threads: true,
        ..Filter::default()
    })
}

/// The positive pids of a query.
pub(super) fn pids(text: Option<&str>) -> Result<Vec<u32>, Refusal> {
    let pids: Vec<u32> = list("pid", text)?;
    if pids.contains(&0) {
        return Err(Refusal::bad("invalid pid 0 (expected a positive number)"));
    }
    Ok(pids)
}

/// The items of a list with commas.
fn list<T: FromStr>(field: &str, text: Option<&str>) -> Result<Vec<T>, Refusal> {
    let items = text.into_iter().flat_map(|text| text.split(','));
    let parsed = items.map(|item| {
        item.parse().map_err(|_invalid| {
            let detail = format!("{field}: invalid item '{}'", item.escape_debug());
            Refusal::bad(detail).hint("separate the items by commas")
        })
    });
    parsed.collect()
}
