//! What a session description of an AES67 stream must say, checked line by line. Written from the standards, and knows
//! nothing of how ours are made.

use std::net::Ipv4Addr;

/// A line of a description: its letter and what stands behind the `=`.
type Line<'a> = (char, &'a str);

/// Whatever a description of a multicast stream of L24 at 48 kHz lacks or does wrong, as sentences; none when it is right.
pub fn violations(sdp: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines: Vec<Line> = sdp.lines().filter_map(|line| line_of(line, &mut wrong)).collect();
    if !sdp.ends_with('\n') {
        wrong.push("the last line does not end (RFC 8866 section 5)".to_owned());
    }
    let mut check = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    check(is_ordered(&lines), "lines are not in the order of RFC 8866 section 5");
    let session: Vec<Line> = lines.iter().copied().take_while(|(letter, _)| *letter != 'm').collect();
    let media: Vec<Line> = lines[session.len()..].to_vec();
    let one = |lines: &[Line], letter: char| {
        let mut found = lines.iter().filter(|(other, _)| *other == letter).map(|(_, value)| value.to_string());
        found.next().filter(|_| found.next().is_none()).unwrap_or_default()
    };
    check(one(&session, 'v') == "0", "v= is not 0");
    check(is_origin(&one(&session, 'o')), "o= is not: username, digits, digits, IN IP4 and a unicast address");
    check(!one(&session, 's').trim().is_empty(), "s= is empty");
    check(one(&session, 't') == "0 0", "t= is not 0 0, of a session that is permanent");
    check(media.iter().filter(|(letter, _)| *letter == 'm').count() == 1, "there is not one m=");
    let connections = [one(&session, 'c'), one(&media, 'c')];
    let connection = connections.iter().find(|connection| !connection.is_empty()).cloned().unwrap_or_default();
    check(is_connection(&connection), "c= is not IN IP4, a group of 239.0.0.0/8 and a TTL (AES67 section 6.4)");
    let fields: Vec<String> = one(&media, 'm').split(' ').map(str::to_owned).collect();
    let [kind, port, protocol, payload_type] = <[String; 4]>::try_from(fields).unwrap_or_default();
    check(kind == "audio" && protocol == "RTP/AVP", "m= is not audio over RTP/AVP (AES67 section 6.1)");
    check(port.parse::<u16>().is_ok_and(|port| port >= 1_024 && port % 2 == 0), "the RTP port is not even");
    check(payload_type.parse().is_ok_and(|it: u8| (96..128).contains(&it)), "L24 has no static payload type");
    let attributes = |name: &str| -> Vec<String> {
        let found = media.iter().filter(|(letter, _)| *letter == 'a').filter_map(|(_, value)| {
            let (key, value) = value.split_once(':').unwrap_or((value, ""));
            (key == name).then(|| value.to_owned())
        });
        found.collect()
    };
    let only = |name: &str| <[String; 1]>::try_from(attributes(name)).map(|[value]| value).unwrap_or_default();
    let channels =
        only("rtpmap").strip_prefix(&format!("{payload_type} L24/48000/")).and_then(|n| n.parse::<u8>().ok());
    check(channels.is_some_and(|n| (1..=8).contains(&n)), "a=rtpmap is not L24/48000 with 1 to 8 channels (7.1, 7.2)");
    check(only("ptime").parse() == Ok(1.0), "a=ptime is not 1 (8.1)");
    check(attributes("maxptime").iter().all(|time| time.parse() == Ok(1.0)), "a=maxptime is less or more than a=ptime");
    check(attributes("framecount").iter().all(|frames| frames == "48"), "a=framecount is not that of a=ptime");
    check(only("mediaclk") == "direct=0", "a=mediaclk is not direct=0 (8.2; RFC 7273 section 5.2)");
    let clocks = attributes("ts-refclk");
    check(!clocks.is_empty(), "there is no a=ts-refclk for the media (8.3; RFC 7273 section 4)");
    check(clocks.iter().all(|clock| ptp_clock(clock).is_some()), "a=ts-refclk is not ptp=IEEE1588-2008:EUI-64:DOMAIN");
    wrong
}

/// The grandmaster and the domain that a description names.
pub fn grandmaster(sdp: &str) -> Option<(String, u8)> {
    sdp.lines().find_map(|line| ptp_clock(line.strip_prefix("a=ts-refclk:")?))
}

