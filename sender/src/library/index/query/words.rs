//! Words that are looked for.
//!
//! Search must answer while somebody types. A letter or two fit half of the library, and to rank all of that would take
//! longer than a keystroke; so the words are looked for in tiers, the likeliest first (whole words in titles, then
//! beginnings of words in titles, in artists, in albums, anywhere), and each tier stops when the page is full.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::{Answer, Page};

/// So far into what fits a search one can go.
const DEEPEST_PAGE: u32 = 10_000;
/// The most words of a search that are looked at, and the most characters.
const MOST_WORDS: usize = 8;
pub(super) const MOST_CHARS: usize = 200;

/// Row ids of what fits the words, by tiers.
pub(super) fn search_tiers(db: &Connection, table: &str, columns: &[&str], text: &str, page: Page) -> Answer<Vec<i64>> {
    let Some(words) = Words::of(text) else { return Ok(Vec::new()) };
    let whole = page.offset.saturating_add(page.limit).min(DEEPEST_PAGE) as usize;
    let (mut ids, mut known) = (Vec::new(), HashSet::new());
    let mut find = db.prepare_cached(&format!("SELECT rowid FROM {table} WHERE {table} MATCH ?1 LIMIT ?2"))?;
    let tiers = columns.first().map(|first| words.whole(first)).into_iter();
    let tiers = tiers.chain(columns.iter().map(|column| words.begun(column))).chain([words.anywhere()]);
    for tier in tiers {
        // Those of earlier tiers come again.
        let rows = find.query_map(params![tier, (whole + ids.len()) as i64], |row| row.get(0))?;
        for id in rows {
            let id: i64 = id?;
            if known.insert(id) {
                ids.push(id);
            }
        }
        if ids.len() >= whole {
            break;
        }
    }
    Ok(ids.into_iter().skip(page.offset as usize).take(page.limit as usize).collect())
}

/// The words of a search, as FTS5 asks for them.
struct Words(Vec<String>);

impl Words {
    fn of(text: &str) -> Option<Self> {
        let text: String = text.chars().take(MOST_CHARS).collect();
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let words: Vec<String> = words.take(MOST_WORDS).map(|word| format!("\"{word}\"")).collect();
        (!words.is_empty()).then_some(Words(words))
    }

    /// All of them, whole, in one column.
    fn whole(&self, column: &str) -> String {
        format!("{column} : ({})", self.0.join(" AND "))
    }

    /// All of them in one column, each the beginning of a word.
    fn begun(&self, column: &str) -> String {
        format!("{column} : ({} *)", self.0.join(" * AND "))
    }

    /// All of them in whatever columns.
    fn anywhere(&self) -> String {
        format!("({} *)", self.0.join(" * AND "))
    }
}
