//! Pairs of work that touch the same bytes and have no order.

use std::collections::HashMap;
use std::sync::Arc;

use graphproof_exec::{Access, Span};

use super::order::Order;
use super::{Observed, PathStep};
use crate::work::{Plan, PlanWork, Step};

/// Two pieces of work without an order that touch the same bytes, one writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// Indices of the two in [`super::Observation::works`].
    pub works: [usize; 2],
    /// How each of them touches the first of the bytes.
    pub accesses: [Access; 2],
    /// The first address that both touch.
    pub address: u64,
    /// Bytes from there on that both touch.
    pub len: u64,
    /// Bytes in all that both touch, one writing.
    pub bytes: u64,
}

/// Steps of a plan whose order is looked up; larger plans are taken to be ordered.
const MOST_STEPS: usize = 1 << 13;

pub(super) fn find(works: &[Observed], order: &Order) -> Vec<Conflict> {
    let mut orders = Orders { works, order, plans: HashMap::new(), known: HashMap::new() };
    // They stand in an order in which they ran. If each is ordered with the next, all are.
    if (1..works.len()).all(|at| orders.ordered(at - 1, at)) {
        return Vec::new();
    }
    let mut all: Vec<(u64, u64, Access, usize)> = Vec::new();
    for (at, work) in works.iter().enumerate() {
        all.extend(work.spans.iter().map(|span| (span.address, span.address + span.len, span.access, at)));
    }
    all.sort_unstable();
    let mut found: HashMap<[usize; 2], Conflict> = HashMap::new();
    let mut open: Vec<(u64, Access, usize)> = Vec::new();
    for (start, end, access, work) in all {
        open.retain(|&(until, ..)| until > start);
        for &(until, other, with) in &open {
            if with == work || !access.conflicts(other) || orders.ordered(work, with) {
                continue;
            }
            let len = until.min(end) - start;
            let (pair, accesses) =
                if with < work { ([with, work], [other, access]) } else { ([work, with], [access, other]) };
            let new = Conflict { works: pair, accesses, address: start, len, bytes: 0 };
            found.entry(pair).or_insert(new).bytes += len;
        }
        open.push((end, access, work));
    }
    let mut found: Vec<Conflict> = found.into_values().collect();
    found.sort_unstable_by_key(|conflict| conflict.works);
    found
}

/// Takes, from what changed while a host function ran, the bytes that other work without an order wrote from then on:
/// who changed them is not known.
pub(super) fn leave_others_their_bytes(works: &mut [Observed], order: &Order) {
    for host in 0..works.len() {
        let Some(began) = works[host].began else { continue };
        let mut orders = Orders { works, order, plans: HashMap::new(), known: HashMap::new() };
        let others = (began..works.len()).filter(|&at| at != host && !orders.ordered(host, at));
        let others: Vec<usize> = others.collect();
        let written = others.iter().flat_map(|&at| &works[at].spans).filter(|span| span.access != Access::Read);
        let mut left = works[host].spans.clone();
        for span in written {
            left = left.into_iter().flat_map(|own| without(own, *span)).collect();
        }
        works[host].spans = left;
    }
}

/// What remains of a span without another.
fn without(own: Span, other: Span) -> impl Iterator<Item = Span> {
    let (end, theirs) = (own.address + own.len, other.address + other.len);
    let before = own.address..end.min(other.address);
    let behind = own.address.max(theirs)..end;
    let parts = [before, behind].into_iter().filter(|part| part.start < part.end);
    parts.map(move |part| Span { address: part.start, len: part.end - part.start, ..own })
}

struct Orders<'a> {
    works: &'a [Observed],
    order: &'a Order,
    plans: HashMap<*const Plan, Reach>,
    known: HashMap<(usize, usize), bool>,
}