fn line_of<'a>(line: &'a str, wrong: &mut Vec<String>) -> Option<Line<'a>> {
    let letter = line.chars().next().filter(char::is_ascii_lowercase);
    let found = letter.zip(line.get(1..).and_then(|rest| rest.strip_prefix('=')));
    if found.is_none() || line.ends_with(char::is_whitespace) || line.chars().any(char::is_control) {
        wrong.push(format!("not a line of RFC 8866: {line:?}"));
    }
    found
}

fn is_ordered(lines: &[Line]) -> bool {
    let media = lines.iter().position(|(letter, _)| *letter == 'm').unwrap_or(lines.len());
    let rises = |lines: &[Line], order: &str| {
        let places: Option<Vec<usize>> = lines.iter().map(|(letter, _)| order.find(*letter)).collect();
        places.is_some_and(|places| places.is_sorted())
    };
    rises(&lines[..media], "vosiuepcbtrzka") && rises(&lines[media..], "micbka")
}

fn is_origin(value: &str) -> bool {
    let fields: Vec<&str> = value.split(' ').collect();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let [user, id, version, "IN", "IP4", address] = fields[..] else { return false };
    let unicast = address.parse::<Ipv4Addr>().is_ok_and(|address| !address.is_multicast());
    !user.is_empty() && digits(id) && digits(version) && unicast
}

fn is_connection(value: &str) -> bool {
    let group = value.strip_prefix("IN IP4 ").and_then(|rest| rest.split_once('/'));
    group.is_some_and(|(group, ttl)| {
        group.parse::<Ipv4Addr>().is_ok_and(|group| group.octets()[0] == 239) && ttl.parse::<u8>().is_ok_and(|n| n > 0)
    })
}

/// `ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:0`
fn ptp_clock(value: &str) -> Option<(String, u8)> {
    let (name, domain) = value.strip_prefix("ptp=IEEE1588-2008:")?.split_once(':')?;
    let bytes: Vec<&str> = name.split('-').collect();
    let hex = |byte: &&str| byte.len() == 2 && byte.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    (bytes.len() == 8 && bytes.iter().all(hex)).then_some(())?;
    Some((name.to_owned(), domain.parse().ok().filter(|domain| *domain < 128)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As another implementation writes it (RFC 7273 and AES67 Annex C have the like).
    const RIGHT: &str = "v=0\no=audio 1311738121 1311738121 IN IP4 192.168.1.1\ns=Stage left I/O\n\
        c=IN IP4 239.0.0.1/32\nt=0 0\nm=audio 5004 RTP/AVP 96\ni=Channels 1-8\na=rtpmap:96 L24/48000/8\na=recvonly\n\
        a=ptime:1\na=ts-refclk:ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:0\na=mediaclk:direct=0\n";

    #[test]
    fn a_right_description_passes_and_each_fault_is_found() {
        assert_eq!(violations(RIGHT), Vec::<String>::new());
        assert_eq!(grandmaster(RIGHT), Some(("39-A7-94-FF-FE-07-CB-D0".to_owned(), 0)));
        for (right, fault) in [
            ("v=0\n", ""),
            ("s=Stage left I/O", "s="),
            ("IN IP4 192.168.1.1", "IN IP4 239.0.0.7"),
            ("239.0.0.1/32", "10.0.0.1"),
            ("t=0 0\n", ""),
            ("c=IN IP4 239.0.0.1/32\nt=0 0\n", "t=0 0\nc=IN IP4 239.0.0.1/32\n"),
            ("L24/48000/8", "L16/48000/8"),
            ("L24/48000/8", "L24/48000"),
            ("a=ptime:1\n", "a=ptime:4\n"),
            ("5004", "5005"),
            ("CB-D0:0", "CB-D0"),
            ("39-A7-94-FF-FE-07-CB-D0:0", "traceable"),
            ("direct=0", "direct=7"),
            ("a=mediaclk:direct=0\n", "a=mediaclk:sender\n"),
            ("a=mediaclk:direct=0\n", "a=mediaclk:direct=0"),
            ("a=recvonly\n", "a=recvonly\n\n"),
        ] {
            assert!(!violations(&RIGHT.replacen(right, fault, 1)).is_empty(), "{right} -> {fault}");
        }
    }
}
