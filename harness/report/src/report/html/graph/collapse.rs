//! Large graphs, made small enough to look at.

use graphproof_harness::report::{GraphReport, NodeReport};

/// Graphs of more nodes are collapsed.
pub const COLLAPSE_ABOVE: usize = 150;
/// Most boxes of a picture, marked ones aside.
const MOST_BOXES: usize = 160;
/// Most marked boxes beyond them.
const MOST_MARKED: usize = 40;
/// Most arrows of a picture.
const MOST_EDGES: usize = 500;

/// One box of a picture: a node, or a run of equal ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Box {
    /// The first node.
    pub node: usize,
    /// Nodes in the run.
    pub count: usize,
}

/// What is drawn of a graph.
#[derive(Debug, Default)]
pub struct Boxes {
    /// In the order of creation.
    pub boxes: Vec<Box>,
    /// Pairs of positions in `boxes`.
    pub edges: Vec<(usize, usize)>,
    /// Nodes that no box stands for.
    pub nodes_left_out: usize,
    /// Edges between boxes that are not drawn.
    pub edges_left_out: usize,
    /// For each node, its box.
    pub of_node: Vec<Option<usize>>,
}

impl Boxes {
    /// The boxes of `graph`; a node that is `marked` keeps its box as long as there is any room.
    pub fn of(graph: &GraphReport, marked: impl Fn(usize) -> bool) -> Self {
        let nodes = &graph.node_list;
        let edges: Vec<(usize, usize)> = graph
            .edge_list
            .iter()
            .map(|&[from, to]| (from, to))
            .filter(|&(from, to)| from < nodes.len() && to < nodes.len() && from != to)
            .collect();
        let runs = if nodes.len() > COLLAPSE_ABOVE { runs(nodes, &edges) } else { singles(nodes.len()) };
        let (mut boxes, mut of_node) = (Vec::new(), vec![None; nodes.len()]);
        let (mut nodes_left_out, mut extra) = (0, 0);
        for run in runs {
            let span = run.node..run.node + run.count;
            let keep = boxes.len() < MOST_BOXES + extra || {
                let rescued = extra < MOST_MARKED && span.clone().any(&marked);
                extra += usize::from(rescued);
                rescued
            };
            if keep {
                of_node[span].fill(Some(boxes.len()));
                boxes.push(run);
            } else {
                nodes_left_out += run.count;
            }
        }
        let mut between: Vec<(usize, usize)> = edges
            .iter()
            .filter_map(|&(from, to)| Some((of_node[from]?, of_node[to]?)))
            .filter(|(from, to)| from != to)
            .collect();
        between.sort_unstable();
        between.dedup();
        let edges_left_out = between.len().saturating_sub(MOST_EDGES);
        between.truncate(MOST_EDGES);
        Boxes { boxes, edges: between, nodes_left_out, edges_left_out, of_node }
    }
}

fn singles(nodes: usize) -> Vec<Box> {
    (0..nodes).map(|node| Box { node, count: 1 }).collect()
}

/// Runs of equal nodes that follow each other in one chain.
fn runs(nodes: &[NodeReport], edges: &[(usize, usize)]) -> Vec<Box> {
    let (mut into, mut out) = (vec![0_usize; nodes.len()], vec![0_usize; nodes.len()]);
    let mut chained = vec![false; nodes.len()];
    for &(from, to) in edges {
        out[from] += 1;
        into[to] += 1;
        if to == from + 1 {
            chained[to] = true;
        }
    }
    let mut runs: Vec<Box> = Vec::new();
    for node in 0..nodes.len() {
        let joins = node > 0 && chained[node] && into[node] == 1 && out[node - 1] == 1 && {
            let (a, b) = (&nodes[node - 1], &nodes[node]);
            a.headline == b.headline && a.site == b.site && a.buffers == b.buffers
        };
        match runs.last_mut().filter(|_| joins) {
            Some(run) => run.count += 1,
            None => runs.push(Box { node, count: 1 }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(names: impl Iterator<Item = String>) -> GraphReport {
        let node_list: Vec<NodeReport> =
            names.map(|headline| NodeReport { headline, kernel: None, site: None, buffers: Vec::new() }).collect();
        let edge_list = (1..node_list.len()).map(|node| [node - 1, node]).collect();
        GraphReport { nodes: node_list.len(), node_list, edge_list, ..GraphReport::default() }
    }

    #[test]
    fn a_small_graph_is_drawn_as_it_is() {
        let boxes = Boxes::of(&chain((0..150).map(|_| "same".to_owned())), |_| false);
        assert_eq!((boxes.boxes.len(), boxes.edges.len(), boxes.nodes_left_out), (150, 149, 0));
    }

    #[test]
    fn runs_of_equal_nodes_collapse_and_others_do_not() {
        let graph = chain((0..1_000).map(|node| if node < 900 { "same".to_owned() } else { format!("{}", node / 10) }));
        let boxes = Boxes::of(&graph, |_| false);
        assert_eq!(boxes.boxes.len(), 11);
        assert_eq!((boxes.boxes[0].count, boxes.boxes[1].count), (900, 10));
        assert_eq!(boxes.edges, (0..10).map(|at| (at, at + 1)).collect::<Vec<_>>());
        assert_eq!(boxes.of_node[905], Some(1));
    }

    #[test]
    fn what_finds_no_room_is_counted_and_marked_nodes_are_kept() {
        let graph = chain((0..5_000).map(|node| format!("node {node}")));
        let boxes = Boxes::of(&graph, |node| node == 4_000);
        assert_eq!(boxes.boxes.len(), MOST_BOXES + 1);
        assert_eq!(boxes.nodes_left_out, 5_000 - MOST_BOXES - 1);
        assert_eq!(boxes.boxes.last(), Some(&Box { node: 4_000, count: 1 }));
    }

    #[test]
    fn edges_that_name_no_node_are_survived() {
        let mut graph = chain((0..3).map(|node| node.to_string()));
        graph.edge_list.extend([[7, 1], [1, 9], [1, 1]]);
        assert_eq!(Boxes::of(&graph, |_| false).edges, [(0, 1), (1, 2)]);
    }
}
