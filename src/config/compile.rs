//! Compiles templates faster than handlebars does by itself.
//!
//! Its parser spends most of its time on text that is printed as it is, letter by letter. So lines without a tag are put
//! aside while it parses: one letter stands for each of them.

use handlebars::Template;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use serde_json::Value;

/// The letters that stand for lines: those of plane 15, which are for private use.
const FIRST: u32 = 0xf_0000;
const LAST: u32 = 0xf_fffd;

/// How deep blocks and calls may be inside each other.
const MOST_LEVELS: usize = 64;
/// How much of what can nest a template may have. Real ones have about a hundred.
const MOST_OPENINGS: usize = 2000;
/// So many levels are compiled on any stack.
const FEW_OPENINGS: usize = 48;
/// How much stack handlebars needs for a level, measured without optimisation, where it needs most.
const STACK_PER_LEVEL: usize = 32 << 10;

/// Why a text is no template.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompileError {
    #[error(transparent)]
    Template(Box<handlebars::TemplateError>),
    #[error("more than {MOST_LEVELS} blocks or calls are inside each other")]
    Depth,
    #[error("the lines with tags have more than {MOST_OPENINGS} of ( [ # ^ : and `else`")]
    Openings,
    #[error("there is no memory to compile it")]
    Memory,
}

/// Compiles a template: the same as [`Template::compile`], errors and positions included, unless it nests deeply.
///
/// handlebars parses, and drops, by recursion, so the stack must have room for the deepest template that the text can
/// be. How deep it is can't be told without parsing it, but not deeper than it has openings.
pub(super) fn compile(text: &str) -> Result<Template, CompileError> {
    let (short, aside) = shorten(text);
    if !aside.is_empty()
        && let Ok(Some(template)) =
            guarded(&short, |mut template| (put_back(&mut template, &aside) == aside.len()).then_some(template))
    {
        return Ok(template);
    }
    guarded(text, |template| template)
}

/// Compiles a text, and passes the template on unless it nests too deeply.
fn guarded<T: Send>(text: &str, then: impl FnOnce(Template) -> T + Send) -> Result<T, CompileError> {
    let compile = || {
        let template = Template::compile(text).map_err(|error| CompileError::Template(Box::new(error)))?;
        if levels(&template) > MOST_LEVELS { Err(CompileError::Depth) } else { Ok(then(template)) }
    };
    match openings(text) {
        0..=FEW_OPENINGS => compile(),
        openings if openings > MOST_OPENINGS => Err(CompileError::Openings),
        openings => {
            let builder = std::thread::Builder::new().stack_size((1 << 20) + openings * STACK_PER_LEVEL);
            std::thread::scope(|scope| {
                let thread = builder.spawn_scoped(scope, compile).map_err(|_| CompileError::Memory)?;
                thread.join().unwrap_or(Err(CompileError::Memory))
            })
        }
    }
}

/// At least the number of levels in what a text can be compiled to. Calls and lists begin with a bracket, objects have a
/// colon before each inner one, and blocks begin with `#`, `^` or `else`.
fn openings(text: &str) -> usize {
    text.bytes().filter(|byte| b"([#^:".contains(byte)).count() + text.matches("else").count()
}

fn levels(template: &Template) -> usize {
    template.elements.iter().map(element_levels).max().unwrap_or_default()
}

fn element_levels(element: &TemplateElement) -> usize {
    match element {
        TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => call_levels(call),
        TemplateElement::HelperBlock(call) => {
            let inner = call.template.iter().chain(&call.inverse).map(levels).max().unwrap_or_default();
            call_levels(call).max(1 + inner)
        }
        _ => 0,
    }
}

fn call_levels(call: &HelperTemplate) -> usize {
    let parameters = call.params.iter().chain(call.hash.values());
    parameters.map(parameter_levels).max().unwrap_or_default()
}

fn parameter_levels(parameter: &Parameter) -> usize {
    match parameter {
        Parameter::Subexpression(inner) => 1 + element_levels(inner.as_element()),
        Parameter::Literal(value) => value_levels(value),
        _ => 0,
    }
}

fn value_levels(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(value_levels).max().unwrap_or_default(),
        Value::Object(map) => 1 + map.values().map(value_levels).max().unwrap_or_default(),
        _ => 0,
    }
}

/// The text with letters for lines, and the lines without the white space around them, which tags may remove.
fn shorten(text: &str) -> (String, Vec<&str>) {
    let (mut short, mut aside) = (String::new(), Vec::new());
    if text.chars().any(|letter| line_of(letter).is_some()) {
        return (short, aside);
    }
    let mut inside_tag = false;
    for line in text.split_inclusive('\n') {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let (content, end) = rest.split_at(rest.trim_end().len());
        let is_plain = !inside_tag && !content.is_empty() && !content.contains("{{") && !content.contains("}}");
        if let Some(letter) = letter(aside.len()).filter(|_| is_plain) {
            short.extend([indent, letter.encode_utf8(&mut [0; 4]), end]);
            aside.push(content);
        } else {
            short.push_str(line);
            // Nothing comes before a place.
            let (open, close) = (line.rfind("{{"), line.rfind("}}"));
            inside_tag = if open == close { inside_tag } else { open > close };
        }
    }
    (short, aside)
}

fn letter(line: usize) -> Option<char> {
    let code = FIRST.checked_add(u32::try_from(line).ok()?)?;
    char::from_u32(code).filter(|_| code <= LAST)
}

fn line_of(letter: char) -> Option<usize> {
    let code = u32::from(letter);
    usize::try_from(code.checked_sub(FIRST)?).ok().filter(|_| code <= LAST)
}

