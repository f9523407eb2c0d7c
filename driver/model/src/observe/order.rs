//! What stands before what: a vector clock for each submission.
//!
//! A clock says, of each stream, how many of its submissions are known to have ended. All host threads
//! share one: what one thread has waited for is taken to be known to every other, since how they tell each
//! other is not seen.

use std::collections::HashMap;
use std::sync::Arc;

use graphproof_scheduler::Ticket;

use super::Submission;
use crate::record;
use crate::work::Plan;

type Clock = HashMap<u64, u64>;

/// Submissions and their clocks.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub submissions: Vec<Submission>,
    clocks: Vec<Clock>,
    /// The stream of each submission, and its number there.
    own: Vec<(u64, u64)>,
    by_ticket: HashMap<Ticket, usize>,
    /// The last submission of each stream, and how many there were.
    last: HashMap<u64, (usize, u64)>,
    host: Clock,
    at_once: u64,
}

fn join(clock: &mut Clock, other: &Clock) {
    for (&stream, &count) in other {
        let known = clock.entry(stream).or_default();
        *known = (*known).max(count);
    }
}

impl Order {
    /// The submission that a ticket names.
    pub fn of(&self, ticket: Ticket) -> Option<usize> {
        self.by_ticket.get(&ticket).copied()
    }

    /// Whether submission `a` has ended before `b` begins, or the other way round.
    pub fn ordered(&self, a: usize, b: usize) -> bool {
        let before = |a: usize, b: usize| {
            let (stream, number) = self.own[a];
            self.clocks[b].get(&stream).is_some_and(|&known| known >= number)
        };
        before(a, b) || before(b, a)
    }

    pub fn submitted(&mut self, ticket: Ticket, after: &[Ticket], behind: &[u64]) {
        let mut clock = self.host.clone();
        for &stream in behind.iter().chain([&ticket.stream]) {
            if let Some(&(last, _)) = self.last.get(&stream) {
                join(&mut clock, &self.clocks[last]);
            }
        }
        for ticket in after {
            if let Some(before) = self.of(*ticket) {
                join(&mut clock, &self.clocks[before]);
            }
        }
        let index = self.submissions.len();
        let number = self.last.get(&ticket.stream).map_or(1, |&(_, count)| count + 1);
        clock.insert(ticket.stream, number);
        self.clocks.push(clock);
        self.own.push((ticket.stream, number));
        self.last.insert(ticket.stream, (index, number));
        self.by_ticket.insert(ticket, index);
        let backtrace = record::stack();
        self.submissions.push(Submission { stream: ticket.stream, exec: None, backtrace, plan: None });
    }

    pub fn was_graph(&mut self, ticket: Ticket, plan: &Arc<Plan>, awaited: &[Ticket], records: &[Ticket]) {
        let Some(index) = self.of(ticket) else { return };
        self.submissions[index].plan = Some(Arc::clone(plan));
        for awaited in awaited {
            if let Some(before) = self.of(*awaited) {
                let before = self.clocks[before].clone();
                join(&mut self.clocks[index], &before);
            }
        }
        // An event that the graph records is taken to stand behind all of it: too late, never too early.
        for &record in records {
            self.by_ticket.insert(record, index);
        }
    }

    pub fn was_exec(&mut self, ticket: Ticket, exec: u64) {
        if let Some(index) = self.of(ticket) {
            self.submissions[index].exec = Some(exec);
        }
    }

    /// A submission that is over when the call returns.
    pub fn at_once(&mut self, stream: u64, behind: &[u64]) -> Ticket {
        self.at_once += 1;
        // Numbers that no engine gives: they count down.
        let ticket = Ticket { stream, sequence: u64::MAX - self.at_once };
        self.submitted(ticket, &[], behind);
        self.host_waited(ticket);
        ticket
    }

    pub fn host_waited(&mut self, ticket: Ticket) {
        if let Some(index) = self.of(ticket) {
            join(&mut self.host, &self.clocks[index]);
        }
    }

    pub fn host_waited_for(&mut self, stream: u64) {
        if let Some(&(index, _)) = self.last.get(&stream) {
            join(&mut self.host, &self.clocks[index]);
        }
    }

    pub fn host_waited_for_all(&mut self) {
        for &(index, _) in self.last.values() {
            join(&mut self.host, &self.clocks[index]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(stream: u64, sequence: u64) -> Ticket {
        Ticket { stream, sequence }
    }

    #[test]
    fn streams_events_the_host_and_nothing_else_give_an_order() {
        let mut order = Order::default();
        order.submitted(ticket(1, 1), &[], &[]);
        order.submitted(ticket(2, 1), &[], &[]);
        order.submitted(ticket(1, 2), &[], &[]);
        order.submitted(ticket(2, 2), &[ticket(1, 1)], &[]);
        let at = |order: &Order, stream, sequence| order.of(ticket(stream, sequence)).unwrap();
        let ordered =
            |order: &Order, a: (u64, u64), b: (u64, u64)| order.ordered(at(order, a.0, a.1), at(order, b.0, b.1));
        assert!(!ordered(&order, (1, 1), (2, 1)));
        assert!(ordered(&order, (1, 1), (1, 2)));
        assert!(ordered(&order, (1, 1), (2, 2)));
        assert!(!ordered(&order, (1, 2), (2, 2)));
        order.host_waited_for(1);
        order.submitted(ticket(3, 1), &[], &[]);
        assert!(ordered(&order, (1, 2), (3, 1)) && !ordered(&order, (2, 2), (3, 1)));
        order.submitted(ticket(4, 1), &[], &[2, 3]);
        assert!(ordered(&order, (2, 2), (4, 1)));
    }
}
