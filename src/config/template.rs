//! Handlebars, but stricter: an unknown path is an error even where it isn't rendered, and only plain values can be
//! printed.
//!
//! Templates see `site` (mailimg.toml, same keys), `channel` (its name), `paths` (the recipe's for this channel) and
//! `image` (its name). Helpers: `if`, `unless`, `each`, `with`, `eq`, `ne`, `and`, `or`, `not`, `join LIST
//! SEPARATOR` and `regexp TEXT`.

use std::io::{self, Write};

use camino::Utf8Path;
use handlebars::template::{BlockParam, HelperTemplate, Parameter, TemplateElement};
use handlebars::{
    Context, Handlebars, Helper, HelperResult, Output, Path, PathAndJson, RenderContext, RenderError,
    RenderErrorReason, Template,
};
use serde_json::{Map, Value, json};

use super::compile::{CompileError, compile};
use super::error::{ConfigError, Wrong};
use super::{Project, Recipe};
use crate::similar::similar;

const BLOCKS: [&str; 4] = ["if", "unless", "each", "with"];
const HELPERS: [&str; 7] = ["eq", "ne", "and", "or", "not", "join", "regexp"];

/// The values for the templates of one image.
#[derive(Debug)]
pub(super) struct Values {
    /// All values, with `null` for optional ones that aren't set.
    known: Value,
    /// Only the set values, so that printing others is an error.
    set: Value,
}

impl Values {
    pub(super) fn new(project: &Project, recipe: &Recipe) -> Result<Self, ConfigError> {
        let site = serde_json::to_value(project.site()).unwrap_or_default();
        let mut paths = Map::new();
        for name in recipe.channel.values().flat_map(|share| share.paths.keys()) {
            paths.insert(name.clone(), Value::Null);
        }
        for (name, path) in project.channel_of(recipe)?.iter().flat_map(|share| &share.paths) {
            paths.insert(name.clone(), Value::from(path.as_str()));
        }
        let known = json!({
            "site": site,
            "channel": project.channel().name,
            "paths": paths,
            "image": recipe.name,
        });
        Ok(Self { set: without_nulls(&known), known })
    }

    /// The part of a dotted path up to the first unset value.
    fn unset(&self, path: &str) -> String {
        let mut value = &self.known;
        let steps = path.split('.').map(|step| {
            value = value.get(step).unwrap_or(&Value::Null);
            (step, value.is_null())
        });
        let mut names = Vec::new();
        for (step, is_unset) in steps {
            names.push(step);
            if is_unset {
                break;
            }
        }
        names.join(".")
    }
}

/// Renders `text`, the content of the template at `path`.
pub(super) fn render(path: &Utf8Path, text: &str, values: &Values) -> Result<String, Box<Wrong>> {
    let template = compile(text).map_err(|error| {
        let (place, reason) = match &error {
            CompileError::Template(error) => (error.pos().unwrap_or((1, 1)), error.reason().to_string()),
            other => ((1, 1), other.to_string()),
        };
        Wrong::at_line(path, text, place, format!("not a template: {reason}"))
    })?;
    Checker { path, text, values }.template(&template, &Scope::default())?;
    let mut handlebars = Handlebars::new();
    handlebars.set_strict_mode(true);
    handlebars.register_escape_fn(handlebars::no_escape);
    handlebars.register_helper("join", Box::new(join));
    handlebars.register_helper("regexp", Box::new(regexp));
    handlebars.register_template("", template);
    let mut rendered = Rendered::default();
    match handlebars.render_to_write("", &values.set, &mut rendered) {
        Err(_) if rendered.is_too_long => {
            let message = format!("what it renders to has more than {OUTPUT_LIMIT} bytes");
            Err(Wrong::at_line(path, text, (1, 1), message))
        }
        Err(error) => Err(explain(path, text, values, &error)),
        Ok(()) => Ok(String::from_utf8_lossy(&rendered.bytes).into_owned()),
    }
}

/// The longest file that a template may render to, in bytes.
const OUTPUT_LIMIT: usize = 16 * 1024 * 1024;

