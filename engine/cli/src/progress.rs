//! Bars on a terminal: for the first read of a run, where log lines go above them, and for commands that take long.

use flow::Status;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use model::TableName;
use ports::TableProgress;
use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
};

/// Bars, one a table that is being read; nothing where there is no terminal.
pub struct Progress {
    bars: MultiProgress,
    tables: BTreeMap<TableName, ProgressBar>,
    terminal: bool,
}

impl Progress {
    /// Bars on stderr, if it is a terminal and they are wanted.
    pub fn new(wanted: bool) -> Progress {
        let terminal = wanted && io::stderr().is_terminal();
        Progress { bars: MultiProgress::new(), tables: BTreeMap::new(), terminal }
    }

    /// Whether somebody looks.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Where log lines are written.
    pub fn writer(&self) -> impl Fn() -> Lines + Send + Sync + 'static {
        let bars = self.terminal.then(|| self.bars.clone());
        move || Lines { bars: bars.clone() }
    }

    /// Moves the bars.
    pub fn show(&mut self, status: &Status, progress: &[TableProgress]) {
        if !self.terminal {
            return;
        }
        for (table, ready, _) in &status.source.tables {
            let rows = progress.iter().find(|rows| rows.table == *table);
            match (ready, rows) {
                (true, _) => {
                    if let Some(bar) = self.tables.remove(table) {
                        bar.finish_and_clear();
                    }
                }
                (false, Some(rows)) => {
                    let bars = &self.bars;
                    let bar = self.tables.entry(table.clone()).or_insert_with(|| bars.add(new_bar(table)));
                    bar.set_length(rows.rows_estimate.max(rows.rows_done));
                    bar.set_position(rows.rows_done);
                }
                (false, None) => {}
            }
        }
    }
}

/// One bar for one long work; it goes when the work ends, and nobody sees it where there is no terminal.
pub struct Bar(ProgressBar);

impl Bar {
    /// Of so many entries of a log.
    pub fn entries(what: &'static str, total: u64) -> Bar {
        Bar::styled(ProgressBar::new(total), what, "{msg:24} {wide_bar} {human_pos}/{human_len} entries {eta}")
    }

    /// Of work whose end is not known.
    pub fn spinner(what: &'static str) -> Bar {
        let bar = Bar::styled(ProgressBar::new_spinner(), what, "{spinner} {msg} {elapsed}");
        bar.0.enable_steady_tick(std::time::Duration::from_millis(100));
        bar
    }

    fn styled(bar: ProgressBar, what: &'static str, template: &str) -> Bar {
        if !io::stderr().is_terminal() {
            return Bar(ProgressBar::hidden());
        }
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        Bar(bar)
    }

    /// So far.
    pub fn at(&self, position: u64) {
        self.0.set_position(position);
    }

    /// What is being done.
    pub fn tell(&self, what: String) {
        self.0.set_message(what);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn new_bar(table: &TableName) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:32} {wide_bar} {human_pos}/{human_len} rows {eta}");
    let bar = ProgressBar::new(0);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(table.to_string());
    bar
}

/// Writes a log line to stderr, above the bars.
pub struct Lines {
    bars: Option<MultiProgress>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.bars {
            Some(bars) => bars.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
