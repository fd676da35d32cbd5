//! The music on disk: the files of a folder, the order they are played in, and their player.

mod order;
mod player;
mod tags;
mod walk;

pub(crate) use player::{Plan, Player};
