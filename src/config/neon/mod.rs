//! neon's command line: its options, what they mean to graft, and a command as an experiment file.
//!
//! ```text
//! cli's arguments ────────────────┐
//! words.rs    words, a `-c` file ─┴→ Given → translate.rs → keys, what is shown, or a refusal
//! shell.rs    a line → words                                  └→ import.rs  an experiment file
//! options.rs  the table of options that all of them read
//! ```
//! Pure: it reads no file and prints nothing. It knows neon's options as strings; neon's behaviour
//! behind them is that of `compatibility = "neon"`.

mod import;
pub mod options;
mod shell;
mod translate;
mod words;

use std::path::Path;

pub use import::{Imported, import};
pub use translate::{Plain, Setting, Show, Translation, translate};
pub use words::{Given, Read};

use crate::error::Result;
use options::Meaning;

impl Read {
    /// These options over those of the file that `-c` names, if one does; `read` gives its text.
    ///
    /// # Errors
    /// `read`'s, or a line of the file that is no option.
    pub fn with_file(self, read: impl Fn(&Path) -> Result<String>) -> Result<Self> {
        let mut configs = self.given.iter().rev();
        let Some(config) = configs.find(|it| it.option.meaning == Meaning::Config) else {
            return Ok(self);
        };
        let mut all = words::parse_file(&config.value, &read(Path::new(&config.value))?)?;
        if let Some(again) = all
            .given
            .iter()
            .find(|it| it.option.meaning == Meaning::Config)
        {
            return Err(again.error("a file of options cannot name another one"));
        }
        all.given.extend(self.given);
        all.warnings.extend(self.warnings);
        Ok(all)
    }
}
