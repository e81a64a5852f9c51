//! JSON Schemas of the files that people write, made from the types that read them. Editors complete keys by them, and
//! `docs/reference.md` is made from them. Both are kept in the repository; a test says when they are out of date.

use camino::Utf8Path;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use super::reference;
use super::scripts::ScriptsFile;
use super::{Channel, Recipe, Site};

/// A kind of file: its schema's name, and the file's.
struct Kind {
    name: &'static str,
    file: &'static str,
    schema: fn(SchemaSettings) -> Schema,
}

const KINDS: [Kind; 4] = [
    Kind { name: "mailimg", file: "mailimg.toml", schema: schema::<Site> },
    Kind { name: "recipe", file: "recipes/<image>.toml", schema: schema::<Recipe> },
    Kind { name: "channel", file: "apk-locks/<channel>/channel.toml", schema: schema::<Channel> },
    Kind { name: "scripts", file: "apk-locks/<channel>/scripts.toml", schema: schema::<ScriptsFile> },
];

fn schema<T: JsonSchema>(settings: SchemaSettings) -> Schema {
    settings.with_transform(AsToml).into_generator().into_root_schema_for::<T>()
}

/// The schema of a map whose keys are an enum: each variant is a key with its own description.
pub(super) fn keyed<K: JsonSchema, V: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let keys = K::json_schema(generator).to_value();
    let properties = keys["oneOf"].as_array().into_iter().flatten().map(|key| {
        let mut value = V::json_schema(generator);
        value.insert("description".to_owned(), key["description"].clone());
        (key["const"].as_str().unwrap().to_owned(), value.to_value())
    });
    let properties: Map<String, Value> = properties.collect();
    json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
}

impl Kind {
    /// The schema in the draft that TOML editors know.
    fn json(&self) -> Value {
        let mut schema = (self.schema)(SchemaSettings::draft07());
        schema.insert("title".to_owned(), self.file.into());
        schema.to_value()
    }

    /// The schema as one piece, without references inside of it.
    fn whole(&self) -> Value {
        (self.schema)(SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true)).to_value()
    }
}

/// TOML has no null: what may be left out is just not required.
#[derive(Debug, Clone)]
struct AsToml;

impl Transform for AsToml {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        // An object's default is what its keys' defaults say.
        if object.get("default").is_some_and(|default| default.is_null() || default.is_object() || *default == "") {
            object.remove("default");
        }
        if let Some(Value::Array(mut options)) = object.remove("anyOf") {
            options.retain(|option| option.get("type").is_none_or(|name| name != "null"));
            match options.as_mut_slice() {
                [Value::Object(only)] => object.append(only),
                _ => {
                    object.insert("anyOf".to_owned(), options.into());
                }
            }
        }
    }
}

/// Compares a file of the repository with what it should be, or writes it if `UPDATE_DOCS` is set.
fn check_current(path: &str, text: &str) {
    let file = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        fs_err::write(&file, text).unwrap();
    }
    let current = fs_err::read_to_string(&file).unwrap_or_default();
    assert!(current == text, "{path} is out of date: UPDATE_DOCS=1 cargo test --lib config::schema updates it");
}

#[test]
fn schemas_and_reference_are_current() {
    let mut page = reference::START.to_owned();
    for kind in &KINDS {
        let json = serde_json::to_string_pretty(&kind.json()).unwrap();
        check_current(&format!("schema/{}.json", kind.name), &format!("{json}\n"));
        page.push_str(&reference::of_file(kind.file, &kind.whole()));
    }
    check_current("docs/reference.md", &page);
}

/// The shipped files of a kind.
fn shipped(kind: &Kind) -> Vec<String> {
    let pattern: Vec<&str> = kind.file.split('/').collect();
    let mut paths = vec![Utf8Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()];
    for part in pattern {
        paths = match part.strip_prefix('<') {
            None => paths.iter().map(|path| path.join(part)).filter(|path| path.exists()).collect(),
            Some(rest) => {
                let suffix = rest.split_once('>').unwrap().1;
                let entries = paths.iter().flat_map(|path| path.read_dir_utf8().unwrap());
                let inside = entries.map(|entry| entry.unwrap().into_path());
                inside.filter(|path| path.as_str().ends_with(suffix)).collect()
            }
        };
    }
    paths.iter().map(|path| fs_err::read_to_string(path).unwrap()).collect()
}

#[test]
fn schemas_take_what_the_program_takes() {
    for kind in &KINDS {
        let validator = jsonschema::validator_for(&kind.json()).unwrap();
        let read = |text: &str| serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap();
        let files = shipped(kind);
        assert!(!files.is_empty(), "{}", kind.file);
        for text in files {
            let errors: Vec<String> = validator.iter_errors(&read(&text)).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", kind.file);
            assert!(!validator.is_valid(&read(&format!("unknown-key = 1\n{text}"))), "{}", kind.file);
        }
    }
}

#[test]
fn patterns_agree_with_the_values_that_are_read() {
    use super::name_server::NameServer;
    use super::network::Network;
    use super::{AbsolutePath, Address, DomainName, Mode, Name, Size, Word};
    fn check<T: JsonSchema + std::str::FromStr>(right: &[&str], wrong: &[&str]) {
        let validator = jsonschema::validator_for(&schema::<T>(SchemaSettings::draft07()).to_value()).unwrap();
        for (texts, expected) in [(right, true), (wrong, false)] {
            for text in texts {
                assert_eq!(text.parse::<T>().is_ok(), expected, "{text:?} as a value");
                assert_eq!(validator.is_valid(&Value::from(*text)), expected, "{text:?} in the schema");
            }
        }
    }
    check::<Mode>(&["644", "2755"], &["8", "0o755", "0855", "07777777"]);
    check::<AbsolutePath>(&["/etc", "/a b/ü"], &["", "/", "a", "/a/", "//a", "/a//b"]);
    check::<DomainName>(&["a.b", "mail.example.org", "xn--bcher-kva.example"], &["localhost", "A.b", "-a.b", "a..b"]);
    check::<Address>(&["a@example.org", "A.b@Example.org"], &["a", "@b.c", "a@b", "a b@c.d"]);
    check::<Name>(&["postfix", "_apt", "a.pem"], &["", "-a", "A", "a/b"]);
    check::<Network>(&["192.0.2.0/24", "2001:db8::/32"], &["192.0.2.0", "192.0.2.0/0", "a b/8", "::/"]);
    check::<NameServer>(&["192.0.2.53", "::1", "192.0.2.53:53", "[::1]:53"], &["", "[::1]", "[::1]:0", "host:53"]);
    check::<Size>(&["0", "1000", "26M"], &["", "M", "1m", "1.5G", "-1", "1 G"]);
    check::<Word>(&["https://example.org/x?y"], &["", "a b", "a\"b", "a#b"]);
}
