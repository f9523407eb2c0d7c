//! CUDA graphs: nodes and edges, executable graphs, graph memory, user objects.
//!
//! Nothing here touches a device. A node holds [`crate::work::NodeParams`]; a launch
//! hands the engine a [`crate::work::Plan`]. Evidence tags in comments: D documented by
//! NVIDIA, M measured by others, G a guess; every G lies in [`unknowns`].

mod clone;
mod compare;
mod conditional;
mod dot;
mod edge;
mod edit;
mod exec;
mod launch;
mod memory;
mod node;
mod plan;
mod query;
mod set_params;
mod store;
mod structure;
pub mod unknowns;
mod update;
mod user_object;

pub use clone::Ownership;
pub(crate) use compare::updatable;
pub use compare::{UpdateResult, same_params};
pub use conditional::ASSIGN_DEFAULT;
pub use dot::flags as dot_flags;
pub use edge::EdgeData;
pub use exec::{
    AUTO_FREE_ON_LAUNCH, DEVICE_LAUNCH, Exec, InstantiateError, InstantiateResult, UPLOAD, USE_NODE_PRIORITY,
};
pub use launch::Launch;
pub use memory::{GraphMemory, MemAttribute};
pub use node::{AllocationRequest, Conditional, Node, NodeInfo, NodeType, NodeWork};
pub use query::EdgeRecord;
pub use store::{Graph, Graphs, Owner};
pub use update::UpdateError;
pub use user_object::{MOVE, NO_DESTRUCTOR_SYNC};
