//! One line an experiment on the terminal, below one another where several train at a time; plain lines, and fewer of them, elsewhere. On request a
//! line an epoch, and all lines in a file too.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::config::neon::Show;
use crate::error::{At, Result};
use crate::plan::Run;
use crate::results::rows::{self, MetricsRow, Timing};
use crate::runner::{Event, Reporter};

/// What is shown, and where.
#[derive(Debug, Clone)]
pub struct Terminal {
    bar: bool,
    epochs: bool,
    log: Option<Log>,
    /// Those that are shown now.
    bars: MultiProgress,
}

impl Terminal {
    /// As `show` asks for; a bar on a terminal only. Everything goes to `log` too.
    pub fn new(show: &Show, log: Option<Log>) -> Self {
        Self {
            bar: !show.no_bar && std::io::stderr().is_terminal(),
            epochs: show.epochs,
            log,
            bars: MultiProgress::new(),
        }
    }

    /// Shows a line above the bars, and writes it to the log.
    pub fn say(&self, text: &str) {
        self.log(text);
        match self.bar {
            true => self.bars.suspend(|| eprintln!("{text}")),
            false => eprintln!("{text}"),
        }
    }

    fn log(&self, text: &str) {
        if let Some(log) = &self.log {
            log.write(text);
        }
    }
}

/// A file that what is said is appended to.
#[derive(Debug, Clone)]
pub struct Log(Arc<File>);

impl Log {
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(Arc::new(file.at(path.display())?)))
    }

    pub fn write(&self, text: &str) {
        // The record has its own log, whose failures end the run; this one is a convenience.
        if let Err(error) = writeln!(&*self.0, "{text}") {
            eprintln!("warning: cannot write the log: {error}");
        }
    }
}

/// Shows the events of one run.
pub struct Progress {
    /// `2/16 fine_tuning, seed 2`
    name: String,
    epochs: usize,
    terminal: Terminal,
    bar: Option<ProgressBar>,
    stop: Arc<AtomicBool>,
    last: Option<MetricsRow>,
}

impl Progress {
    /// For `run` among `runs`; `stop` is raised when the user wants an end.
    pub fn new(run: &Run, runs: &[Run], terminal: Terminal, stop: Arc<AtomicBool>) -> Self {
        let place = runs.iter().position(|other| other.dir == run.dir);
        Self {
            name: format!(
                "[{}/{}] {}",
                place.map_or(0, |place| place + 1),
                runs.len(),
                run.name()
            ),
            epochs: run.experiment.epochs,
            terminal,
            bar: None,
            stop,
            last: None,
        }
    }

    fn epoch(&mut self, row: &MetricsRow, timing: &Timing) {
        let text = format!("{}: {}", self.name, rows::line(row, timing));
        match self.terminal.epochs {
            true => self.terminal.say(&text),
            false => self.terminal.log(&text),
        }
        self.last = Some(row.clone());
    }

    /// A bar of `samples` samples in place of the one before.
    fn start(&mut self, samples: usize) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if !self.terminal.bar {
            return;
        }
        let bar = self.terminal.bars.add(ProgressBar::new(samples as u64));
        let template = "{prefix} {bar:20} {msg} {per_sec:>14} left {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let style = style.with_key(
                "per_sec",
                |state: &indicatif::ProgressState, w: &mut dyn std::fmt::Write| {
                    // A failed write to the terminal's buffer has nobody to go to.
                    let _ = write!(w, "{:.0} images/s", state.per_sec());
                },
            );
            bar.set_style(style);
        }
        bar.set_prefix(self.name.clone());
        bar.enable_steady_tick(Duration::from_millis(500));
        self.bar = Some(bar);
    }

    fn features(&mut self, done: usize, of: usize) {
        let is_new =
            |bar: &ProgressBar| bar.length() != Some(of as u64) || bar.position() > done as u64;
        if self.bar.as_ref().is_none_or(is_new) {
            self.start(of);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message("outputs of the frozen layers");
        }
    }

    fn batch(&self, epoch: usize, samples: usize, of: usize, cost: f64) {
        if let Some(bar) = &self.bar {
            bar.set_position((epoch * of + samples) as u64);
            let accuracy = self.last.as_ref().and_then(|row| row.accuracy);
            let accuracy =
                accuracy.map_or(String::new(), |a| format!(" accuracy {:.1} %", 100.0 * a));
            bar.set_message(format!(
                "epoch {}/{} cost {cost:.3}{accuracy}",
                epoch + 1,
                self.epochs
            ));
        }
    }
}

impl Reporter for Progress {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Skipped => self
                .terminal
                .say(&format!("{}: complete and unchanged, skipped", self.name)),
            Event::Note(text) => self.terminal.say(&format!("{}: {text}", self.name)),
            Event::Warning(text) => self
                .terminal
                .say(&format!("{}: warning: {text}", self.name)),
            Event::Features { done, of } => self.features(done, of),
            Event::Training { samples } => self.start(self.epochs * samples),
            Event::Batch {
                epoch,
                samples,
                of,
                cost,
            } => self.batch(epoch, samples, of, cost),
            Event::Epoch(row, timing) => self.epoch(row, timing),
            Event::Finished(record) => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                self.terminal.say(&format!(
                    "{}: accuracy {:.1} %, test cost {:.3}, training cost {:.3}, {:.0} s",
                    self.name,
                    100.0 * record.metrics.accuracy,
                    record.metrics.test_cost,
                    record.metrics.training_cost,
                    record.seconds
                ));
            }
        }
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
