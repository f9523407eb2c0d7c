//! Edges: doubly linked lists in one arena, so that adding and removing an edge costs the same in
//! a graph of ten nodes and of ten thousand.

/// `CUgraphEdgeData`. All zero is a full dependency with memory visibility.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EdgeData {
    /// When the upstream node triggers the edge.
    pub from_port: u8,
    /// Which part of the downstream node waits; no node type defines one.
    pub to_port: u8,
    /// `CUgraphDependencyType`.
    pub kind: u8,
    /// Must be zero.
    pub reserved: [u8; 5],
}

impl EdgeData {
    /// A full dependency.
    pub const FULL: Self = Self { from_port: 0, to_port: 0, kind: 0, reserved: [0; 5] };
    const PROGRAMMATIC: u8 = 1;
    /// What the launch of a kernel that may begin before the one ahead has ended makes of the edge between them: from the
    /// port that `griddepcontrol.launch_dependents` triggers.
    pub const PROGRAMMATIC_LAUNCH: Self = Self { from_port: 1, to_port: 0, kind: Self::PROGRAMMATIC, reserved: [0; 5] };
    /// `CU_GRAPH_KERNEL_NODE_PORT_LAUNCH_ORDER`, the highest port.
    const LAUNCH_ORDER_PORT: u8 = 2;

    /// Whether the downstream kernel may begin before the upstream one has ended.
    pub fn begins_early(&self) -> bool {
        self.kind == Self::PROGRAMMATIC
    }

    /// Whether that is once all blocks of the upstream one have let dependents begin.
    pub fn is_triggered(&self) -> bool {
        self.begins_early() && self.from_port == Self::PROGRAMMATIC_LAUNCH.from_port
    }

    /// Whether this annotation may join two nodes; the flags say which of them are kernels.
    ///
    /// Source: `CUgraphEdgeData`, `CUgraphDependencyType` in cuda.h (D).
    pub fn fits(&self, from_kernel: bool, to_kernel: bool) -> bool {
        if self.to_port != 0 || self.reserved != [0; 5] || self.from_port > Self::LAUNCH_ORDER_PORT {
            return false;
        }
        match self.kind {
            0 => self.from_port == 0 || from_kernel,
            Self::PROGRAMMATIC => from_kernel && to_kernel && self.from_port != 0,
            _ => false,
        }
    }
}

const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub from: u64,
    pub to: u64,
    pub data: EdgeData,
    incoming: Link,
    outgoing: Link,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
}

/// One end of the edges of a node, in the order in which they were added.
#[derive(Debug, Clone, Copy)]
pub(super) struct EdgeList {
    first: u32,
    last: u32,
    len: u32,
}

impl Default for EdgeList {
    fn default() -> Self {
        Self { first: NONE, last: NONE, len: 0 }
    }
}

impl EdgeList {
    pub fn len(&self) -> usize {
        self.len as usize
    }
}

/// Which of a node's two lists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Incoming,
    Outgoing,
}

/// All edges of all graphs.
#[derive(Debug, Default)]
pub(super) struct Edges {
    slots: Vec<Edge>,
    free: Vec<u32>,
}

impl Edges {
    /// Adds an edge to the out-list of `from` and the in-list of `to`.
    pub fn insert(&mut self, from: u64, to: u64, data: EdgeData, out: &mut EdgeList, incoming: &mut EdgeList) {
        let edge = Edge {
            from,
            to,
            data,
            incoming: Link { previous: incoming.last, next: NONE },
            outgoing: Link { previous: out.last, next: NONE },
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = edge;
                index
            }
            None => {
                self.slots.push(edge);
                (self.slots.len() - 1) as u32
            }
        };
        for (list, side) in [(out, Side::Outgoing), (incoming, Side::Incoming)] {
            match list.last {
                NONE => list.first = index,
                last => self.link(last, side).next = index,
            }
            list.last = index;
            list.len += 1;
        }
    }

    /// Takes an edge out of the list of one side. The slot stays until [`Edges::release`].
    pub fn unlink(&mut self, index: u32, side: Side, list: &mut EdgeList) {
        let Link { previous, next } = *self.link(index, side);
        match previous {
            NONE => list.first = next,
            previous => self.link(previous, side).next = next,
        }
        match next {
            NONE => list.last = previous,
            next => self.link(next, side).previous = previous,
        }
        list.len -= 1;
    }

    /// Gives the slot back, once the edge is in no list.
    pub fn release(&mut self, index: u32) {
        self.free.push(index);
    }

    pub fn get(&self, index: u32) -> &Edge {
        &self.slots[index as usize]
    }

    /// The edges of a list with their slots.
    pub fn iter(&self, list: EdgeList, side: Side) -> impl Iterator<Item = (u32, &Edge)> {
        let mut next = list.first;
        std::iter::from_fn(move || {
            let index = next;
            let edge = self.slots.get(index as usize)?;
            next = if side == Side::Incoming { edge.incoming.next } else { edge.outgoing.next };
            Some((index, edge))
        })
    }

    fn link(&mut self, index: u32, side: Side) -> &mut Link {
        let edge = &mut self.slots[index as usize];
        if side == Side::Incoming { &mut edge.incoming } else { &mut edge.outgoing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_leave_their_lists_from_any_place() {
        let mut edges = Edges::default();
        let mut out = EdgeList::default();
        let mut ins = [EdgeList::default(); 3];
        for (to, list) in ins.iter_mut().enumerate() {
            edges.insert(9, to as u64, EdgeData::FULL, &mut out, list);
        }
        let targets = |edges: &Edges, out: EdgeList| -> Vec<u64> {
            edges.iter(out, Side::Outgoing).map(|(_, edge)| edge.to).collect()
        };
        edges.unlink(1, Side::Outgoing, &mut out);
        assert_eq!(targets(&edges, out), [0, 2]);
        edges.unlink(0, Side::Outgoing, &mut out);
        edges.unlink(2, Side::Outgoing, &mut out);
        assert_eq!((targets(&edges, out), out.len()), (vec![], 0));
    }

    #[test]
    fn annotations_follow_the_header() {
        let programmatic = EdgeData { from_port: 1, kind: 1, ..EdgeData::FULL };
        assert!(programmatic.fits(true, true));
        assert!(!programmatic.fits(true, false));
        assert!(!EdgeData { from_port: 0, ..programmatic }.fits(true, true));
        assert!(!EdgeData { to_port: 1, ..EdgeData::FULL }.fits(true, true));
        assert!(!EdgeData { kind: 2, ..EdgeData::FULL }.fits(true, true));
        assert!(!EdgeData { from_port: 2, ..EdgeData::FULL }.fits(false, true));
        assert!(EdgeData { from_port: 2, ..EdgeData::FULL }.fits(true, false));
    }
}
