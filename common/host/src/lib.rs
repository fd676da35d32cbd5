//! common/host
