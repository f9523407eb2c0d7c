//! A layered layout: each box lies below all that it waits for, arrows that pass a layer get a lane
//! through it, and boxes stand as near as possible to their neighbours.
//!
//! The layers are those of the longest path, the order in a layer that of the barycentres of the
//! neighbours (Sugiyama, Tagawa, Toda 1981), the places the least squares with a minimal distance.

/// A width and a height.
pub type Size = (f64, f64);
/// A point.
pub type Point = (f64, f64);

/// Space between boxes beside each other.
const GAP_X: f64 = 18.0;
/// Space between layers.
const GAP_Y: f64 = 28.0;
/// Width of an arrow's lane through a layer.
const LANE: f64 = 10.0;
/// Sweeps over the layers, for the order and for the places.
const SWEEPS: usize = 8;
/// More lanes than this are not worth their time: such arrows go straight.
const MOST_LANES: usize = 3_000;

/// Where everything is.
#[derive(Debug, Default)]
pub struct Layout {
    /// The upper left corner of each box.
    pub boxes: Vec<Point>,
    /// For each edge, the points that its arrow passes, from box to box.
    pub arrows: Vec<Vec<Point>>,
    /// Of all.
    pub size: Size,
}

/// A box, or an arrow's lane through a layer.
struct Vertex {
    layer: usize,
    width: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// Lays out boxes of these sizes with edges between their positions.
pub fn layout(sizes: &[Size], edges: &[(usize, usize)]) -> Layout {
    if sizes.is_empty() {
        return Layout::default();
    }
    let layers = longest_paths(sizes.len(), edges);
    let mut vertices: Vec<Vertex> = sizes
        .iter()
        .zip(&layers)
        .map(|(size, &layer)| Vertex { layer, width: size.0, above: Vec::new(), below: Vec::new() })
        .collect();
    let wanted: usize = edges.iter().map(|&(a, b)| layers[b].saturating_sub(layers[a] + 1)).sum();
    let mut paths = Vec::with_capacity(edges.len());
    for &(from, to) in edges {
        let mut path = vec![from];
        if wanted <= MOST_LANES {
            for layer in layers[from] + 1..layers[to] {
                vertices.push(Vertex { layer, width: LANE, above: Vec::new(), below: Vec::new() });
                path.push(vertices.len() - 1);
            }
        }
        path.push(to);
        for pair in path.windows(2) {
            vertices[pair[0]].below.push(pair[1]);
            vertices[pair[1]].above.push(pair[0]);
        }
        paths.push(path);
    }
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); layers.iter().max().map_or(0, |most| most + 1)];
    for (index, vertex) in vertices.iter().enumerate() {
        order[vertex.layer].push(index);
    }
    sort(&vertices, &mut order);
    let centres = place(&vertices, &order);
    finish(sizes, &vertices, &order, &centres, &paths)
}

/// The layer of each box: the length of the longest path to it. Boxes of a circle, which a captured
/// graph cannot have, stay in the layer that they reached.
fn longest_paths(boxes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let (mut waits, mut below) = (vec![0_usize; boxes], vec![Vec::new(); boxes]);
    for &(from, to) in edges {
        waits[to] += 1;
        below[from].push(to);
    }
    let mut layers = vec![0; boxes];
    let mut ready: Vec<usize> = (0..boxes).filter(|&at| waits[at] == 0).collect();
    while let Some(at) = ready.pop() {
        for &next in &below[at] {
            layers[next] = layers[next].max(layers[at] + 1);
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.push(next);
            }
        }
    }
    layers
}

