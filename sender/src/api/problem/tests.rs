use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http;
use serde::Deserialize;

use super::*;

/// A body that begins, and never ends.
struct Drip(Option<&'static str>);

impl futures_core::Stream for Drip {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.take() {
            Some(text) => Poll::Ready(Some(Ok(Bytes::from(text)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_given_up() {
    let request = http::Request::builder().header(header::CONTENT_TYPE, "application/json");
    let request = request.body(axum::body::Body::from_stream(Drip(Some("{")))).unwrap();
    let reading = Json::<serde_json::Value>::from_request(request, &());
    let problem = within(Duration::from_millis(20), reading).await.err().unwrap();
    assert_eq!((problem.status, problem.kind.as_str()), (408, "/problems/slow"));
    assert_eq!(problem.detail, "the body was not whole after 0.02 s");
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    limit: Option<u32>,
    offset: u32,
}

async fn params(uri: &str) -> Result<Part, Problem> {
    let (mut parts, ()) = http::Request::builder().uri(uri).body(()).unwrap().into_parts();
    Params::from_request_parts(&mut parts, &()).await.map(|Params(part)| part)
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_a_problem_that_names_what_is_wrong() {
    let part = params("/?limit=3").await.unwrap();
    assert_eq!((part.limit, part.offset), (Some(3), 0));
    for (uri, name) in [("/?limit=x", "limit"), ("/?offset=-1", "offset")] {
        let problem = params(uri).await.err().unwrap();
        assert_eq!((problem.status, problem.kind.as_str()), (400, "/problems/unreadable"));
        assert!(problem.detail.contains(name), "{}", problem.detail);
    }
}
