//! Comparison of printed JSON with the JSON that a document shows.

use serde_json::Value;

pub(super) fn values(text: &str) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(text).into_iter();
    let values: Result<_, _> = values.collect();
    values.unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// Whether both have the same fields with the same types; null matches every type.
pub(super) fn is_like(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Null, _) | (_, Value::Null) => true,
        (Value::Object(one), Value::Object(other)) => {
            one.get("type") == other.get("type")
                && one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|it| is_like(value, it)))
        }
        (Value::Array(one), Value::Array(other)) => {
            let pairs = one
                .iter()
                .flat_map(|it| other.iter().map(move |other| (it, other)));
            one.is_empty() == other.is_empty() && pairs.into_iter().all(|(a, b)| is_like(a, b))
        }
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}
