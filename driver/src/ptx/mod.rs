//! PTX text → typed module.