/// Orders each layer by the barycentres of the neighbours, downwards and upwards in turn.
fn sort(vertices: &[Vertex], order: &mut [Vec<usize>]) {
    let mut rank = vec![0.0; vertices.len()];
    let number = |layer: &[usize], rank: &mut Vec<f64>| {
        for (at, &vertex) in layer.iter().enumerate() {
            rank[vertex] = at as f64;
        }
    };
    order.iter().for_each(|layer| number(layer, &mut rank));
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        for step in 0..order.len() {
            let at = if down { step } else { order.len() - 1 - step };
            let layer = &mut order[at];
            let key = |vertex: usize| {
                let near = if down { &vertices[vertex].above } else { &vertices[vertex].below };
                mean(near, &rank).unwrap_or(rank[vertex])
            };
            let mut keyed: Vec<(f64, usize)> = layer.iter().map(|&vertex| (key(vertex), vertex)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            *layer = keyed.into_iter().map(|(_, vertex)| vertex).collect();
            number(layer, &mut rank);
        }
    }
}

fn mean(near: &[usize], values: &[f64]) -> Option<f64> {
    let sum: f64 = near.iter().map(|&at| values[at]).sum();
    (!near.is_empty()).then(|| sum / near.len() as f64)
}

/// The centre of each vertex on the horizontal axis.
fn place(vertices: &[Vertex], order: &[Vec<usize>]) -> Vec<f64> {
    let mut centres = vec![0.0; vertices.len()];
    for sweep in 0..SWEEPS + 2 {
        let down = sweep % 2 == 0;
        for step in 0..order.len() {
            let layer = &order[if down { step } else { order.len() - 1 - step }];
            let wanted: Vec<f64> = layer
                .iter()
                .map(|&vertex| {
                    let near = if down { &vertices[vertex].above } else { &vertices[vertex].below };
                    mean(near, &centres).unwrap_or(centres[vertex])
                })
                .collect();
            let widths: Vec<f64> = layer.iter().map(|&vertex| vertices[vertex].width).collect();
            for (&vertex, centre) in layer.iter().zip(apart(&wanted, &widths, GAP_X)) {
                centres[vertex] = centre;
            }
        }
    }
    centres
}

/// The centres nearest to `wanted` (least squares) of things of these `widths` in this order, `gap`
/// apart at least: isotonic regression, by pooling neighbours that collide.
pub fn apart(wanted: &[f64], widths: &[f64], gap: f64) -> Vec<f64> {
    let mut offsets = Vec::with_capacity(wanted.len());
    let mut at = 0.0;
    for (index, width) in widths.iter().enumerate() {
        if index > 0 {
            at += (widths[index - 1] + width) / 2.0 + gap;
        }
        offsets.push(at);
    }
    // Pools of (sum of targets, members).
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (wanted, offset) in wanted.iter().zip(&offsets) {
        let mut pool = (wanted - offset, 1);
        while let Some(&(sum, members)) = pools.last() {
            if sum / (members as f64) < pool.0 / pool.1 as f64 {
                break;
            }
            pools.pop();
            pool = (sum + pool.0, members + pool.1);
        }
        pools.push(pool);
    }
    let targets = pools.iter().flat_map(|&(sum, members)| std::iter::repeat_n(sum / members as f64, members));
    targets.zip(&offsets).map(|(target, offset)| target + offset).collect()
}

