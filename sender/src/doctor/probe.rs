//! The hub's part in a doctor's probe: a few small packets by multicast, for whoever asks, towards the network that the
//! question came from.

use axum::extract::Extension;
use axum::http::StatusCode;
use serde::Deserialize;
use tokio::sync::Semaphore;
use unisono_host::probe::{Burst, EVERY, TIMES};

use crate::api::door::Peer;
use crate::api::problem::{Params, Problem};

/// Bursts at once: what strangers can have this host multicast is little.
static BURSTS: Semaphore = Semaphore::const_new(4);

/// What is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    /// Tells this burst from others: 16 hexadecimal digits.
    token: String,
}

/// Answers at once, and sends for a second.
pub(crate) async fn send(
    Extension(peer): Extension<Peer>,
    Params(wanted): Params<Wanted>,
) -> Result<StatusCode, Problem> {
    let Peer::Network(from) = peer else {
        return Err(Problem::new(StatusCode::FORBIDDEN, "probe", "probes are for who asks over the network"));
    };
    let token = u64::from_str_radix(&wanted.token, 16).map_err(|_| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", "the token must be 16 hexadecimal digits")
    })?;
    let Ok(turn) = BURSTS.try_acquire() else {
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many", "others probe now; try again in a second"));
    };
    let burst = Burst::towards(from.ip(), token)
        .map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "probe", error.to_string()))?;
    tokio::spawn(async move {
        for _ in 0..TIMES {
            if let Err(error) = burst.send() {
                tracing::debug!(%error, "probe");
            }
            tokio::time::sleep(EVERY).await;
        }
        drop(turn);
    });
    Ok(StatusCode::ACCEPTED)
}
