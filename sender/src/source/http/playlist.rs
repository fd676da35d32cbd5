//! Lists of URLs: M3U, PLS, and the feeds of podcasts. (P)

/// One entry of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) url: String,
    pub(super) title: Option<String>,
    /// It has an end, whatever its server says.
    pub(super) episode: bool,
}

/// Whether a body of this type, from a URL with this extension, is a list.
pub(super) fn is_list(mime: Option<&str>, extension: Option<&str>) -> bool {
    const TYPES: [&str; 11] = [
        "audio/x-mpegurl",
        "audio/mpegurl",
        "application/x-mpegurl",
        "application/vnd.apple.mpegurl",
        "audio/x-scpls",
        "application/pls+xml",
        "application/x-scpls",
        "application/rss+xml",
        "application/atom+xml",
        "text/xml",
        "application/xml",
    ];
    const EXTENSIONS: [&str; 6] = ["m3u", "m3u8", "pls", "rss", "xml", "atom"];
    let sound =
        mime.is_some_and(|mime| (mime.starts_with("audio/") || mime == "application/ogg") && !TYPES.contains(&mime));
    !sound && (mime.is_some_and(|mime| TYPES.contains(&mime)) || extension.is_some_and(|e| EXTENSIONS.contains(&e)))
}

/// Whether a playlist names segments of one stream rather than streams.
pub(super) fn is_hls(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("#EXT-X-"))
}

/// The entries of a list that was found at `base`.
pub(super) fn entries(text: &str, base: &str) -> Vec<Entry> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let found = if text.starts_with('<') {
        feed(text)
    } else if text.get(..10).is_some_and(|head| head.eq_ignore_ascii_case("[playlist]")) {
        pls(text)
    } else {
        m3u(text)
    };
    let resolved = found.into_iter().filter_map(|entry| Some(Entry { url: resolve(&entry.url, base)?, ..entry }));
    resolved.collect()
}

fn m3u(text: &str) -> Vec<Entry> {
    let (mut entries, mut title) = (Vec::new(), None);
    for line in text.lines().map(str::trim) {
        if let Some(info) = line.strip_prefix("#EXTINF:") {
            title = info.split_once(',').and_then(|(_, title)| cleaned(title));
        } else if !line.is_empty() && !line.starts_with('#') {
            entries.push(Entry { url: line.to_owned(), title: title.take(), episode: false });
        }
    }
    entries
}

fn pls(text: &str) -> Vec<Entry> {
    let mut numbered = std::collections::BTreeMap::<u32, Entry>::new();
    for (key, value) in text.lines().filter_map(|line| line.trim().split_once('=')) {
        let key = key.trim().to_ascii_lowercase();
        let number = |name: &str| key.strip_prefix(name).and_then(|number| number.parse().ok());
        if let Some(number) = number("file") {
            value.trim().clone_into(&mut numbered.entry(number).or_default().url);
        } else if let Some(number) = number("title") {
            numbered.entry(number).or_default().title = cleaned(value);
        }
    }
    numbered.into_values().filter(|entry| !entry.url.is_empty()).collect()
}

/// The enclosures of a feed (RSS 2.0), as it lists them: the newest first.
fn feed(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for item in text.split("<item").skip(1) {
        let item = item.split("</item").next().unwrap_or_default();
        let Some(tag) = item.split_once("<enclosure").and_then(|(_, rest)| rest.split_once('>')) else { continue };
        let Some(url) = attribute(tag.0, "url") else { continue };
        let title = item.split_once("<title").and_then(|(_, rest)| rest.split_once('>'));
        let title = title.and_then(|(_, rest)| rest.split("</title").next()).and_then(|title| {
            cleaned(&unescaped(title.trim().trim_start_matches("<![CDATA[").trim_end_matches("]]>")))
        });
        entries.push(Entry { url: unescaped(url), title, episode: true });
    }
    entries
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    for (at, _) in tag.match_indices(name) {
        let Some(rest) = tag[at + name.len()..].trim_start().strip_prefix('=') else { continue };
        let rest = rest.trim_start();
        let quote = rest.chars().next().filter(|c| ['"', '\''].contains(c))?;
        return rest[1..].split(quote).next();
    }
    None
}

fn unescaped(text: &str) -> String {
    let known = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    known.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

fn cleaned(title: &str) -> Option<String> {
    let title: String = title.trim().chars().filter(|c| !c.is_control()).take(300).collect();
    Some(title).filter(|title| !title.is_empty())
}

/// `url` as found in a document at `base` (RFC 3986 section 5, as far as lists need it); only HTTP leads anywhere.
fn resolve(url: &str, base: &str) -> Option<String> {
    if url.starts_with("http://") || url.starts_with("https://") {
        return Some(url.to_owned());
    }
    if url.contains("://") || url.chars().any(char::is_whitespace) {
        return None;
    }
    let (scheme, rest) = base.split_once("://")?;
    if let Some(url) = url.strip_prefix("//") {
        return Some(format!("{scheme}://{url}"));
    }
    let path = rest.split(['?', '#']).next()?;
    let host = path.split('/').next()?;
    if url.starts_with('/') {
        return Some(format!("{scheme}://{host}{url}"));
    }
    let folder = path.rsplit_once('/').map_or(host, |(folder, _)| folder);
    Some(format!("{scheme}://{folder}/{url}"))
}

#[cfg(test)]
mod tests;
