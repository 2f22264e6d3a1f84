//! A line for a POSIX shell → the words that the Python script in it is given.
//!
//! It knows quotes, comments, continued lines, redirections and lists of commands. What a shell
//! would have to look up (variables, the home directory) it refuses: here they mean nothing.

use std::iter::Peekable;
use std::str::Chars;

use crate::error::{Error, Result};

/// How a script is started.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// The words behind the script's name.
    pub words: Vec<String>,
    /// `NAME=value` in front of it.
    pub variables: Vec<String>,
}

/// The one Python script that `line` runs.
///
/// # Errors
/// An open quote, a variable, no script or several.
pub fn script_in(line: &str) -> Result<Script> {
    let commands = commands(line)?;
    let mut scripts = commands.iter().filter_map(|words| script(words));
    let first = scripts.next().ok_or_else(|| {
        Error::new("there is no Python script in it").help("for example `python main.py -b gpu`")
    })?;
    match scripts.next() {
        None => Ok(first),
        Some(_) => Err(Error::new("it runs several scripts").help("import them one by one")),
    }
}

/// The script that these words start: what ends in `.py`, or stands behind Python's `-m`.
pub fn script(words: &[String]) -> Option<Script> {
    let file = words.iter().position(|word| word.ends_with(".py"));
    let module = words.iter().position(|word| word == "-m").map(|at| at + 1);
    let name = file.or(module.filter(|&at| at < words.len()))?;
    let is_variable = |word: &&String| {
        let name = word.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    Some(Script {
        words: words[name + 1..].to_vec(),
        variables: words[..name].iter().filter(is_variable).cloned().collect(),
    })
}

/// The commands of a line, each as its words, without redirections.
fn commands(line: &str) -> Result<Vec<Vec<String>>> {
    let mut splitter = Splitter::default();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' | ';' | '|' => splitter.end_command(),
            '&' if rest.next_if_eq(&'>').is_some() => splitter.redirect(&mut rest),
            '&' => splitter.end_command(),
            '>' | '<' => splitter.redirect(&mut rest),
            c if c.is_whitespace() => splitter.end_word(),
            '#' if splitter.word.is_none() => while rest.next_if(|&c| c != '\n').is_some() {},
            '~' if splitter.word.is_none() => return Err(unknown_here('~')),
            '$' | '`' => return Err(unknown_here(c)),
            '\'' => quoted(&mut rest, splitter.word())?,
            '"' => double_quoted(&mut rest, splitter.word())?,
            '\\' => match rest.next() {
                // A continued line, also of a file from Windows.
                Some('\r') if rest.next_if_eq(&'\n').is_some() => {}
                Some('\n') | None => {}
                Some(c) => splitter.word().push(c),
            },
            c => splitter.word().push(c),
        }
    }
    splitter.end_command();
    Ok(splitter.commands)
}

#[derive(Default)]
struct Splitter {
    commands: Vec<Vec<String>>,
    command: Vec<String>,
    word: Option<String>,
    /// The next word is the file of a redirection.
    to_file: bool,
}

