//! A kernel that shows a difference, cut down while it still does.

use super::ir::{Kernel, Stmt};

/// Candidates that are tried at most: each is compiled and run on both engines.
const MOST: usize = 400;

/// The smallest kernel found for which `differs` holds, as it does for `kernel`.
pub fn shrink(kernel: &Kernel, differs: &mut dyn FnMut(&Kernel) -> bool) -> Kernel {
    let mut best = kernel.clone();
    let mut left = MOST;
    let mut tried = |candidate: &Kernel| {
        left = left.saturating_sub(1);
        left > 0 && differs(candidate)
    };
    loop {
        let before = size(&best);
        outputs(&mut best, &mut tried);
        shape(&mut best, &mut tried);
        statements(&mut best, &mut tried);
        if size(&best) == before {
            return best;
        }
    }
}

fn size(kernel: &Kernel) -> (usize, u32, usize) {
    (count(&kernel.body), kernel.all_threads(), kernel.outs.len() + usize::from(kernel.leave.is_some()))
}

fn count(stmts: &[Stmt]) -> usize {
    stmts
        .iter()
        .map(|stmt| match stmt {
            Stmt::Code(code) => code.lines.len(),
            Stmt::If { then, other, .. } => 1 + count(then) + count(other),
            Stmt::Loop { body, .. } => 1 + count(body),
        })
        .sum()
}

/// Keeps only outputs that differ: by halves, then one by one.
fn outputs(best: &mut Kernel, differs: &mut dyn FnMut(&Kernel) -> bool) {
    if best.leave.is_some() {
        let candidate = Kernel { leave: None, ..best.clone() };
        if differs(&candidate) {
            *best = candidate;
        }
    }
    let mut step = best.outs.len().div_ceil(2);
    while step > 0 && best.outs.len() > 1 {
        let mut at = 0;
        while at < best.outs.len() && best.outs.len() > 1 {
            let mut candidate = best.clone();
            candidate.outs.drain(at..(at + step).min(best.outs.len()));
            if !candidate.outs.is_empty() && differs(&candidate) {
                *best = candidate;
            } else {
                at += step;
            }
        }
        step /= 2;
    }
}

/// Fewer blocks and threads.
fn shape(best: &mut Kernel, differs: &mut dyn FnMut(&Kernel) -> bool) {
    for axis in 0..3 {
        for extent in [1, best.grid[axis] / 2] {
            if (1..best.grid[axis]).contains(&extent) {
                let mut candidate = best.clone();
                candidate.grid[axis] = extent;
                if differs(&candidate) {
                    *best = candidate;
                    break;
                }
            }
        }
    }
    for axis in [2, 1, 0] {
        let now = best.block[axis];
        for extent in [1, 2, 4, 8, 16, 32, now / 2, now - 1] {
            if (1..now).contains(&extent) {
                let mut candidate = best.clone();
                candidate.block[axis] = extent;
                if (!candidate.full_warps() || candidate.threads().is_multiple_of(32)) && differs(&candidate) {
                    *best = candidate;
                    break;
                }
            }
        }
    }
}

/// Leaves statements out, and puts bodies in the place of branches and loops.
fn statements(best: &mut Kernel, differs: &mut dyn FnMut(&Kernel) -> bool) {
    let mut step = total(&best.body).next_power_of_two();
    while step > 0 {
        let mut at = 0;
        while at < total(&best.body) {
            let mut candidate = best.clone();
            let mut n = 0;
            remove(&mut candidate.body, &mut n, at, at + step);
            if differs(&candidate) {
                *best = candidate;
            } else {
                at += step;
            }
        }
        step /= 2;
    }
    let mut at = 0;
    while at < total(&best.body) {
        for arm in 0..2 {
            let mut candidate = best.clone();
            let mut n = 0;
            if flatten(&mut candidate.body, &mut n, at, arm) && differs(&candidate) {
                *best = candidate;
                break;
            }
        }
        at += 1;
    }
}

/// Statements, those inside others too.
fn total(stmts: &[Stmt]) -> usize {
    stmts
        .iter()
        .map(|stmt| match stmt {
            Stmt::Code(_) => 1,
            Stmt::If { then, other, .. } => 1 + total(then) + total(other),
            Stmt::Loop { body, .. } => 1 + total(body),
        })
        .sum()
}

/// Removes the statements numbered `from..to`, in the order in which they are printed.
fn remove(stmts: &mut Vec<Stmt>, n: &mut usize, from: usize, to: usize) {
    stmts.retain_mut(|stmt| {
        let mine = *n;
        *n += 1;
        match stmt {
            Stmt::Code(_) => {}
            Stmt::If { then, other, .. } => {
                remove(then, n, from, to);
                remove(other, n, from, to);
            }
            Stmt::Loop { body, .. } => remove(body, n, from, to),
        }
        !(from..to).contains(&mine)
    });
}

/// Replaces the branch or loop numbered `at` by one of its arms.
fn flatten(stmts: &mut Vec<Stmt>, n: &mut usize, at: usize, arm: usize) -> bool {
    for index in 0..stmts.len() {
        let mine = *n;
        *n += 1;
        let inside = match &mut stmts[index] {
            Stmt::Code(_) => None,
            Stmt::If { then, .. } if mine == at && arm == 0 => Some(std::mem::take(then)),
            Stmt::If { other, .. } if mine == at => Some(std::mem::take(other)),
            Stmt::Loop { body, .. } if mine == at && arm == 0 => Some(std::mem::take(body)),
            Stmt::If { then, other, .. } => {
                if flatten(then, n, at, arm) || flatten(other, n, at, arm) {
                    return true;
                }
                None
            }
            Stmt::Loop { body, .. } => {
                if flatten(body, n, at, arm) {
                    return true;
                }
                None
            }
        };
        if let Some(inside) = inside {
            stmts.splice(index..=index, inside);
            return true;
        }
    }
    false
}
