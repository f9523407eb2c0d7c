//! The texts of `graphproof explain` as HTML.

use graphproof_harness::finding::explain::{Explanation, Section};
use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{Event, Options, Parser};

/// The text of one id, its headings of the fourth level.
pub fn explanation(text: &Explanation) -> Markup {
    html! {
        @for section in Section::ALL {
            h4 { (section.heading()) }
            (render(text.body(section)))
        }
    }
}

/// Markdown as HTML. HTML in it is shown as text.
fn render(markdown: &str) -> Markup {
    let events = Parser::new_ext(markdown, Options::empty()).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        other => other,
    });
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events);
    PreEscaped(out)
}

#[cfg(test)]
mod tests {
    use graphproof_harness::finding::explain::ALL;

    use super::{explanation, render};

    #[test]
    fn markup_in_a_text_is_shown_and_not_obeyed() {
        let out = render("`a<b>` and <script>alert(1)</script>\n\n<div onclick=x>\n").0;
        assert!(!out.contains("<script") && !out.contains("<div"), "{out}");
        assert!(out.contains("<code>a&lt;b&gt;</code>"), "{out}");
    }

    #[test]
    fn every_text_has_its_seven_headings_and_a_reproduction() {
        for text in ALL.iter() {
            let out = explanation(text).0;
            assert_eq!(out.matches("<h4>").count(), 7, "{}", text.entry.id);
            assert!(out.contains("<pre><code"), "{}", text.entry.id);
        }
    }
}
