//! The DSA indexer: CUDA kernels, their committed PTX, typed launchers and the steps.
