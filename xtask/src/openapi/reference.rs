//! An OpenAPI document in words.

use std::fmt::Write;

use serde_json::{Map, Value};

/// Markdown: every route by its tag, then every object.
pub(super) fn of(document: &Value) -> String {
    let mut text = String::from("## Reference\n");
    for tag in items(&document["tags"]) {
        say(
            &mut text,
            format_args!("\n### {}\n", word(&tag["description"])),
        );
        for (path, method, route) in routes(document, word(&tag["name"])) {
            say(&mut text, format_args!("\n#### `{method} {path}`\n\n"));
            describe_route(&mut text, route);
        }
    }
    text.push_str("\n### Objects\n");
    for (name, schema) in fields(&document["components"]["schemas"]) {
        say(&mut text, format_args!("\n#### {name}\n\n"));
        describe_object(&mut text, schema);
    }
    text
}

/// Path, method and route of everything with a tag.
fn routes<'a>(document: &'a Value, tag: &str) -> Vec<(&'a str, String, &'a Value)> {
    let mut found = Vec::new();
    for (path, methods) in fields(&document["paths"]) {
        for (method, route) in fields(methods) {
            if items(&route["tags"]).iter().any(|it| it == tag) {
                found.push((path.as_str(), method.to_uppercase(), route));
            }
        }
    }
    found
}

fn describe_route(text: &mut String, route: &Value) {
    say(text, format_args!("{}.\n", word(&route["summary"])));
    if let Some(description) = route["description"].as_str() {
        say(text, format_args!("{}\n", in_one_line(description)));
    }
    let parameters = items(&route["parameters"]);
    if !parameters.is_empty() {
        text.push_str("\n| parameter | | |\n|---|---|---|\n");
    }
    for parameter in parameters {
        let place = match word(&parameter["in"]) {
            "path" => "in the path, ",
            _ => "",
        };
        let name = word(&parameter["name"]);
        let kind = kind(&parameter["schema"]);
        let meaning = in_one_line(word(&parameter["description"]));
        say(
            text,
            format_args!("| `{name}` | {place}{kind} | {meaning} |\n"),
        );
    }
    for (media_type, content) in fields(&route["requestBody"]["content"]) {
        let kind = kind(&content["schema"]);
        say(text, format_args!("\nBody: {kind} as `{media_type}`.\n"));
    }
    text.push_str("\n| answer | | |\n|---|---|---|\n");
    for (status, answer) in fields(&route["responses"]) {
        let contents = fields(&answer["content"])
            .map(|(media_type, content)| format!("`{media_type}`: {}", kind(&content["schema"])));
        let contents: Vec<_> = contents.collect();
        let meaning = in_one_line(word(&answer["description"]));
        say(
            text,
            format_args!("| {status} | {} | {meaning} |\n", contents.join(", ")),
        );
    }
}

fn describe_object(text: &mut String, schema: &Value) {
    say(
        text,
        format_args!("{}\n", in_one_line(word(&schema["description"]))),
    );
    if schema.get("properties").is_some() {
        text.push_str("\n| field | | |\n|---|---|---|\n");
    } else {
        say(text, format_args!("\n{}\n", kind(schema)));
    }
    // Of what is asked only: in an answer every field is there.
    let is_asked = schema["additionalProperties"] == false;
    for (name, field) in fields(&schema["properties"]) {
        let is_needed = items(&schema["required"]).iter().any(|it| it == name);
        let needed = if is_asked && is_needed {
            ", needed"
        } else {
            ""
        };
        let kind = kind(field);
        let meaning = in_one_line(&meaning(field));
        say(
            text,
            format_args!("| `{name}` | {kind}{needed} | {meaning} |\n"),
        );
    }
}

/// Of a field, also where it stands beside the `null` that it may be.
fn meaning(field: &Value) -> String {
    let own = field["description"].as_str();
    let inner = || {
        items(&field["oneOf"])
            .iter()
            .find_map(|it| it["description"].as_str())
    };
    own.or_else(inner).unwrap_or_default().to_owned()
}

/// What a value may be.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for (all, between) in [("oneOf", " or "), ("allOf", " with ")] {
        let parts: Vec<_> = items(&schema[all]).iter().map(kind).collect();
        if !parts.is_empty() {
            return parts.join(between);
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().map(|it| format!("`{}`", word(it))).collect();
        return values.join(", ");
    }
    if schema["type"] == "object" && schema.get("properties").is_some() {
        let fields = fields(&schema["properties"]);
        let fields: Vec<_> = fields
            .map(|(name, it)| format!("`{name}` {}", kind(it)))
            .collect();
        return fields.join(", ");
    }
    match &schema["type"] {
        Value::Array(kinds) => {
            let kinds: Vec<_> = kinds.iter().map(|it| simple(word(it), schema)).collect();
            kinds.join(" or ")
        }
        Value::String(one) => simple(one, schema),
        _ => "JSON".to_owned(),
    }
}

fn simple(name: &str, schema: &Value) -> String {
    match name {
        "array" => format!("list of {}", kind(&schema["items"])),
        "integer" => {
            let bound = |key, sign| {
                let bound = schema[key].as_u64().filter(|&it| it > 0);
                bound.map_or_else(String::new, |it| format!(" {sign} {it}"))
            };
            format!("integer{}{}", bound("minimum", "≥"), bound("maximum", "≤"))
        }
        _ => name.to_owned(),
    }
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

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn say(text: &mut String, what: std::fmt::Arguments<'_>) {
    // A String takes anything.
    let _written = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_is_told_as_people_say_it() {
        let or_null = json!({"oneOf": [{"$ref": "#/components/schemas/Loss"}, {"type": "null"}]});
        assert_eq!(kind(&or_null), "[Loss](#loss) or null");
        let number = json!({"type": ["integer", "null"], "minimum": 1, "maximum": 9});
        assert_eq!(kind(&number), "integer ≥ 1 ≤ 9 or null");
        let list = json!({"type": "array", "items": {"type": "string"}});
        assert_eq!(kind(&list), "list of string");
        let tagged = json!({"allOf": [
            {"$ref": "#/components/schemas/Met"},
            {"type": "object", "properties": {"type": {"type": "string", "enum": ["met"]}}},
        ]});
        assert_eq!(kind(&tagged), "[Met](#met) with `type` `met`");
    }

    #[test]
    fn every_route_and_every_object_has_its_place() {
        let document = json!({
            "tags": [{"name": "a", "description": "What a is"}],
            "paths": {"/v1/x": {"get": {"tags": ["a"], "summary": "X", "responses": {
                "200": {"description": "it", "content": {"text/plain": {"schema": {"type": "string"}}}},
            }}}},
            "components": {"schemas": {"Y": {
                "description": "why", "additionalProperties": false, "required": ["z"],
                "properties": {"z": {"type": "boolean", "description": "zed"}},
            }}},
        });
        let text = of(&document);
        for line in [
            "### What a is",
            "#### `GET /v1/x`",
            "| 200 | `text/plain`: string | it |",
            "#### Y",
            "| `z` | boolean, needed | zed |",
        ] {
            assert!(text.lines().any(|it| it == line), "no {line} in {text}");
        }
    }
}
