//! Every instruction against a scalar reference, on values that hurt, with all and with some
//! lanes active, with vector and with constant operands, on every instruction set of the host.

mod bits;
mod comparisons;
mod conversions;
mod floats;
mod harness;
mod integers;
