//! One TOML table, read key by key; every problem is noted with its line and reading goes on.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, Problem};

/// A value as it was typed.
pub(super) type Value<'a> = DeValue<'a>;

/// A table of the file. Keys that were never asked for are problems when it is closed.
pub(super) struct Section<'a> {
    /// How messages name it: empty for the top of the file, otherwise `[http]`, `[[streams]]`, `source`.
    name: &'static str,
    /// Where in the text it is, to say where a missing key is missing.
    span: Range<usize>,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
    rest_ignored: bool,
    log: &'a Log<'a>,
}

struct Log<'a> {
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
}

/// Reads `text`, the content of `file`, with `read`; fails with all problems noted on the way.
pub(super) fn read_file<T>(
    file: &Path,
    text: &str,
    read: impl FnOnce(&mut Section<'_>) -> Option<T>,
) -> Result<T, ConfigError> {
    let log = Log { text, problems: RefCell::default() };
    let value = match DeTable::parse(text) {
        Ok(root) => Section::visit("", 0..0, root.get_ref(), &log, read),
        Err(error) => {
            log.note(error.span().unwrap_or_default(), error.message().trim().replace('\n', "; "));
            None
        }
    };
    let mut problems = log.problems.into_inner();
    problems.sort_by_key(|problem| problem.line);
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(ConfigError { file: file.display().to_string(), problems }),
    }
}

impl<'a> Section<'a> {
    fn visit<T>(
        name: &'static str,
        span: Range<usize>,
        table: &'a DeTable<'a>,
        log: &'a Log<'a>,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> T {
        let mut section = Section { name, span, table, asked: Vec::new(), rest_ignored: false, log };
        let value = read(&mut section);
        section.note_unknown_keys();
        value
    }

    /// The value of `key` as `read` takes it; nothing when it is not there, or wrong, which is noted.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value<'a>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.find(key)?;
        match read(value.get_ref()) {
            Ok(read) => Some(read),
            Err(reason) => {
                self.log.note(value.span(), format!("{key}: {reason}"));
                None
            }
        }
    }

    /// As [`get`](Self::get), for a key that must be there; `what` says what it is for.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        what: &str,
        read: impl FnOnce(&Value<'a>) -> Result<T, String>,
    ) -> Option<T> {
        if self.find(key).is_none() {
            self.problem(format!("{}needs the key \"{key}\": {what}", self.prefix()));
        }
        self.get(key, read)
    }

    /// The table `key`, read by `read`; nothing when it is not there or no table.
    pub(super) fn section<T>(
        &mut self,
        key: &'static str,
        name: &'static str,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        let value = self.find(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Self::visit(name, value.span(), table, self.log, read)),
            other => {
                self.log.note(value.span(), format!("{key}: this must be a table, not {}", kind(other)));
                None
            }
        }
    }

    /// The tables of the array `key`, each read by `read`.
    pub(super) fn sections<T>(
        &mut self,
        key: &'static str,
        name: &'static str,
        mut read: impl FnMut(&mut Section<'a>) -> T,
    ) -> Option<Vec<T>> {
        let value = self.find(key)?;
        let DeValue::Array(tables) = value.get_ref() else {
            self.log.note(value.span(), format!("{key}: write {name} above the keys, once for each"));
            return None;
        };
        let mut items = Vec::new();
        for item in tables.iter() {
            match item.get_ref() {
                DeValue::Table(table) => items.push(Self::visit(name, item.span(), table, self.log, &mut read)),
                other => self.log.note(item.span(), format!("{key}: this must be a table, not {}", kind(other))),
            }
        }
        Some(items)
    }

    /// Notes a problem with this table as a whole.
    pub(super) fn problem(&self, text: String) {
        self.log.note(self.span.clone(), text);
    }

    /// Notes a problem with the value of `key`, which was read before.
    pub(super) fn problem_at(&self, key: &str, reason: &str) {
        let span = self.table.get(key).map_or(self.span.clone(), Spanned::span);
        self.log.note(span, format!("{key}: {reason}"));
    }

    /// Leaves the keys that were not asked for alone: what they may be can't be told.
    pub(super) fn ignore_rest(&mut self) {
        self.rest_ignored = true;
    }

    fn find(&mut self, key: &'static str) -> Option<&'a Spanned<Value<'a>>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.table.get(key)
    }

    fn note_unknown_keys(&self) {
        if self.rest_ignored {
            return;
        }
        for key in self.table.keys().filter(|key| !self.asked.contains(&key.get_ref().as_ref())) {
            let hint = suggestion(key.get_ref(), &self.asked);
            self.log.note(key.span(), format!("{}unknown key \"{}\"; {hint}", self.prefix(), key.get_ref()));
        }
    }

    fn prefix(&self) -> String {
        if self.name.is_empty() { String::new() } else { format!("{}: ", self.name) }
    }
}