/// How often the inside of loops may be rendered.
const MOST_ROUNDS: usize = 100_000;

/// What a template has rendered to so far.
#[derive(Default)]
struct Rendered {
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl Write for Rendered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_too_long = self.bytes.len().saturating_add(bytes.len()) > OUTPUT_LIMIT;
        if self.is_too_long {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The length of the longest list or table in a value.
fn longest(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(longest).fold(items.len(), usize::max),
        Value::Object(map) => map.values().map(longest).fold(map.len(), usize::max),
        _ => 0,
    }
}

fn explain(path: &Utf8Path, text: &str, values: &Values, error: &RenderError) -> Box<Wrong> {
    let place = (error.line_no.unwrap_or(1), error.column_no.unwrap_or(1));
    let RenderErrorReason::MissingVariable(Some(raw)) = error.reason() else {
        return Wrong::at_line(path, text, place, error.reason().to_string());
    };
    let key = values.unset(raw.strip_prefix("@root.").unwrap_or(raw));
    let (message, advice) = match key.strip_prefix("site.") {
        Some(of_site) => ("isn't set in mailimg.toml", format!("set `{of_site}` there")),
        None => ("has no value here", "set it".to_owned()),
    };
    let advice = format!("{advice}, or put the use of it between {{{{#if {key}}}}} and {{{{/if}}}}");
    Wrong::at_line(path, text, place, message.to_owned()).key(Some(key)).advice(Some(advice))
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_nulls(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// A helper's first parameter. A value that isn't set is an error, as it is where values are printed.
fn first<'a>(helper: &'a Helper<'_>) -> Result<Option<&'a Value>, RenderError> {
    match helper.param(0) {
        Some(param) if param.is_value_missing() => Err(RenderError::strict_error(param.relative_path())),
        param => Ok(param.map(PathAndJson::value)),
    }
}

/// `{{join LIST SEPARATOR}}`: the items of a list, joined by the separator.
fn join(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let list = first(helper)?.and_then(Value::as_array);
    let separator = helper.param(1).and_then(|param| param.value().as_str());
    let (Some(list), Some(separator)) = (list, separator) else {
        return Err(RenderErrorReason::InvalidParamType("{{join LIST SEPARATOR}}").into());
    };
    let items: Vec<String> =
        list.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
    out.write(&items.join(separator))?;
    Ok(())
}

/// `{{regexp TEXT}}`: an extended regular expression (POSIX) that matches this text alone.
fn regexp(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let Some(text) = first(helper)?.and_then(Value::as_str) else {
        return Err(RenderErrorReason::InvalidParamType("{{regexp TEXT}}").into());
    };
    for letter in text.chars() {
        if ".[]{}()\\*+?^$|/".contains(letter) {
            out.write("\\")?;
        }
        out.write(letter.encode_utf8(&mut [0; 4]))?;
    }
    Ok(())
}

/// The use of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Print,
    Argument,
}

/// The position in nested blocks.
#[derive(Clone, Default)]
struct Scope {
    /// Inside `each` or `with`, where plain paths start at the item.
    inside: bool,
    names: Vec<String>,
    /// How often the inside of the loops around it is rendered at most; 0 outside of any.
    rounds: usize,
}

struct Checker<'a> {
    path: &'a Utf8Path,
    text: &'a str,
    values: &'a Values,
}

impl Checker<'_> {
    fn template(&self, template: &Template, scope: &Scope) -> Result<(), Box<Wrong>> {
        for (element, mapping) in template.elements.iter().zip(&template.mapping) {
            self.element(element, scope, (mapping.0, mapping.1))?;
        }
        Ok(())
    }

