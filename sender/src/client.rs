//! A small blocking client of the API, for `ctl` and `watch`: the hub's Unix socket on this host, or HTTP with a token.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// For every step of a request.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest answer that is read.
const MAX_ANSWER: u64 = 8 * 1024 * 1024;

/// Where the hub is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Through the socket in its state directory; whoever can open it may do everything.
    Socket(PathBuf),
    /// At `host:port`.
    Network {
        /// `host:port`.
        host: String,
        /// Token of the sign-in link, to change something.
        token: Option<String>,
    },
}

/// Why the hub doesn't do it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody is there.
    #[error("no hub at {at}: {error}; is unisono-sender running there? (--hub http://HOST:PORT asks another)")]
    NoHub {
        /// Where it was looked for.
        at: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// It was there and then was not, or says what makes no sense.
    #[error("the hub's answer: {0}")]
    Answer(String),
    /// It says no, and why.
    #[error("{0}")]
    Problem(String),
}

impl Target {
    /// `http://host:port`.
    pub fn url(url: &str, token: Option<String>) -> Result<Self, ClientError> {
        let host = url.strip_prefix("http://").map(|host| host.trim_end_matches('/'));
        match host.filter(|host| !host.is_empty() && !host.contains('/')) {
            Some(host) => {
                let port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                let host = if port { host.to_owned() } else { format!("{host}:7680") };
                Ok(Target::Network { host, token })
            }
            None => Err(ClientError::Problem(format!("\"{url}\" is no hub; write http://HOST:PORT"))),
        }
    }

    /// Reads a resource.
    pub fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.ask("GET", path, None)
    }

    /// Asks for something; what has no answer gives `null`.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        let (status, text) = self.text(method, path, body)?;
        let value = || serde_json::from_str::<Value>(&text).map_err(|error| ClientError::Answer(error.to_string()));
        match status {
            200..300 if text.is_empty() => Ok(Value::Null),
            200..300 => value(),
            _ => {
                let detail = value().ok().and_then(|problem| Some(problem.get("detail")?.as_str()?.to_owned()));
                Err(ClientError::Problem(detail.unwrap_or_else(|| format!("HTTP status {status}"))))
            }
        }
    }

    /// Status and text of an answer.
    pub fn text(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, String), ClientError> {
        let no_hub = |error| ClientError::NoHub { at: self.to_string(), error };
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !body.is_empty() {
            head += "Content-Type: application/json\r\n";
        }
        match self {
            Target::Socket(path) => {
                let stream = UnixStream::connect(path).map_err(no_hub)?;
                let patience = stream.set_read_timeout(Some(PATIENCE)).and(stream.set_write_timeout(Some(PATIENCE)));
                patience.map_err(no_hub)?;
                exchange(stream, &format!("{head}Host: localhost\r\n\r\n{body}"))
            }
            Target::Network { host, token } => {
                let address = host.to_socket_addrs().map_err(no_hub)?.next();
                let address = address.ok_or_else(|| no_hub(io::ErrorKind::NotFound.into()))?;
                let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(no_hub)?;
                let patience = stream.set_read_timeout(Some(PATIENCE)).and(stream.set_write_timeout(Some(PATIENCE)));
                patience.map_err(no_hub)?;
                let token =
                    token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
                exchange(stream, &format!("{head}Host: {host}\r\n{token}\r\n{body}"))
            }
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Socket(path) => write!(f, "{}", path.display()),
            Target::Network { host, .. } => write!(f, "http://{host}"),
        }
    }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> Result<(u16, String), ClientError> {
    let broken = |error: io::Error| ClientError::Answer(error.to_string());
    // A hub that refuses a request while it comes has answered already.
    let sent = stream.write_all(request.as_bytes());
    let mut answer = BufReader::new(stream.take(MAX_ANSWER));
    let mut line = String::new();
    match answer.read_line(&mut line) {
        Ok(0) => sent.map_err(broken)?,
        Ok(_) => {}
        Err(error) => return Err(broken(error)),
    }
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| ClientError::Answer("it is not HTTP".to_owned()))?;
    let mut length = None;
    loop {
        line.clear();
        answer.read_line(&mut line).map_err(broken)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok(),
            Some(_) => {}
            None => break,
        }
    }
    let mut text = String::new();
    answer.take(length.unwrap_or(MAX_ANSWER)).read_to_string(&mut text).map_err(broken)?;
    Ok((status, text))
}
