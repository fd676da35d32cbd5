//! The system seen from outside: simulations in virtual time, end-to-end tests and the measuring rig.

pub mod simulation;
