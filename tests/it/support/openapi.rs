//! The OpenAPI document, and whether an answer is as it says.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::client::Answer;

/// Fields of every answer, of HTTP itself.
const OF_HTTP: [&str; 4] = ["connection", "content-length", "content-type", "date"];

/// What answers a request: the pattern of its path, the method as the document spells it, the status.
pub(crate) type Response = (String, String, u16);

pub(crate) struct Document(pub(crate) Value);

impl Document {
    pub(crate) fn load() -> Document {
        Document(serde_json::from_str(include_str!("../../../src/http/assets/openapi.json")).unwrap())
    }

    /// Pattern of the path, method, operation.
    pub(crate) fn operations(&self) -> Vec<(&str, &str, &Value)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        let operations = paths.flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            operations.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        });
        operations.collect()
    }

    /// Every response of every operation.
    pub(crate) fn responses(&self) -> BTreeSet<Response> {
        let of_operation = |(path, method, operation): (&str, &str, &Value)| {
            let statuses = operation["responses"].as_object().unwrap().keys();
            let response = |status: &String| (path.to_owned(), method.to_owned(), status.parse().unwrap());
            statuses.map(response).collect::<Vec<_>>()
        };
        self.operations().into_iter().flat_map(of_operation).collect()
    }

    /// The object that `value` refers to, or `value`.
    pub(crate) fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference}")),
            None => value,
        }
    }

    pub(crate) fn response(&self, (path, method, status): &Response) -> &Value {
        let response = &self.0["paths"][path][method]["responses"][status.to_string()];
        assert!(response.is_object(), "{method} {path} has no {status}");
        self.resolve(response)
    }

    /// What is wrong with `instance` by `schema`, which stands in this document.
    pub(crate) fn errors(&self, schema: &Value, instance: &Value) -> Vec<String> {
        // References lead into the document; what else it has are no words of a schema.
        let mut root = self.0.clone();
        root.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
        let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&root).unwrap();
        validator.iter_errors(instance).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    /// Checks that `answer` to a request of the public listener is one that the document describes; which.
    pub(crate) fn check(&self, method: &str, target: &str, answer: &Answer) -> Response {
        let said = self.described(target, answer.status);
        let response = self.response(&said);
        let of = format!("{method} {target}: {}", answer.head);
        let headers = response["headers"].as_object();
        for (name, header) in headers.into_iter().flatten() {
            let header = self.resolve(header);
            match answer.field(&name.to_lowercase()) {
                Some(value) => {
                    let value = match header["schema"]["type"].as_str() {
                        Some("integer") => value.parse::<u64>().unwrap().into(),
                        _ => Value::from(value),
                    };
                    assert_eq!(self.errors(&header["schema"], &value), [""; 0], "{of}");
                }
                None => assert_ne!(header["required"], true, "no {name}: {of}"),
            }
        }
        for (name, _) in answer.fields() {
            let is_described = headers.is_some_and(|headers| headers.keys().any(|key| key.eq_ignore_ascii_case(&name)));
            assert!(is_described || OF_HTTP.contains(&name.as_str()), "{name} is not described: {of}");
        }
        self.check_content(method, response, answer, &of);
        said
    }

    fn check_content(&self, method: &str, response: &Value, answer: &Answer, of: &str) {
        let content_type = answer.field("content-type");
        let media_type = content_type.as_deref().map(|value| value.split(';').next().unwrap_or(value));
        let Some(content) = response["content"].as_object() else {
            assert_eq!((media_type, answer.body.len()), (None, 0), "{of}");
            return;
        };
        let media_type = media_type.unwrap_or_else(|| panic!("no media type: {of}"));
        let schema = &content.get(media_type).unwrap_or_else(|| panic!("not described: {of}"))["schema"];
        if method == "HEAD" || answer.field("content-encoding").is_some() {
            return;
        }
        let body = if media_type.ends_with("/json") || media_type.ends_with("+json") {
            answer.json()
        } else {
            answer.text().into()
        };
        assert_eq!(self.errors(schema, &body), [""; 0], "{of}{body}");
    }

    /// The response that describes an answer with `status`. Each path has one operation, and HEAD and methods that are
    /// not allowed are answered as it says.
    fn described(&self, target: &str, status: u16) -> Response {
        let path: Vec<&str> = target.split('?').next().unwrap().split('/').collect();
        let is_asked = |pattern: &str| {
            let pattern: Vec<&str> = pattern.split('/').collect();
            let mut pairs = pattern.iter().zip(&path);
            pattern.len() == path.len() && pairs.all(|(pattern, part)| pattern == part || pattern.starts_with('{'))
        };
        let operation = self.operations().into_iter().find(|(pattern, ..)| is_asked(pattern));
        let (pattern, method, _) = operation.unwrap_or_else(|| panic!("{target} is not described"));
        (pattern.to_owned(), method.to_owned(), status)
    }
}
