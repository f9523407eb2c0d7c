//! `graphproof`: proves that a GPU step is safe to run as a CUDA graph.

use std::process::ExitCode;

fn main() -> ExitCode {
    graphproof::cli(graphproof::indexer::Indexer::default())
}
