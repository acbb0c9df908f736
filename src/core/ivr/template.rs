//! Texts with `{attribute}` in them.

use std::fmt;

/// Longest value of an attribute, and of a text after its attributes are put in, in octets.
pub(super) const VALUE_MAX: usize = super::ATTRIBUTE_OCTETS_MAX;

/// Longest name of an attribute, in octets.
const NAME_MAX: usize = 32;

/// A text in which `{name}` stands for an attribute's value, `{{` for `{` and `}}` for `}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Literal(String),
    Attribute(String),
}

/// Why a text is not a [`Template`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum TemplateError {
    /// `{` without its `}`.
    Unclosed,
    /// `}` without its `{`.
    Stray,
    /// What stands between the braces is no attribute name.
    BadName(String),
    /// More than [`VALUE_MAX`] octets.
    TooLong,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclosed => f.write_str("`{` is not closed"),
            Self::Stray => f.write_str("`}` closes nothing"),
            Self::BadName(name) => write!(f, "`{{{name}}}` does not name an attribute"),
            Self::TooLong => write!(f, "the text is longer than {VALUE_MAX} octets"),
        }
    }
}

/// Whether `name` may name an attribute: a lower-case letter, then lower-case letters, digits, `_` and `-`; at most 32.
pub(super) fn is_attribute_name(name: &str) -> bool {
    name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}

/// `text` cut to [`VALUE_MAX`] octets at a character's boundary.
pub(super) fn bounded(text: &str) -> &str {
    let mut end = text.len().min(VALUE_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

impl Template {
    /// Reads a text.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > VALUE_MAX {
            return Err(TemplateError::TooLong);
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else if let Some(after) = from.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or(TemplateError::Unclosed)?;
                if !is_attribute_name(name) {
                    return Err(TemplateError::BadName(name.to_owned()));
                }
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Attribute(name.to_owned()));
                rest = after;
            } else {
                return Err(TemplateError::Stray);
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// The text, when it names no attribute.
    pub(super) fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it is a SIP URI by its own text, whatever the attributes hold.
    pub(super) fn is_uri(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Literal(text)) if text.starts_with("sip:") || text.starts_with("sips:"))
    }

    /// The name of the appliance, where it is a number of another one by its own text, whatever the attributes hold.
    pub(super) fn node(&self) -> Option<&str> {
        let Some(Part::Literal(text)) = self.parts.first() else { return None };
        text.strip_prefix("node:")?.split_once('/').map(|(name, _)| name)
    }

    /// Whether the host of a URI stands in its own text, with no attribute in it.
    pub(super) fn names_host(&self) -> bool {
        if self.literal().is_some() {
            return true;
        }
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            let Part::Literal(text) = part else { continue };
            if let Some((_, host)) = text.rsplit_once('@') {
                return !host.is_empty() && (parts.peek().is_none() || host.contains([';', '?']));
            }
        }
        false
    }

    /// The attributes that it names.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Attribute(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// The text with the attributes' values put in, cut to [`VALUE_MAX`] octets.
    pub(super) fn render<'v>(&self, value: impl Fn(&str) -> &'v str) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Attribute(name) => text.push_str(value(name)),
            }
            if text.len() > VALUE_MAX {
                text.truncate(bounded(&text).len());
                break;
            }
        }
        text
    }
}

impl fmt::Display for Template {
    /// As the operator wrote it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Attribute(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> &'static str {
        match name {
            "ani" => "12125550100",
            "long" => LONG,
            _ => "",
        }
    }

    const LONG: &str = "ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää ää";

    #[test]
    fn puts_values_in() -> Result<(), TemplateError> {
        let template = Template::parse("+{ani}/{gone}{{x}}")?;
        assert_eq!(template.render(value), "+12125550100/{x}");
        assert_eq!(template.attributes().collect::<Vec<_>>(), ["ani", "gone"]);
        assert_eq!(template.to_string(), "+{ani}/{gone}{{x}}");
        assert_eq!(template.literal(), None);
        assert_eq!(Template::parse("a{{b}}")?.literal(), Some("a{b}"));
        assert_eq!(Template::parse("")?.literal(), Some(""));
        Ok(())
    }

    #[test]
    fn bounds_what_it_makes() -> Result<(), TemplateError> {
        let text = Template::parse("x{long}{long}{long}")?.render(value);
        assert!(text.len() <= VALUE_MAX && text.len() > VALUE_MAX - 4, "{}", text.len());
        Ok(())
    }

    #[test]
    fn refuses_broken_texts() {
        assert_eq!(Template::parse("{ani"), Err(TemplateError::Unclosed));
        assert_eq!(Template::parse("ani}"), Err(TemplateError::Stray));
        assert_eq!(Template::parse("{}"), Err(TemplateError::BadName(String::new())));
        assert_eq!(Template::parse("{Ani}"), Err(TemplateError::BadName("Ani".into())));
        assert_eq!(Template::parse(&"x".repeat(257)), Err(TemplateError::TooLong));
    }
}