impl Log<'_> {
    fn note(&self, span: Range<usize>, text: String) {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        self.problems.borrow_mut().push(Problem { line, text });
    }
}

/// "did you mean ...?" when one of `known` is near, otherwise all of them.
pub(super) fn suggestion(typed: &str, known: &[&str]) -> String {
    let distance = |candidate: &&&str| strsim::damerau_levenshtein(typed, candidate);
    match known.iter().min_by_key(distance) {
        Some(near) if distance(&near) <= 2.max(near.len() / 3) && distance(&near) < near.len() => {
            format!("did you mean \"{near}\"?")
        }
        _ => format!("it can be {}", known.join(", ")),
    }
}

/// Any text.
pub(super) fn text(value: &Value<'_>) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("this must be a text in quotes, not {}", kind(value)))
}

/// A text that names something: not empty, at most `max` characters, none of them a control character.
pub(super) fn label(max: usize) -> impl Fn(&Value<'_>) -> Result<String, String> {
    move |value| {
        let text = text(value)?;
        let fits = (1..=max).contains(&text.chars().count()) && !text.trim().is_empty();
        match fits && !text.chars().any(char::is_control) {
            true => Ok(text),
            false => Err(format!("this must be 1 to {max} characters on one line")),
        }
    }
}

/// A path.
pub(super) fn path(value: &Value<'_>) -> Result<PathBuf, String> {
    match text(value)? {
        path if path.is_empty() || path.contains('\0') => Err("this must be a path".into()),
        path => Ok(path.into()),
    }
}

/// Whatever `T` reads from a text.
pub(super) fn parsed<T: FromStr<Err: Display>>(value: &Value<'_>) -> Result<T, String> {
    text(value)?.parse().map_err(|error: T::Err| error.to_string())
}

/// `true` or `false`.
pub(super) fn flag(value: &Value<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("this must be true or false, not {}", kind(value)))
}

/// A whole number in a range.
pub(super) fn integer<T: TryFrom<i64>>(range: RangeInclusive<i64>) -> impl Fn(&Value<'_>) -> Result<T, String> {
    move |value| {
        let (low, high) = (range.start(), range.end());
        let typed = value.as_integer().ok_or_else(|| format!("this must be a whole number, not {}", kind(value)))?;
        let number = i64::from_str_radix(typed.as_str(), typed.radix()).ok().filter(|n| range.contains(n));
        number
            .and_then(|n| T::try_from(n).ok())
            .ok_or_else(|| format!("{} is out of range, it must be {low} to {high}", typed.as_str()))
    }
}

/// A number in a range.
pub(super) fn number(range: RangeInclusive<f64>) -> impl Fn(&Value<'_>) -> Result<f64, String> {
    move |value| {
        let typed = match value {
            DeValue::Integer(integer) => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            other => return Err(format!("this must be a number, not {}", kind(other))),
        };
        number_in(typed, range.clone())
    }
}

/// Reads a number and checks its range.
pub(super) fn number_in(typed: &str, range: RangeInclusive<f64>) -> Result<f64, String> {
    let number = typed.parse().ok().filter(|n| range.contains(n));
    number.ok_or_else(|| format!("{typed} is not a number from {} to {}", range.start(), range.end()))
}

fn kind(value: &Value<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
