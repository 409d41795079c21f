//! An OpenAPI document as Markdown.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a few allocations do not matter here"
)]

use serde_json::{Map, Value};

/// Every route by its tag, then every object.
pub(super) fn markdown(document: &Value) -> String {
    let mut text = String::from("## Reference\n");
    for tag in items(&document["tags"]) {
        text += &format!("\n### {}\n", word(&tag["description"]));
        for (path, methods) in fields(&document["paths"]) {
            let is_tagged = |route: &Value| items(&route["tags"]).contains(&tag["name"]);
            for (method, route) in fields(methods).filter(|(_, route)| is_tagged(route)) {
                text += &format!("\n#### `{} {path}`\n\n", method.to_uppercase());
                text += &self::route(route);
            }
        }
    }
    text += "\n### Objects\n";
    for (name, schema) in fields(&document["components"]["schemas"]) {
        text += &format!("\n#### {name}\n\n{}\n", one_line(&schema["description"]));
        text += &object(schema);
    }
    text
}

fn route(route: &Value) -> String {
    let mut text = format!("{}.\n", word(&route["summary"]));
    if route["description"].is_string() {
        text += &format!("{}\n", one_line(&route["description"]));
    }
    let parameters = items(&route["parameters"]).iter().map(|it| {
        let place = if it["in"] == "path" {
            "in the path, "
        } else {
            ""
        };
        let kind = place.to_owned() + &kind(&it["schema"]);
        (
            format!("`{}`", word(&it["name"])),
            kind,
            one_line(&it["description"]),
        )
    });
    text += &table("parameter", parameters);
    for (media_type, content) in fields(&route["requestBody"]["content"]) {
        text += &format!("\nBody: {} as `{media_type}`.\n", kind(&content["schema"]));
    }
    let answers = fields(&route["responses"]).map(|(status, answer)| {
        let contents = fields(&answer["content"]);
        let contents = contents.map(|(name, it)| format!("`{name}`: {}", kind(&it["schema"])));
        (
            status.clone(),
            join(contents, ", "),
            one_line(&answer["description"]),
        )
    });
    text + &table("answer", answers)
}

fn object(schema: &Value) -> String {
    if schema.get("properties").is_none() {
        return format!("\n{}\n", kind(schema));
    }
    // Only for requests, because every field of an answer is present.
    let is_request = schema["additionalProperties"] == false;
    let fields = fields(&schema["properties"]).map(|(name, field)| {
        let is_needed = is_request && items(&schema["required"]).iter().any(|it| it == name);
        let needed = if is_needed { ", required" } else { "" };
        // The description of a field that may be `null` is in one of its variants.
        let inner = items(&field["oneOf"]).iter().map(|it| &it["description"]);
        let mut descriptions = [&field["description"]].into_iter().chain(inner);
        let description = descriptions.find(|it| it.is_string());
        let description = description.unwrap_or(&Value::Null);
        (
            format!("`{name}`"),
            kind(field) + needed,
            one_line(description),
        )
    });
    table("field", fields)
}

/// A table of three columns; nothing without rows.
fn table(head: &str, rows: impl Iterator<Item = (String, String, String)>) -> String {
    let rows: String = rows
        .map(|(a, b, c)| format!("| {a} | {b} | {c} |\n"))
        .collect();
    if rows.is_empty() {
        rows
    } else {
        format!("\n| {head} | | |\n|---|---|---|\n{rows}")
    }
}

fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for (key, separator) in [("oneOf", " or "), ("allOf", " with ")] {
        if schema[key].is_array() {
            return join(items(&schema[key]).iter().map(kind), separator);
        }
    }
    if schema["enum"].is_array() {
        let values = items(&schema["enum"]).iter();
        return join(values.map(|it| format!("`{}`", word(it))), ", ");
    }
    if schema["type"] == "object" && schema["properties"].is_object() {
        let fields = fields(&schema["properties"]);
        let fields = fields.map(|(name, it)| format!("`{name}` {}", kind(it)));
        return join(fields, ", ");
    }
    match &schema["type"] {
        Value::Array(kinds) => join(kinds.iter().map(|it| simple(word(it), schema)), " or "),
        Value::String(one) => simple(one, schema),
        _ => "JSON".to_owned(),
    }
}

fn simple(name: &str, schema: &Value) -> String {
    if name == "array" {
        return format!("list of {}", kind(&schema["items"]));
    }
    let mut text = name.to_owned();
    if name == "integer" {
        for (key, sign) in [("minimum", "≥"), ("maximum", "≤")] {
            if let Some(bound) = schema[key].as_u64().filter(|&it| it > 0) {
                text += &format!(" {sign} {bound}");
            }
        }
    }
    text
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn one_line(value: &Value) -> String {
    join(word(value).split_whitespace().map(str::to_owned), " ")
}

fn join(parts: impl Iterator<Item = String>, separator: &str) -> String {
    parts.collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_named_in_words() {
        let or_null = json!({"oneOf": [{"$ref": "#/components/schemas/Loss"}, {"type": "null"}]});
        assert_eq!(kind(&or_null), "[Loss](#loss) or null");
        let number = json!({"type": ["integer", "null"], "minimum": 1, "maximum": 9});
        assert_eq!(kind(&number), "integer ≥ 1 ≤ 9 or null");
        let object = json!({"type": ["object", "null"], "properties": {"a": {"type": "string"}}});
        assert_eq!(kind(&object), "object or null");
        let tagged = json!({"allOf": [
            {"$ref": "#/components/schemas/Met"},
            {"type": "object", "properties": {"type": {"type": "string", "enum": ["met"]}}},
        ]});
        assert_eq!(kind(&tagged), "[Met](#met) with `type` `met`");
    }
}
