//! The daemon's OpenAPI document, which its responses are validated against.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::{Daemon, http::Answer};

/// The OpenAPI document.
#[derive(Debug)]
pub struct Document(pub Value);

/// Media type of JSON lines; its schema describes one line.
const LINES: &str = "application/x-ndjson";

impl Document {
    /// The document that a daemon serves.
    #[must_use]
    pub fn of(daemon: &Daemon) -> Self {
        Self(daemon.get("/v1/openapi.json").json())
    }

    /// Validates a response and returns its body; JSON lines become an array. The document
    /// must have its status, its media type and its schema. `path` is a key of the document.
    #[must_use]
    pub fn checked(&self, method: &str, path: &str, answer: Answer) -> Value {
        let status = answer.status;
        let place = format!("{method} {path} answered with {status}");
        let media_type = answer.header("content-type").unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().to_owned();
        let (body, instances) = match media_type.as_str() {
            "text/plain" => (Value::String(answer.text()), Vec::new()),
            LINES => {
                let lines = answer.stream().rest();
                (Value::Array(lines.clone()), lines)
            }
            _ => {
                let body = answer.json();
                (body.clone(), vec![body])
            }
        };
        let validator = self.validator(method, path, status, &media_type);
        for instance in instances {
            if let Some(error) = validator.iter_errors(&instance).next() {
                panic!("{place}: {}: {error}\nin {instance}", error.instance_path());
            }
        }
        body
    }

    /// Whether the document allows this request body.
    #[must_use]
    pub fn allows(&self, body: &Value) -> bool {
        let schema = json!({"$ref": "#/components/schemas/Request"});
        self.compiled(schema).is_valid(body)
    }

    fn validator(&self, method: &str, path: &str, status: u16, media_type: &str) -> Validator {
        let operation = &self.0["paths"][path][method];
        let content = &operation["responses"][status.to_string()]["content"];
        let schema = &content[media_type]["schema"];
        assert!(
            schema.is_object(),
            "{method} {path}: {status} as {media_type} is not documented"
        );
        self.compiled(schema.clone())
    }

    fn compiled(&self, mut schema: Value) -> Validator {
        schema["components"] = self.0["components"].clone();
        jsonschema::draft202012::new(&schema).unwrap_or_else(|error| panic!("{error}"))
    }
}
