//! `probe top --batch`: writes the tables as text at intervals.

use std::{
    io::{self, Write},
    pin::Pin,
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use super::{Model, Source, TopError, columns::Columns, draw::title};
use crate::output::{Out, Stdout, human, is_closed};

/// How the tables are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    pub(crate) interval: Duration,
    /// Number of times; `None` for no limit.
    pub(crate) count: Option<u64>,
    /// Width of the lines.
    pub(crate) width: usize,
}

/// Writes the tables until `stop` resolves to a signal, which this function returns, or until
/// they were written as often as requested, or until the reader has gone.
pub(crate) async fn run(
    model: &mut Model,
    mut source: Source,
    out: &mut Out<Stdout>,
    batch: &mut Batch,
    mut stop: Pin<&mut impl Future<Output = i32>>,
) -> Result<Option<i32>, TopError> {
    model.set_backend(source.backend());
    let mut second = interval(Duration::from_secs(1));
    let mut due = interval_at(Instant::now() + batch.interval, batch.interval);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while batch.count != Some(0) {
        tokio::select! {
            signal = &mut stop => return Ok(Some(signal)),
            events = source.next() => events?.into_iter().for_each(|event| model.apply(event)),
            _ = second.tick() => model.tick(),
            _ = due.tick() => {
                match write(model, out, batch.width).and_then(|()| out.flush()) {
                    Err(error) if is_closed(&error) => return Ok(None),
                    written => written?,
                }
                batch.count = batch.count.map(|count| count - 1);
            }
        }
    }
    Ok(None)
}

/// Writes the totals, the places, and the exits since the last call.
fn write<W: Write>(model: &mut Model, out: &mut Out<W>, width: usize) -> io::Result<()> {
    let colour = model.options.colour;
    out.line(|line| write!(line, "{}", title(model)))?;
    let columns = Columns::of_places(width, colour);
    let header = columns.header(&model.place_order, "");
    write_cells(out, header)?;
    for (place, of) in model.places() {
        write_cells(out, columns.place(place, of))?;
    }
    let columns = Columns::of_exits(width, colour);
    write_cells(
        out,
        columns.header(&model.exit_order, &model.options.time_header),
    )?;
    for exit in model.new_exits() {
        write_cells(out, columns.exit(exit))?;
    }
    model.begin_new_exits();
    out.line(|_| Ok(()))
}

fn write_cells<W: Write>(out: &mut Out<W>, cells: Vec<human::Cell>) -> io::Result<()> {
    let text = human::line(cells.into_iter());
    out.line(|line| line.write_all(text.trim_end().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::tests::{busy, exit_of};

    fn text(model: &mut Model) -> String {
        let mut out = Out::new(Vec::new());
        write(model, &mut out, 80).expect("a vector takes all");
        String::from_utf8(out.into_buffer()).expect("UTF-8")
    }

    #[test]
    fn each_table_has_the_exits_since_the_last_one() {
        let mut model = busy();
        let expected = "\
probe top  1 exits/s  lost 0  412 live  1 container  bpf
WHERE                                            LIVE EXITS/S▾    EXITS   FAILED
runc:web                                            7      0.6        2        2
/build/job                                          2      0.6        2        1
/                                                   3      0.0        0        0
TIME(UTC)▾     PID COMM          AGE STATUS    KILLED-BY        WHERE
12:34:56      4711 sh          1.2ms 0         -                /build/job
12:34:56      4712 cc1plus     1.2ms SIGKILL   oom              /build/job
12:34:56      4713 nginx       1.2ms SIGTERM   runc[999]        runc:web
12:34:56      4714 a-name-of…  1.2ms SIGSEGV+… -                runc:web

";
        assert_eq!(text(&mut model), expected);
        model.apply(exit_of(4715));
        let next = text(&mut model);
        assert!(
            next.contains(" 4715 ") && !next.contains(" 4714 "),
            "{next}"
        );
    }
}