impl Orders<'_> {
    fn ordered(&mut self, a: usize, b: usize) -> bool {
        let key = (a.min(b), a.max(b));
        if let Some(&known) = self.known.get(&key) {
            return known;
        }
        let ordered = self.look(a, b);
        self.known.insert(key, ordered);
        ordered
    }

    fn look(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.works[a], &self.works[b]);
        // What was submitted before the observation began is not known to be unordered.
        let (Some(first), Some(second)) = (a.submission, b.submission) else { return true };
        if first != second {
            return self.order.ordered(first, second);
        }
        let Some(plan) = &self.order.submissions[first].plan else { return true };
        let mut plan = Arc::clone(plan);
        for (at, (&here, &there)) in a.path.iter().zip(&b.path).enumerate() {
            match (here, there) {
                (PathStep::Step(a), PathStep::Step(b)) if a != b => return self.connected(&plan, a, b),
                _ if here != there => return true,
                (PathStep::Step(step), _) => match plan.steps.get(step as usize).map(|step| &step.work) {
                    Some(PlanWork::Graph(inner)) => plan = Arc::clone(inner),
                    Some(PlanWork::Conditional { bodies, .. }) => {
                        // Which body the next step of the path says; a loop has the first.
                        let body = match a.path.get(at + 1) {
                            Some(PathStep::Body(body)) => *body as usize,
                            _ => 0,
                        };
                        match bodies.get(body) {
                            Some(inner) => plan = Arc::clone(inner),
                            None => return true,
                        }
                    }
                    _ => return true,
                },
                _ => {}
            }
        }
        true
    }

    /// Whether a path of the plan leads from one step to the other.
    fn connected(&mut self, plan: &Arc<Plan>, a: u32, b: u32) -> bool {
        if plan.steps.len() > MOST_STEPS {
            return true;
        }
        let reach = self.plans.entry(Arc::as_ptr(plan)).or_insert_with(|| Reach::of(plan));
        reach.leads(a, b) || reach.leads(b, a)
    }
}

/// Which steps of a plan come behind which.
struct Reach {
    behind: Vec<Box<[u64]>>,
}

impl Reach {
    fn of(plan: &Plan) -> Self {
        let count = plan.steps.len();
        let mut missing: Vec<u32> = plan.steps.iter().map(|step| step.dependencies).collect();
        let mut order: Vec<usize> = (0..count).filter(|&step| missing[step] == 0).collect();
        let mut next = 0;
        while next < order.len() {
            for &dependent in &plan.steps[order[next]].dependents {
                let missing = &mut missing[dependent as usize];
                *missing -= 1;
                if *missing == 0 {
                    order.push(dependent as usize);
                }
            }
            next += 1;
        }
        let mut behind: Vec<Box<[u64]>> = vec![vec![0; count.div_ceil(64)].into(); count];
        for &step in order.iter().rev() {
            let mut own = std::mem::take(&mut behind[step]);
            let Step { dependents, early, .. } = &plan.steps[step];
            for &dependent in dependents.iter().filter(|dependent| !early.contains(dependent)) {
                own[dependent as usize / 64] |= 1 << (dependent % 64);
                for (word, &theirs) in own.iter_mut().zip(&behind[dependent as usize]) {
                    *word |= theirs;
                }
            }
            behind[step] = own;
        }
        Reach { behind }
    }

    fn leads(&self, from: u32, to: u32) -> bool {
        self.behind[from as usize][to as usize / 64] >> (to % 64) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use graphproof_scheduler::Ticket;

    use super::*;

    fn work(stream: u64, span: (u64, u64), access: Access, began: Option<usize>) -> Observed {
        Observed {
            what: String::new(),
            node: None,
            spans: vec![Span { address: span.0, len: span.1, access }],
            ticket: Ticket { stream, sequence: 1 },
            path: Vec::new(),
            submission: Some(stream as usize - 1),
            began,
        }
    }

    #[test]
    fn what_changed_beside_a_host_function_is_its_own_only_where_nobody_else_wrote() {
        let mut order = Order::default();
        (1..=3).for_each(|stream| order.submitted(Ticket { stream, sequence: 1 }, &[], &[]));
        // Stream 2 wrote four of its bytes while it ran, stream 3 reads the last of them and the one before.
        let while_it_ran = || vec![work(2, (8, 4), Access::Write, None), work(1, (4, 8), Access::Write, Some(0))];
        let mut works = while_it_ran();
        works.push(work(3, (11, 2), Access::Read, None));
        leave_others_their_bytes(&mut works, &order);
        assert_eq!(works[1].spans, [Span { address: 4, len: 4, access: Access::Write }]);
        assert_eq!(find(&works, &order).iter().map(|found| found.works).collect::<Vec<_>>(), [[0, 2]]);
        // Where stream 2 had ended before it was called, both wrote.
        let mut works = while_it_ran();
        works[1].began = Some(1);
        leave_others_their_bytes(&mut works, &order);
        assert_eq!(works[1].spans[0].len, 8);
        assert_eq!(find(&works, &order).iter().map(|found| found.bytes).collect::<Vec<_>>(), [4]);
    }
}
