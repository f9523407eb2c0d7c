//! Which bodies of conditional nodes a run came to. The flag decides, and a body that never ran was not compared.

use crate::context::Enqueued;
use crate::finding::Site;

/// What eager runs did at each conditional, by its line.
#[derive(Debug, Default)]
pub(super) struct Exercised(Vec<At>);

#[derive(Debug)]
struct At {
    site: Site,
    repeats: bool,
    /// For each body, whether a run left it out, ran it once, and ran it more than once.
    ran: Vec<[bool; 3]>,
    /// Whether a run came to none of the bodies.
    none: bool,
}

impl Exercised {
    /// Adds an eager run.
    pub fn note(&mut self, enqueued: &[Enqueued]) {
        for work in enqueued {
            let Some(conditional) = &work.conditional else { continue };
            self.note(&conditional.inner);
            let same = |at: &At| at.site == work.site;
            let at = match self.0.iter().position(same) {
                Some(at) => &mut self.0[at],
                None => {
                    let ran = vec![[false; 3]; conditional.ran.len()];
                    self.0.push(At { site: work.site.clone(), repeats: conditional.repeats, ran, none: false });
                    self.0.last_mut().expect("pushed above")
                }
            };
            at.none |= conditional.ran.iter().all(|&turns| turns == 0);
            for (seen, &turns) in at.ran.iter_mut().zip(&conditional.ran) {
                seen[turns.min(2) as usize] = true;
            }
        }
    }

    /// What was not exercised, in words: a line for each conditional with a body or a number of turns that no run
    /// came to.
    pub fn missing(&self) -> Vec<String> {
        let told = self.0.iter().filter_map(|at| {
            let mut missing: Vec<String> = Vec::new();
            let several = at.ran.len() > 1;
            for (number, seen) in at.ran.iter().enumerate() {
                let body = if several { format!("body {number}") } else { "the body".to_owned() };
                if !seen[1] && !seen[2] {
                    missing.push(format!("{body} never ran"));
                } else if at.repeats && !seen[2] {
                    missing.push(format!("{body} never ran more than once"));
                } else if at.repeats && !seen[1] {
                    missing.push(format!("{body} never ran just once"));
                }
            }
            if !at.none && !several {
                missing.push("the body was never left out".to_owned());
            }
            (!missing.is_empty()).then(|| format!("{}: in the steps of this run {}", at.site, missing.join("; ")))
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Conditional;

    fn run(repeats: bool, ran: &[u32]) -> Vec<Enqueued> {
        let conditional = Conditional { ran: ran.to_vec(), repeats, ..Conditional::default() };
        let site =
            Site { what: "conditional on 'go'".to_owned(), file: "step.rs".to_owned(), line: 7, ..Site::default() };
        vec![Enqueued { site, kernel: None, nodes: Vec::new(), conditional: Some(conditional) }]
    }

    #[test]
    fn what_no_run_came_to_is_told_and_nothing_else() {
        let mut once = Exercised::default();
        once.note(&run(false, &[1]));
        assert_eq!(
            once.missing(),
            ["step.rs:7: conditional on 'go': in the steps of this run the body was never left out"]
        );
        once.note(&run(false, &[0]));
        assert!(once.missing().is_empty());
        let mut turns = Exercised::default();
        turns.note(&run(true, &[0]));
        turns.note(&run(true, &[1]));
        assert!(turns.missing()[0].ends_with("the body never ran more than once"));
        turns.note(&run(true, &[5]));
        assert!(turns.missing().is_empty());
        let mut either = Exercised::default();
        either.note(&run(false, &[1, 0]));
        assert!(either.missing()[0].ends_with("body 1 never ran"));
    }
}
