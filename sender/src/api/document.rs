//! The OpenAPI document: what the handlers say of themselves, completed with what holds for all of them.

use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, ResponseBuilder};

/// The media type of problem details (RFC 9457, section 3).
const PROBLEM: &str = "application/problem+json";

/// Completes the document: every operation gets a name of its own, problems their media type, and what the door, the
/// limits and the reading of bodies answer is told with each operation.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let by_id = path.contains('{');
        for (operation, changes) in operations(item) {
            name(operation);
            let body = operation.request_body.is_some();
            let query = has_query(operation);
            for (status, why, applies) in [
                ("400", "The body is no JSON, or the query can't be read.", body || query),
                ("401", "A sign-in is needed.", true),
                ("403", "A page of another site asked.", changes),
                ("404", "There is no such thing.", by_id),
                ("408", "The body did not come in time.", body),
                ("413", "The body is too large.", body),
                ("415", "The body must be of another type.", body),
                ("422", "What the body says can't be.", body),
                ("429", "Too much was asked; later.", true),
            ] {
                if applies && !operation.responses.responses.contains_key(status) {
                    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
                    let response = ResponseBuilder::new().description(why).content(PROBLEM, problem).build();
                    operation.responses.responses.insert(status.into(), RefOr::T(response));
                }
            }
            problems(operation);
        }
    }
    document
}

/// Every operation of a path, and whether it changes anything.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&mut Operation, bool)> {
    let changing = [&mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
    let changing = changing.into_iter().flatten().map(|operation| (operation, true));
    item.get.as_mut().map(|operation| (operation, false)).into_iter().chain(changing)
}

/// A handler's name is its own only among those of its module, which is the operation's tag.
fn name(operation: &mut Operation) {
    let tag = operation.tags.as_ref().and_then(|tags| tags.first());
    if let (Some(tag), Some(id)) = (tag, &mut operation.operation_id) {
        *id = format!("{tag}_{id}");
    }
}

fn has_query(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(known) if known.parameter_in == ParameterIn::Query))
}

/// Problem details are of a type of their own.
fn problems(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if !status.starts_with(['4', '5']) {
            continue;
        }
        if let Some(content) = response.content.swap_remove("application/json") {
            response.content.insert(PROBLEM.into(), content);
        }
    }
}