fn finish(sizes: &[Size], vertices: &[Vertex], order: &[Vec<usize>], centres: &[f64], paths: &[Vec<usize>]) -> Layout {
    let left = vertices.iter().zip(centres).map(|(v, x)| x - v.width / 2.0).fold(f64::INFINITY, f64::min);
    let right = vertices.iter().zip(centres).map(|(v, x)| x + v.width / 2.0).fold(f64::NEG_INFINITY, f64::max);
    let height = |layer: &[usize]| layer.iter().filter_map(|&at| sizes.get(at)).map(|size| size.1).fold(0.0, f64::max);
    let (mut tops, mut y) = (Vec::with_capacity(order.len()), 0.0);
    for layer in order {
        tops.push((y, y + height(layer)));
        y += height(layer) + GAP_Y;
    }
    let boxes =
        (0..sizes.len()).map(|at| (centres[at] - sizes[at].0 / 2.0 - left, tops[vertices[at].layer].0)).collect();
    let arrow = |path: &Vec<usize>| {
        let mut points = Vec::with_capacity(path.len() * 2);
        for (step, &at) in path.iter().enumerate() {
            let (x, (top, bottom)) = (centres[at] - left, tops[vertices[at].layer]);
            let box_bottom = sizes.get(at).map_or(bottom, |size| top + size.1);
            match step {
                0 => points.push((x, box_bottom)),
                last if last + 1 == path.len() => points.push((x, top)),
                _ => points.extend([(x, top), (x, bottom)]),
            }
        }
        points
    };
    Layout { boxes, arrows: paths.iter().map(arrow).collect(), size: (right - left, y - GAP_Y) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = (100.0, 40.0);

    fn overlaps(layout: &Layout, sizes: &[Size]) -> bool {
        let hit = |a: usize, b: usize| {
            let ((ax, ay), (bx, by)) = (layout.boxes[a], layout.boxes[b]);
            ax < bx + sizes[b].0 && bx < ax + sizes[a].0 && ay < by + sizes[b].1 && by < ay + sizes[a].1
        };
        (0..sizes.len()).any(|a| (0..a).any(|b| hit(a, b)))
    }

    #[test]
    fn a_chain_is_a_column() {
        let layout = layout(&[SIZE; 5], &[(0, 1), (1, 2), (2, 3), (3, 4)]);
        assert!(layout.boxes.iter().all(|point| point.0 == 0.0));
        assert_eq!(layout.size, (100.0, 5.0 * 40.0 + 4.0 * GAP_Y));
        assert_eq!(layout.arrows[0], [(50.0, 40.0), (50.0, 40.0 + GAP_Y)]);
    }

    #[test]
    fn a_fork_is_symmetric_and_a_long_arrow_gets_its_own_lane() {
        // 0 forks to 1, 2, 3, which join in 4; 0 also goes to 4 directly.
        let edges = [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4), (0, 4)];
        let layout = layout(&[SIZE; 5], &edges);
        assert!(!overlaps(&layout, &[SIZE; 5]));
        assert!((layout.boxes[0].0 - layout.boxes[4].0).abs() < 1.0, "{:?}", layout.boxes);
        let through = &layout.arrows[6];
        assert_eq!(through.len(), 4);
        for at in 1..=3 {
            let x = layout.boxes[at].0;
            assert!(through[1].0 <= x || through[1].0 >= x + SIZE.0, "{through:?} {:?}", layout.boxes);
        }
    }

    #[test]
    fn boxes_never_overlap_whatever_the_graph() {
        // A small generator of graphs: no draws, only arithmetic.
        for seed in 1..40_u64 {
            let nodes = 3 + (seed * 7 % 30) as usize;
            let edges: Vec<(usize, usize)> = (0..nodes as u64 * 2)
                .map(|at| ((at * seed % nodes as u64) as usize, ((at * at + seed) % nodes as u64) as usize))
                .filter(|(from, to)| from < to)
                .collect();
            let sizes: Vec<Size> =
                (0..nodes).map(|at| (60.0 + (at % 5) as f64 * 20.0, 30.0 + (at % 3) as f64 * 9.0)).collect();
            let layout = layout(&sizes, &edges);
            assert!(!overlaps(&layout, &sizes), "seed {seed}");
            for &(from, to) in &edges {
                assert!(layout.boxes[from].1 + sizes[from].1 <= layout.boxes[to].1, "seed {seed}: {from} -> {to}");
            }
        }
    }

    #[test]
    fn a_circle_and_nothing_are_survived() {
        assert_eq!(layout(&[SIZE; 3], &[(0, 1), (1, 2), (2, 1)]).boxes.len(), 3);
        assert!(layout(&[], &[]).boxes.is_empty());
    }

    #[test]
    fn things_move_apart_as_little_as_they_can() {
        assert_eq!(apart(&[0.0, 0.0], &[10.0, 10.0], 2.0), [-6.0, 6.0]);
        assert_eq!(apart(&[0.0, 50.0], &[10.0, 10.0], 2.0), [0.0, 50.0]);
        assert!(apart(&[], &[], 1.0).is_empty());
    }
}
