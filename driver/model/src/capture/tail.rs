//! The dependency set of a capturing stream.

use std::collections::HashSet;

use crate::graph::EdgeData;

/// Beyond this length membership is looked up in a hash set, so that joining many forks is not
/// quadratic.
const LINEAR: usize = 16;

/// The nodes that the next captured node will depend on, without duplicates, in the order in which
/// they came.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    nodes: Vec<(u64, EdgeData)>,
    index: HashSet<u64>,
}

impl Tail {
    /// The nodes with the annotation of the edge to the next node.
    pub fn nodes(&self) -> &[(u64, EdgeData)] {
        &self.nodes
    }

    /// Whether the node is in the set.
    pub fn contains(&self, node: u64) -> bool {
        if self.index.is_empty() {
            self.nodes.iter().any(|&(member, _)| member == node)
        } else {
            self.index.contains(&node)
        }
    }

    /// Adds a node that is not in the set; a member keeps its annotation.
    pub fn add(&mut self, node: u64, data: EdgeData) {
        if self.contains(node) {
            return;
        }
        self.nodes.push((node, data));
        if !self.index.is_empty() {
            self.index.insert(node);
        } else if self.nodes.len() > LINEAR {
            self.index.extend(self.nodes.iter().map(|&(member, _)| member));
        }
    }

    /// Makes `node` the only member.
    pub fn replace(&mut self, node: u64) {
        self.clear();
        self.nodes.push((node, EdgeData::FULL));
    }

    /// Empties the set.
    pub fn clear(&mut self) {
        self.nodes.clear();
        if !self.index.is_empty() {
            self.index = HashSet::new();
        }
    }

    /// Adds all members of another set.
    pub fn join(&mut self, other: &Self) {
        other.nodes.iter().for_each(|&(node, data)| self.add(node, data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_any_size_has_no_duplicates() {
        let mut tail = Tail::default();
        for node in (0..40).chain(0..40) {
            tail.add(node, EdgeData::FULL);
        }
        assert_eq!(tail.nodes().len(), 40);
        tail.replace(7);
        assert!(tail.contains(7) && !tail.contains(8));
        assert_eq!(tail.nodes().len(), 1);
    }
}
