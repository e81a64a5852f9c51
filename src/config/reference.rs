//! `docs/reference.md`: JSON Schemas as tables to read.

use std::fmt::Write as _;

use serde_json::{Map, Value};

pub(super) const START: &str = "\
# Reference

Every key of the files that you write. This page is generated from the program's types;
[configuration.md](configuration.md) explains how the files work together.

The JSON Schemas in `schema/` give editors the same information.
";

/// The section on one file.
pub(super) fn of_file(file: &str, schema: &Value) -> String {
    let mut text = String::new();
    let _ = write!(text, "\n## {file}\n\n{}\n", description(schema));
    table(&mut text, schema);
    subsections(&mut text, "", schema);
    text
}

fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flat_map(Map::iter)
}

/// A table of the keys of an object, required ones first.
fn table(text: &mut String, schema: &Value) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut keys: Vec<(&String, &Value)> = properties(schema).collect();
    keys.sort_by_key(|(key, _)| !required.contains(&key.as_str()));
    text.push_str("\n| key | type | default | description |\n| --- | --- | --- | --- |\n");
    for (key, value) in keys {
        let default = match &value["default"] {
            _ if required.contains(&key.as_str()) => "required".to_owned(),
            Value::Null => String::new(),
            Value::Array(items) if items.is_empty() => String::new(),
            default => format!("`{default}`"),
        };
        let meaning = (description(value) + &choices(value)).replace('|', "\\|");
        let _ = writeln!(text, "| `{key}` | {} | {default} | {} |", kind(value), meaning.trim());
    }
}

/// What a value is, in a few words.
fn kind(schema: &Value) -> String {
    if !variants(schema).is_empty() {
        return "choice".to_owned();
    }
    if let Some(types) = schema["type"].as_array() {
        return types.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ");
    }
    match schema["type"].as_str().unwrap_or_default() {
        "array" if part(&schema["items"]) => "tables".to_owned(),
        "array" => format!("list of {}", plural(&kind(&schema["items"]))),
        "object" if schema.get("properties").is_some() => "table".to_owned(),
        "object" => format!("table of {}", plural(&kind(map_value(schema)))),
        other => other.to_owned(),
    }
}

/// `integers`, `lists of integers`.
fn plural(kind: &str) -> String {
    match kind.split_once(' ') {
        Some((first, rest)) => format!("{first}s {rest}"),
        None => format!("{kind}s"),
    }
}

/// The value type of an object with keys of the user's own.
fn map_value(schema: &Value) -> &Value {
    let of_pattern = schema["patternProperties"].as_object().and_then(|patterns| patterns.values().next());
    of_pattern.unwrap_or(&schema["additionalProperties"])
}

/// Names and descriptions of the variants of an enum.
fn variants(schema: &Value) -> Vec<(String, String)> {
    let described = schema["oneOf"].as_array().into_iter().flatten();
    let described = described.filter_map(|option| Some((option["const"].as_str()?.to_owned(), description(option))));
    let plain = schema["enum"].as_array().into_iter().flatten();
    described.chain(plain.filter_map(|name| Some((name.as_str()?.to_owned(), String::new())))).collect()
}

/// What may be chosen, of an enum or a list or map of one.
fn choices(schema: &Value) -> String {
    let inner = [schema, &schema["items"], map_value(schema)].into_iter().map(variants).find(|found| !found.is_empty());
    let shown = inner.unwrap_or_default().into_iter().map(|(name, meaning)| match meaning.as_str() {
        "" => format!("`{name}`"),
        meaning => format!("`{name}`: {meaning}"),
    });
    let shown: Vec<String> = shown.map(|choice| format!("<br>{choice}")).collect();
    shown.concat()
}

/// Whether a value has keys of its own to describe.
fn part(schema: &Value) -> bool {
    schema.get("properties").is_some()
}

/// A section for each part of an object that has keys of its own.
fn subsections(text: &mut String, path: &str, schema: &Value) {
    for (key, value) in properties(schema) {
        let (heading, inner, path) = if part(value) {
            (format!("[{path}{key}]"), value, format!("{path}{key}."))
        } else if part(&value["items"]) {
            (format!("[[{path}{key}]]"), &value["items"], format!("{path}{key}."))
        } else if part(map_value(value)) {
            (format!("[{path}{key}.NAME]"), map_value(value), format!("{path}{key}.NAME."))
        } else {
            continue;
        };
        let _ = write!(text, "\n### `{heading}`\n\n{}\n", description(inner));
        table(text, inner);
        subsections(text, &path, inner);
    }
}