    fn element(&self, element: &TemplateElement, scope: &Scope, place: (usize, usize)) -> Result<(), Box<Wrong>> {
        match element {
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => Ok(()),
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                if call.params.is_empty() && call.hash.is_empty() {
                    self.parameter(&call.name, Use::Print, scope, place)
                } else {
                    self.call(call, &HELPERS, scope, place)
                }
            }
            TemplateElement::HelperBlock(call) => self.block(call, scope, place),
            _ => Err(self.wrong(place, "these templates don't support partials or decorators")),
        }
    }

    fn block(&self, call: &HelperTemplate, scope: &Scope, place: (usize, usize)) -> Result<(), Box<Wrong>> {
        self.call(call, &BLOCKS, scope, place)?;
        let mut inner = scope.clone();
        if matches!(call.name.as_name(), Some("each" | "with")) {
            inner.inside = true;
            let names = match &call.block_param {
                Some(BlockParam::Single(name)) => vec![name],
                Some(BlockParam::Pair((first, second))) => vec![first, second],
                _ => Vec::new(),
            };
            inner.names.extend(names.iter().filter_map(|name| name.as_name()).map(str::to_owned));
        }
        if call.name.as_name() == Some("each") {
            inner.rounds = scope.rounds.max(1).saturating_mul(self.longest_list(call));
            if inner.rounds > MOST_ROUNDS {
                return Err(self.wrong(place, format!("loops inside each other have more than {MOST_ROUNDS} rounds")));
            }
        }
        if let Some(template) = &call.template {
            self.template(template, &inner)?;
        }
        call.inverse.as_ref().map_or(Ok(()), |template| self.inverse(template, scope, place))
    }

    /// How long a list can be: that of the site which is named, or else any.
    fn longest_list(&self, call: &HelperTemplate) -> usize {
        let of_site = |parameter: &Parameter| {
            let path = parameter.as_name()?;
            let path = path.strip_prefix("@root.").unwrap_or(path);
            path.strip_prefix("site.")?.split('.').try_fold(self.values.known.get("site")?, Value::get)
        };
        let list = call.params.first().and_then(of_site).unwrap_or(&self.values.known);
        longest(list).max(1)
    }

    /// The part after `{{else}}`. Chained blocks (`{{else if …}}`) are elements without their own mapping.
    fn inverse(&self, template: &Template, scope: &Scope, place: (usize, usize)) -> Result<(), Box<Wrong>> {
        for (index, element) in template.elements.iter().enumerate() {
            let place = template.mapping.get(index).map_or(place, |mapping| (mapping.0, mapping.1));
            self.element(element, scope, place)?;
        }
        Ok(())
    }

    fn call(
        &self,
        call: &HelperTemplate,
        known: &[&str],
        scope: &Scope,
        place: (usize, usize),
    ) -> Result<(), Box<Wrong>> {
        let name = call.name.as_name().unwrap_or_default();
        if !known.contains(&name) {
            let message = format!("there is no helper {name:?}; the helpers are {}", known.join(", "));
            return Err(self.wrong(place, message));
        }
        for parameter in call.params.iter().chain(call.hash.values()) {
            self.parameter(parameter, Use::Argument, scope, place)?;
        }
        Ok(())
    }

    fn parameter(
        &self,
        parameter: &Parameter,
        usage: Use,
        scope: &Scope,
        place: (usize, usize),
    ) -> Result<(), Box<Wrong>> {
        match parameter {
            Parameter::Path(Path::Relative((_, raw)) | Path::Local((_, _, raw))) | Parameter::Name(raw) => {
                self.path(raw, usage, scope, place)
            }
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(call) => self.call(call, &HELPERS, scope, place),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn path(&self, raw: &str, usage: Use, scope: &Scope, place: (usize, usize)) -> Result<(), Box<Wrong>> {
        let from_root = raw.strip_prefix("@root.").or_else(|| raw.strip_prefix("@root/"));
        let path = from_root.unwrap_or(raw);
        let mut steps = path.split(['.', '/']).map(|step| step.trim_matches(['[', ']']));
        let first = steps.clone().next().unwrap_or_default();
        if from_root.is_none() {
            let of_item = first.is_empty() || first == "this" || first.starts_with('@');
            if scope.inside && (of_item || scope.names.iter().any(|name| name == first)) {
                return Ok(());
            }
            if scope.inside && self.values.known.get(first).is_some() {
                let message = format!("inside {{{{#each}}}} and {{{{#with}}}}, write @root.{raw}");
                return Err(self.wrong(place, message).key(Some(raw.to_owned())));
            }
            if scope.inside {
                return Ok(());
            }
        }
        let value = steps.try_fold(&self.values.known, |value, step| match value {
            // What would be inside is known only once it is set; rendering tells.
            Value::Null => Ok(value),
            _ => step_into(value, step)
                .map_err(|advice| self.wrong(place, "no such value").key(Some(raw.to_owned())).advice(Some(advice))),
        })?;
        let kind = match value {
            Value::Array(_) => "a list",
            Value::Object(_) => "a table",
            _ => return Ok(()),
        };
        if usage == Use::Argument {
            return Ok(());
        }
        let advice = value.is_array().then(|| format!("write {{{{join {raw} \", \"}}}}, or {{{{#each {raw}}}}}"));
        let message = format!("is {kind}, which can't be printed");
        Err(self.wrong(place, message).key(Some(raw.to_owned())).advice(advice))
    }

    fn wrong(&self, place: (usize, usize), message: impl Into<String>) -> Box<Wrong> {
        Wrong::at_line(self.path, self.text, place, message.into())
    }
}

/// Takes a step down a path, or says what there is instead.
fn step_into<'a>(value: &'a Value, step: &str) -> Result<&'a Value, String> {
    if let Some(inner) = value.get(step) {
        return Ok(inner);
    }
    let item = step.parse::<usize>().ok().and_then(|index| value.get(index));
    item.ok_or_else(|| {
        let known: Vec<&str> = value.as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
        match similar(step, known.iter().copied()).first() {
            Some(name) => format!("did you mean {name}?"),
            None if known.is_empty() => format!("a value without keys can't have {step:?}"),
            None => format!("known values: {}", known.join(", ")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let known = json!({
            "site": {
                "hostname": "mail.example.org",
                "domains": ["example.org", "example.net"],
                "postmaster": null,
                "registry": null,
                "tls": { "directory": null, "outbound-required": false },
                "limits": { "message-size": 26_214_400 },
            },
            "channel": "debian-13",
            "paths": { "daemons": "/usr/lib/postfix/sbin", "elsewhere": null },
            "image": "postfix",
        });
        Values { set: without_nulls(&known), known }
    }

    fn rendered(text: &str) -> String {
        render(Utf8Path::new("t.hbs"), text, &values()).unwrap()
    }

    fn wrong(text: &str) -> Box<Wrong> {
        render(Utf8Path::new("t.hbs"), text, &values()).unwrap_err()
    }

    #[test]
    fn values_are_printed_as_they_are() {
        assert_eq!(
            rendered("a < {{site.hostname}} & {{paths.daemons}}\n"),
            "a < mail.example.org & /usr/lib/postfix/sbin\n"
        );
        assert_eq!(rendered("{{site.limits.message-size}}"), "26214400");
        assert_eq!(rendered("{{image}} {{channel}}"), "postfix debian-13");
    }

    #[test]
    fn lists_are_joined_or_walked() {
        assert_eq!(rendered("{{join site.domains \", \"}}"), "example.org, example.net");
        assert_eq!(
            rendered("{{#each site.domains as |domain|}}\n{{domain}} {{this}} {{@root.channel}}\n{{/each}}\n"),
            "example.org example.org debian-13\nexample.net example.net debian-13\n"
        );
    }

    #[test]
    fn a_regular_expression_matches_a_value_as_it_is() {
        assert_eq!(rendered("/@{{regexp site.hostname}}$/"), "/@mail\\.example\\.org$/");
        assert_eq!(rendered("{{#each site.domains}}{{regexp this}} {{/each}}"), "example\\.org example\\.net ");
        assert_eq!(wrong(" {{regexp site.postmaster}}").message, "isn't set in mailimg.toml");
        assert!(wrong("{{regexp site.domains}}").message.contains("regexp TEXT"));
    }

    #[test]
    fn conditions_ask_for_known_values_only() {
        assert_eq!(rendered("{{#if site.tls.directory}}x{{else}}y{{/if}}"), "y");
        assert_eq!(rendered("{{#if (eq channel \"debian-13\")}}x{{/if}}"), "x");
        assert_eq!(rendered("{{#if site.tls.directory}}{{site.tls.directory}}{{/if}}"), "");
        let wrong = wrong("a\n{{#if site.tls.direktory}}x{{/if}}");
        assert_eq!((wrong.line, wrong.key.as_deref()), (2, Some("site.tls.direktory")));
        assert_eq!(wrong.advice.as_deref(), Some("did you mean directory?"));
    }

    #[test]
    fn a_misspelt_value_is_an_error_even_where_it_is_not_rendered() {
        for text in [
            "\n{{#if site.tls.directory}}\n{{site.hostnam}}\n{{/if}}",
            "{{#if true}}{{else if site.tls.directory}}\n\n{{site.hostnam}}\n{{/if}}",
            "\n\n{{#unless site.hostname}}{{join site.hostnam \",\"}}{{/unless}}",
        ] {
            let wrong = wrong(text);
            assert_eq!((wrong.line, wrong.key.as_deref()), (3, Some("site.hostnam")), "{text}");
        }
    }

    #[test]
    fn a_value_that_the_site_does_not_set_is_asked_for_where_it_is_used() {
        for (text, key) in [
            ("\n {{site.postmaster}}", "site.postmaster"),
            ("\n {{join site.postmaster \", \"}}", "site.postmaster"),
            ("\n {{site.postmaster.[0]}}", "site.postmaster"),
            ("\n {{site.registry.prefix}}", "site.registry"),
            ("\n {{#each site.postmaster}}x{{/each}}", "site.postmaster"),
            ("\n {{#with site.registry}}{{prefix}}{{/with}}", "site.registry"),
            ("{{#each site.domains}}\n {{@root.site.postmaster}}{{/each}}", "site.postmaster"),
        ] {
            let wrong = wrong(text);
            assert_eq!((wrong.line, wrong.column, wrong.key.as_deref()), (2, 2, Some(key)), "{text}");
            assert_eq!(wrong.message, "isn't set in mailimg.toml", "{text}");
            assert!(wrong.advice.unwrap().starts_with(&format!("set `{}` there, or", &key["site.".len()..])), "{text}");
        }
        assert_eq!(rendered("{{#if site.registry.prefix}}{{site.registry.prefix}}{{else}}none{{/if}}"), "none");
        assert_eq!(rendered("{{#each site.postmaster}}x{{else}}none{{/each}}"), "none");
    }

    #[test]
    fn a_value_that_is_not_set_cannot_be_printed() {
        let wrong = wrong("x\ny {{paths.elsewhere}}");
        assert_eq!((wrong.line, wrong.column, wrong.key.as_deref()), (2, 3, Some("paths.elsewhere")));
        assert!(wrong.to_string().starts_with("t.hbs:2:3: paths.elsewhere: has no value here\n"), "{wrong}");
    }

    #[test]
    fn lists_and_tables_cannot_be_printed() {
        assert!(wrong("{{site.domains}}").message.contains("a list"));
        assert!(wrong("{{site.tls}}").message.contains("a table"));
    }

    #[test]
    fn unknown_helpers_partials_and_broken_syntax_are_errors() {
        assert!(wrong("{{upper site.hostname}}").message.contains("no helper \"upper\""));
        assert!(wrong("{{> other}}").message.contains("partials"));
        assert_eq!(wrong("a\n{{#if site.hostname}}").line, 2);
        assert!(wrong("{{join site.hostname \",\"}}").message.contains("join LIST SEPARATOR"));
    }

    #[test]
    fn an_outer_value_inside_a_loop_needs_the_root() {
        let wrong = wrong("{{#each site.domains}}\n{{#if site.hostname}}x{{/if}}{{/each}}");
        assert_eq!(wrong.line, 2);
        assert!(wrong.message.contains("@root.site.hostname"));
    }
}
