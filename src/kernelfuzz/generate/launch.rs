//! How many threads run a kernel, and what each reads before the body.

use crate::kernelfuzz::draw::Draw;

/// A grid and its block.
pub(super) fn shape(draw: &mut Draw) -> ([u32; 3], [u32; 3]) {
    let most = draw.pick(&[32, 64, 128, 256]);
    let block = loop {
        let x = match draw.below(4) {
            0 => 32 * (1 + draw.below(4)),
            1 => 1 << draw.below(7),
            2 => 1 + draw.below(40),
            _ => 16 * (1 + draw.below(4)),
        };
        let (y, z) = match draw.below(4) {
            0 => (1, 1),
            1 => (1 + draw.below(8), 1),
            2 => (1 + draw.below(4), 1 + draw.below(4)),
            _ => (1, 1 + draw.below(6)),
        };
        if x * y * z <= most {
            break [x as u32, y as u32, z as u32];
        }
    };
    let grid = draw.pick(&[[1, 1, 1], [1, 1, 1], [1, 1, 1], [2, 1, 1], [3, 1, 1], [1, 2, 1], [2, 2, 1], [1, 1, 3]]);
    (grid, block)
}

/// Reads what the body needs, in any order: registers are initialised on first use.
pub(super) fn prologue(draw: &mut Draw, grid: [u32; 3], block: [u32; 3]) -> Vec<String> {
    let mut reads = vec![
        "ld.param.u64 %in, [in];".to_owned(),
        "ld.param.u64 %out, [out];".to_owned(),
        "ld.param.u64 %cells, [cells];".to_owned(),
    ];
    // A kernel for flat blocks does not ask for more.
    let deep = block[2] > 1 || draw.chance(40);
    let tall = deep || block[1] > 1 || draw.chance(40);
    let wide = grid[1] * grid[2] > 1 || draw.chance(30);
    let mut read = |register: &str, special: &str| reads.push(format!("mov.u32 %{register}, %{special};"));
    read("tx", "tid.x");
    read("nx", "ntid.x");
    if tall {
        read("ty", "tid.y");
        read("ny", "ntid.y");
    }
    if deep {
        read("tz", "tid.z");
        read("nz", "ntid.z");
    }
    read("cx", "ctaid.x");
    if wide {
        for (register, special) in
            [("cy", "ctaid.y"), ("cz", "ctaid.z"), ("gx", "nctaid.x"), ("gy", "nctaid.y"), ("gz", "nctaid.z")]
        {
            read(register, special);
        }
    }
    draw.shuffle(&mut reads);
    let mut lines = reads;
    let mut add = |line: &str| lines.push(line.to_owned());
    match (deep, tall) {
        (true, _) => {
            add("mad.lo.u32 %lin, %tz, %ny, %ty;");
            add("mad.lo.u32 %lin, %lin, %nx, %tx;");
            add("mul.lo.u32 %total, %nx, %ny;");
            add("mul.lo.u32 %total, %total, %nz;");
        }
        (false, true) => {
            add("mad.lo.u32 %lin, %ty, %nx, %tx;");
            add("mul.lo.u32 %total, %nx, %ny;");
        }
        _ => {
            add("mov.u32 %lin, %tx;");
            add("mov.u32 %total, %nx;");
        }
    }
    if wide {
        add("mad.lo.u32 %blk, %cz, %gy, %cy;");
        add("mad.lo.u32 %blk, %blk, %gx, %cx;");
    } else {
        add("mov.u32 %blk, %cx;");
    }
    add("mad.lo.u32 %gid, %blk, %total, %lin;");
    add(draw.pick(&["and.b32 %lane, %lin, 31;", "mov.u32 %lane, %laneid;"]));
    // The warp's threads: the last warp of a block may have fewer.
    add("sub.u32 %first, %lin, %lane;");
    add("sub.u32 %count, %total, %first;");
    add("min.u32 %count, %count, 32;");
    add("shl.b32 %members, 1, %count;");
    add("sub.u32 %members, %members, 1;");
    lines
}
