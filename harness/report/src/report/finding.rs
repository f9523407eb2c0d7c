//! A finding as text, in the way of rustc's diagnostics.

use std::fmt::Write as _;

use graphproof_harness::finding::{Finding, Severity};

/// The finding of a step, over several lines, ending with a newline.
pub fn render(step_name: &str, finding: &Finding) -> String {
    let place = match finding.step {
        Some(step) => format!("step '{step_name}', replay {step}"),
        None => format!("step '{step_name}'"),
    };
    render_at(&place, finding)
}

/// As [`render`], of whatever `place` names.
pub fn render_at(place: &str, finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut text = format!("{severity}[{}]: {}\n", finding.id, finding.title);
    match &finding.site {
        Some(site) => {
            let _ = writeln!(text, "  --> {}", site.place());
            let _ = writeln!(text, "   | {} ({place}, check '{}')", site.what, finding.check);
        }
        None => {
            let _ = writeln!(text, "  --> {place}, check '{}'", finding.check);
        }
    }
    if let Some(origin) = &finding.origin {
        let _ = writeln!(text, "  ::: {}", origin.place());
        let _ = writeln!(text, "   | {}", origin.what);
    }
    if !finding.expected.is_empty() {
        let _ = writeln!(text, "   = expected: {}", lines(&finding.expected));
    }
    if !finding.seen.is_empty() {
        let _ = writeln!(text, "   =     seen: {}", lines(&finding.seen));
    }
    for note in &finding.notes {
        let _ = writeln!(text, "   = note: {}", lines(note));
    }
    let _ = writeln!(text, "   = help: {}", lines(&finding.help));
    if let Some(reason) = &finding.allowed {
        let _ = writeln!(text, "   = allowed: {reason}");
    }
    text
}

/// Further lines of a text stand below its first, and can be taken for nothing else.
fn lines(text: &str) -> String {
    text.trim_end().replace('\n', "\n   |   ")
}
