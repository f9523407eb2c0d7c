//! Where a step first disagrees with itself, when no graph tells it: it is run eagerly twice more, and what is there
//! after each of its lines, and after each piece of its work, is compared.

use super::bisect::{Images, images};
use super::{Ended, Lane};
use crate::context::Enqueued;
use crate::cuda::CudaError;
use crate::finding::{Id, Site};
use crate::step::Role;

/// One run, as it went by.
struct Course {
    /// What the lines of the step noted.
    lines: Vec<(Site, u64)>,
    /// The pieces of its work, and what was in the buffers behind each.
    work: Vec<Enqueued>,
    images: Vec<Images>,
}

impl Lane {
    /// Gives findings of eager runs that differ their place, where they have none yet: with a graph, its nodes tell.
    /// The run is over: state and inputs need not stay as they are.
    pub(super) fn place_unsteady(&mut self) {
        let unplaced = |((id, ..), seen): (&super::FindingKey, &super::Seen)| {
            (*id == Id::V07 && seen.finding.site.is_none()).then_some(seen.finding.step.unwrap_or(0))
        };
        let step = self.findings.iter().filter_map(unplaced).min();
        let Some(step) = step.filter(|_| !self.poisoned && !self.config.stopped()) else { return };
        // What does not run again has no place.
        let (Ok(first), Ok(second)) = (self.course(step), self.course(step)) else { return };
        let Some(site) = self.parting(&first, &second) else { return };
        for ((id, ..), seen) in &mut self.findings {
            if *id == Id::V07 && seen.finding.site.is_none() {
                seen.finding.site = Some(site.clone());
                seen.finding.notes.push("in two more eager runs, nothing differs before this line".to_owned());
            }
        }
    }

    fn course(&mut self, step: u64) -> Result<Course, Ended> {
        self.heartbeat.enter("eager", step);
        self.fill_inputs(step)?;
        let begun = self.begin_with_first_state(&self.eager);
        self.driver(begun, "copying the inputs in")?;
        let judged = self.eager.with_role(|role| role != Role::Input);
        let mut behind = Vec::new();
        let mut keep = || -> Result<(), CudaError> {
            behind.push(images(&self.eager, &judged, &self.stream)?);
            Ok(())
        };
        let (recorded, work, lines) = self.record_noting(&self.eager, &mut keep);
        let ended = self.wait();
        self.driver(ended, "waiting for an eager run")?;
        recorded.map_err(|_| Ended::Stop)?;
        Ok(Course { lines, work, images: behind })
    }

    /// Where two courses part. A step that takes another way the second time does so behind a line that both came to.
    fn parting(&self, first: &Course, second: &Course) -> Option<Site> {
        let lines = first.lines.iter().zip(&second.lines).find(|(a, b)| a != b).map(|(a, _)| a.0.clone());
        let pieces = || {
            let at =
                first.images.iter().zip(&second.images).position(|(a, b)| self.first_difference(a, b).is_some())?;
            Some(first.work.get(at)?.site.clone())
        };
        lines.or_else(pieces)
    }
}
