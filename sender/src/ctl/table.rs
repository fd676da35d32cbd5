//! What is printed: values as people read them.

use serde_json::Value;

/// Rows of these fields, in columns.
pub(super) fn table(rows: &Value, fields: &[&str]) -> String {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    let head: Vec<String> = fields.iter().map(|field| field.trim_end_matches("_db").to_owned()).collect();
    let cells = rows.iter().map(|row| fields.iter().map(|field| shown(&row[*field])).collect::<Vec<_>>());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(cells).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..fields.len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

/// The fields of an object, a line each; those of objects in it too.
pub(super) fn lines(object: &Value) -> String {
    let fields = object.as_object().into_iter().flatten();
    let line = |(name, value): (&String, &Value)| match value {
        Value::Object(_) => lines(value).lines().map(|line| format!("{name}.{line}\n")).collect(),
        value => format!("{name}: {}\n", shown(value)),
    };
    fields.map(line).collect()
}

/// A value as people write it.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        value => value.to_string(),
    }
}