impl Splitter {
    fn word(&mut self) -> &mut String {
        self.word.get_or_insert_default()
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take()
            && !std::mem::take(&mut self.to_file)
        {
            self.command.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.to_file = false;
        let command = std::mem::take(&mut self.command);
        if !command.is_empty() {
            self.commands.push(command);
        }
    }

    /// Behind the first `>` or `<`: the rest of the operator. A number before it belongs to it.
    fn redirect(&mut self, rest: &mut Peekable<Chars<'_>>) {
        let is_number = |word: &String| word.chars().all(|c| c.is_ascii_digit());
        self.word = self.word.take().filter(|word| !is_number(word));
        self.end_word();
        while rest.next_if(|c| matches!(c, '>' | '<' | '&')).is_some() {}
        self.to_file = true;
    }
}

fn quoted(rest: &mut Peekable<Chars<'_>>, word: &mut String) -> Result<()> {
    for c in rest.by_ref() {
        match c {
            '\'' => return Ok(()),
            c => word.push(c),
        }
    }
    Err(open_quote('\''))
}

fn double_quoted(rest: &mut Peekable<Chars<'_>>, word: &mut String) -> Result<()> {
    while let Some(c) = rest.next() {
        match c {
            '"' => return Ok(()),
            '$' | '`' => return Err(unknown_here(c)),
            '\\' => match rest.next() {
                Some('\n') => {}
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                other => {
                    word.push('\\');
                    word.extend(other);
                }
            },
            c => word.push(c),
        }
    }
    Err(open_quote('"'))
}

fn open_quote(quote: char) -> Error {
    Error::new(format!("a quote is not closed: {quote}")).help("close it, or write \\ before it")
}

fn unknown_here(c: char) -> Error {
    Error::new(format!(
        "what the shell would put for `{c}…` is not known here"
    ))
    .help("write it out, or have the shell do so: `graft import-command -- python main.py …`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        script_in(line)
            .unwrap_or_else(|error| panic!("{line}: {error}"))
            .words
    }

    fn message(line: &str) -> String {
        script_in(line).unwrap_err().to_string()
    }

    #[test]
    fn the_words_behind_the_script_are_its_own_however_it_is_started() {
        for start in [
            "python main.py",
            "./main.py",
            "python -u main.py",
            "/usr/bin/python2.7 ../src/main.py",
            "nohup nice -n 10 python main.py",
            "time env python3 -m course.main",
            "cd experiments && source ../venv/bin/activate; python main.py",
        ] {
            assert_eq!(
                words(&format!("{start} -b gpu -e 10")),
                ["-b", "gpu", "-e", "10"]
            );
        }
    }

    #[test]
    fn redirections_and_what_follows_the_command_are_left_out() {
        for end in [
            "> log.txt 2>&1 &",
            ">log.txt",
            "2> errors.txt >> log.txt",
            "&> log.txt",
            "< /dev/null",
            "| tee log.txt",
            "&& echo done",
            "|| exit 1",
            "# the first try",
        ] {
            assert_eq!(
                words(&format!("python main.py -e 10 {end}")),
                ["-e", "10"],
                "{end}"
            );
        }
    }

    #[test]
    fn quotes_and_continued_lines_are_read_as_a_shell_reads_them() {
        assert_eq!(
            words(
                "python main.py \\\n  -e 10 \\\r\n --data_root 'my data' -s \"a \\\"b\\\" \"c\\ d"
            ),
            ["-e", "10", "--data_root", "my data", "-s", "a \"b\" c d"]
        );
        assert_eq!(words("python main.py ''"), [""]);
        assert_eq!(
            words("python main.py '$HOME' a#b 5 \\"),
            ["$HOME", "a#b", "5"]
        );
    }

    #[test]
    fn variables_in_front_of_the_script_are_kept_apart() {
        let script = script_in("CUDA_VISIBLE_DEVICES=1 python main.py --epochs=3").unwrap();
        assert_eq!(script.variables, ["CUDA_VISIBLE_DEVICES=1"]);
        assert_eq!(script.words, ["--epochs=3"]);
    }

    #[test]
    fn what_only_the_shell_knows_is_refused() {
        for line in [
            "python main.py -w $DATA",
            "python main.py -w ~/data",
            "python main.py \"`x`\"",
        ] {
            let message = message(line);
            assert!(
                message.contains("is not known here\n  help: write it out"),
                "{message}"
            );
        }
        assert!(message("python main.py 'x").starts_with("a quote is not closed: '"));
        assert!(message("python main.py \"x").starts_with("a quote is not closed: \""));
    }

    #[test]
    fn one_script_at_a_time() {
        assert!(message("ls -l").starts_with("there is no Python script"));
        assert!(message("").starts_with("there is no Python script"));
        assert!(message("python a.py; python b.py").starts_with("it runs several scripts"));
    }
}
