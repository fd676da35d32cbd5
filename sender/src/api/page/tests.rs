//! What is served, and how large it is.

use super::*;

/// The most that the whole page may be on the wire, in bytes.
const BUDGET: usize = 150_000;

fn asked(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
}

fn text(file: &Ready) -> String {
    String::from_utf8(file.plain.to_vec()).unwrap()
}

#[test]
fn the_whole_page_is_within_its_budget() {
    let page = Page::new();
    let sizes = page.fixed.iter().chain(&page.assets).map(|file| file.gzip.as_ref().unwrap_or(&file.plain).len());
    let all: usize = sizes.sum();
    println!("the whole page: {all} bytes compressed");
    assert!(all < BUDGET, "{all} bytes");
}

#[test]
fn the_page_names_every_module_and_nothing_else() {
    let page = Page::new();
    let index = text(&page.fixed[0]);
    assert!(!index.contains(PLACE));
    for asset in page.assets.iter().filter(|asset| !asset.name.starts_with("icon-")) {
        assert!(index.contains(&format!("\"/assets/{}/{}\"", page.hash, asset.name)), "{}", asset.name);
    }
    for file in page.fixed.iter().chain(&page.assets).filter(|file| file.mime != PNG) {
        let text = text(file).replace("http://www.w3.org/", "");
        assert!(!text.contains("http://") && !text.contains("https://"), "{} names another host", file.name);
    }
}

#[test]
fn no_script_and_no_style_is_inline() {
    let index = text(&Page::new().fixed[0]);
    assert!(!index.contains("<style") && !index.contains(" style=") && !index.contains(" onclick="));
    assert!(index.split("<script").skip(1).all(|script| script.contains(" src=") && script.contains("></script>")));
}

#[test]
fn what_the_browser_has_is_not_sent_again() {
    let page = Page::new();
    let fresh = page.fixed("index.html", &asked(&[(header::ACCEPT_ENCODING, "gzip, br")]));
    assert_eq!(fresh.status(), StatusCode::OK);
    assert_eq!(fresh.headers()[header::CONTENT_ENCODING], "gzip");
    assert_eq!(fresh.headers()[header::CACHE_CONTROL], ASK);
    let tag = fresh.headers()[header::ETAG].to_str().unwrap();
    let again = page.fixed("index.html", &asked(&[(header::IF_NONE_MATCH, tag)]));
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let plain = page.fixed("index.html", &HeaderMap::new());
    assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
}
