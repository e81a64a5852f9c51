//! Compiles templates faster than handlebars does by itself.
//!
//! Its parser spends most of its time on text that is printed as it is, letter by letter. So lines without a tag are put
//! aside while it parses: one letter stands for each of them.

use handlebars::Template;
use handlebars::template::TemplateElement;

/// The letters that stand for lines: those of plane 15, which are for private use.
const FIRST: u32 = 0xf_0000;
const LAST: u32 = 0xf_fffd;

/// Compiles a template: the same as [`Template::compile`], errors and positions included.
pub(super) fn compile(text: &str) -> Result<Template, handlebars::TemplateError> {
    let (short, aside) = shorten(text);
    if let Some(mut template) = Template::compile(&short).ok().filter(|_| !aside.is_empty())
        && put_back(&mut template, &aside) == aside.len()
    {
        return Ok(template);
    }
    Template::compile(text)
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
            (Err(fast), Err(slow)) => fast.to_string() == slow.to_string() && fast.pos() == slow.pos(),
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