/// Replaces letters by the lines that they stand for. Returns how many were found: fewer if a tag has some of them, because
/// it isn't where it seemed to be.
fn put_back(template: &mut Template, aside: &[&str]) -> usize {
    let mut found = 0;
    for element in &mut template.elements {
        match element {
            TemplateElement::RawString(text) | TemplateElement::Comment(text) => {
                let mut whole = String::with_capacity(text.len());
                for letter in text.chars() {
                    if let Some(line) = line_of(letter).and_then(|line| aside.get(line)) {
                        whole.push_str(line);
                        found += 1;
                    } else {
                        whole.push(letter);
                    }
                }
                *text = whole;
            }
            TemplateElement::HelperBlock(block) => {
                for inner in block.template.iter_mut().chain(&mut block.inverse) {
                    found += put_back(inner, aside);
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_same(text: &str) -> bool {
        match (compile(text), Template::compile(text)) {
            (Ok(fast), Ok(slow)) => fast == slow,
            (Err(CompileError::Template(fast)), Err(slow)) => {
                fast.to_string() == slow.to_string() && fast.pos() == slow.pos()
            }
            _ => false,
        }
    }

    #[test]
    fn lines_without_a_tag_are_not_parsed() {
        let text = "first line\n  {{#if a}}\n\n\tsecond }\n{{b}} third\n  {{/if}}\nlast";
        let (short, aside) = shorten(text);
        assert_eq!(short, "\u{f0000}\n  {{#if a}}\n\n\t\u{f0001}\n{{b}} third\n  {{/if}}\n\u{f0002}");
        assert_eq!(aside, ["first line", "second }", "last"]);
        assert!(is_same(text));
    }

    #[test]
    fn tags_of_several_lines_are_parsed_whole() {
        for text in [
            "{{#if\n  a\n}}\nx\n{{/if}}",
            "a\n{{!-- }}\n not printed\n--}}\nb",
            "{{join a \"}}\nmiddle\n\"}}\nend",
            "a\n{{{{raw}}}}\nline {\n {{{{/raw}}}}\nb",
            "\\{{a\nb\n}}",
            "a \u{f0001}\nb\n",
        ] {
            assert!(is_same(text), "{text:?}");
        }
    }

    fn nested(before: &str, middle: &str, after: &str, levels: usize) -> String {
        [&before.repeat(levels), middle, &after.repeat(levels)].concat()
    }

    /// Ways to be deep: a text with so many levels.
    fn deep(levels: usize) -> Vec<String> {
        let of = |around: &str, text: &str| around.replace('@', text);
        let calls = nested("(not ", "a", ")", levels);
        let strings = nested("(not \")}}\" ", "a", ")", levels);
        vec![
            of("{{#if @}}x{{/if}}", &calls),
            of("{{not @}}", &calls),
            of("{{not a=@}}", &calls),
            of("text\nmore\n{{not @}}\nlast\n", &strings),
            of("{{! }} }}\\{{ {{not @}}", &calls),
            of("{{not @}}", &nested("[", "1", "]", levels)),
            of("{{not @}}", &nested("{\"a\":", "1", "}", levels)),
            nested("{{#if a}}", "x", "{{/if}}", levels),
            nested("{{ ~ #if a}}\nline\n", "x", "{{/if}}", levels),
            nested("{{^if a}}", "x", "{{/if}}", levels),
            format!("{{{{#if a}}}}{}x{{{{/if}}}}", "{{else if b}}y".repeat(levels)),
            // Not closed.
            "{{#if a}}".repeat(levels),
            format!("{{{{not {}", "(not ".repeat(levels)),
            "{{not [".repeat(levels),
        ]
    }

    #[test]
    fn deep_templates_are_refused_on_a_small_stack() {
        // Parsing takes the square of the levels, so only one kind of calls and blocks goes as far as it may.
        let far = [0, 7].map(|kind| deep(MOST_OPENINGS - 20).swap_remove(kind));
        let near = [MOST_LEVELS + 1, 200, 300_000].into_iter().flat_map(deep);
        for text in near.chain(far) {
            let begins: String = text.chars().take(40).collect();
            let thread = std::thread::Builder::new().stack_size(2 << 20);
            let outcome = thread.spawn(move || compile(&text).map(drop)).unwrap().join().unwrap();
            assert!(outcome.is_err(), "{begins}");
        }
    }

    #[test]
    fn templates_may_nest_as_far_as_anybody_wants() {
        for text in deep(MOST_LEVELS - 2).iter().take(11) {
            assert!(!matches!(compile(text), Err(CompileError::Depth | CompileError::Openings)), "{text}");
        }
        let many = "{{#if a}}{{b}}: (c) # [d]{{else}}^{{/if}}\n".repeat(200);
        assert!(compile(&many).is_ok());
    }

    proptest! {
        #[test]
        fn templates_are_what_handlebars_makes_of_them(parts in prop::collection::vec(prop::sample::select(vec![
            "{{a}}", "{{~a~}}", "{{#if a}}", "{{~#if a}}", "{{else}}", "{{else if b}}", "{{/if}}", "{{~/if~}}",
            "{{#each a as |b|}}", "{{/each}}", "{{!c}}", "{{!-- }} --}}", "{{", "}}", "{{{", "}}}", "{{{{raw}}}}",
            "{{{{/raw}}}}", "\\", "\"", "(eq a \"b\")", "x", "long text", " ", "\t", "\n", "\n", "\r\n", "\u{a0}", "ü",
        ]), 0..30)) {
            let text = parts.concat();
            prop_assert!(is_same(&text), "{text:?}");
        }
    }
}
