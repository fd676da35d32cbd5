//! The door: who may look, and who may change.
//!
//! - The `Host` must be an address or a name of this house, so that a foreign name that was made to point here (DNS
//!   rebinding) finds nothing.
//! - What changes something, and every WebSocket, must not come from a page of another origin.
//! - Changing needs a sign-in: the token of the sign-in link or the password, then a cookie. Looking does too, when
//!   reading is closed. Who can open the Unix socket in the state directory is in already.
//! - Every address has a budget of requests, and a small one of sign-ins. All together have one of passwords, as who has
//!   many addresses would guess faster; the link's token is past guessing.
//!
//! Only hashes are kept. Tokens are 256 random bits, so a plain SHA-256 of them gives nothing away; the password goes
//! through Argon2.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use unisono_common::time::LocalTime;
use unisono_host::{clock, random};

use super::Api;
use super::problem::Problem;

/// Name of the cookie.
pub const COOKIE: &str = "unisono";
/// How long a sign-in lasts, in seconds.
pub const SESSION_S: i64 = 180 * 24 * 3600;
/// Sign-ins kept; the oldest goes.
const MOST_SESSIONS: usize = 64;
/// The longest password.
pub const LONGEST_PASSWORD: usize = 256;

/// How the door stands.
#[derive(Clone, Debug)]
pub struct DoorSettings {
    /// Anybody on the network may look.
    pub reading_open: bool,
    /// Names of this host beside addresses, `localhost`, bare names and `.local` ones.
    pub names: Vec<String>,
    /// Where other hosts reach the page, `http://HOST:PORT`: what a link begins with.
    pub page: String,
}

impl Default for DoorSettings {
    fn default() -> Self {
        DoorSettings { reading_open: true, names: Vec::new(), page: "http://localhost".into() }
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Over the network.
    Network(SocketAddr),
    /// Through the Unix socket, which only the daemon's user can open.
    Local,
}

/// What is kept of secrets: hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// Of the sign-in link's token.
    token: Option<String>,
    /// Of the password, in the format of Argon2.
    password: Option<String>,
    /// When each sign-in ends, in Unix seconds, by the hash of its cookie.
    sessions: BTreeMap<String, i64>,
}

impl Secrets {
    /// Makes the token of a new sign-in link; an older one is worth nothing any more.
    pub fn new_token(&mut self) -> String {
        let token = secret();
        self.token = Some(hash(&token));
        token
    }

    /// Whether a sign-in link was ever made.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether there is a password.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Sets the password's hash, or takes the password away. Everybody has to sign in again.
    pub fn set_password(&mut self, hash: Option<String>) {
        self.password = hash;
        self.sessions.clear();
    }

    /// Whether this is the token.
    pub fn is_token(&self, token: &str) -> bool {
        // Hashes of a secret with 256 random bits can be compared as they are: timing tells nothing of use.
        self.token.as_ref().is_some_and(|known| *known == hash(token))
    }

    /// The password's hash, for [`verify_password`].
    pub fn password(&self) -> Option<String> {
        self.password.clone()
    }

    /// Begins a session and returns its cookie's value.
    pub fn sign_in(&mut self, now_s: i64) -> String {
        self.sessions.retain(|_, end| *end > now_s);
        while self.sessions.len() >= MOST_SESSIONS {
            let oldest = self.sessions.iter().min_by_key(|(_, end)| **end).map(|(hash, _)| hash.clone());
            oldest.map(|hash| self.sessions.remove(&hash));
        }
        let cookie = secret();
        self.sessions.insert(hash(&cookie), now_s + SESSION_S);
        cookie
    }

    /// Ends a session.
    pub fn sign_out(&mut self, cookie: &str) {
        self.sessions.remove(&hash(cookie));
    }

    /// Whether this is the cookie of a session.
    pub fn is_session(&self, cookie: &str, now_s: i64) -> bool {
        self.sessions.get(&hash(cookie)).is_some_and(|end| *end > now_s)
    }
}

/// Argon2's hash of a password; takes tens of milliseconds.
pub fn hash_password(password: &str) -> Option<String> {
    Argon2::default().hash_password(password.as_bytes()).ok().map(|hash| hash.to_string())
}

/// Whether a password is that of a hash; takes tens of milliseconds.
pub fn verify_password(password: &str, hash: &str) -> bool {
    argon2::PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

fn secret() -> String {
    (0..4).map(|_| format!("{:016x}", random::number())).collect()
}

fn hash(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The door, with its budgets.
#[derive(Debug)]
pub struct Door {
    settings: DoorSettings,
    requests: Mutex<Budgets>,
    sign_ins: Mutex<Budgets>,
    passwords: Mutex<Account>,
}

/// Passwords tried from anywhere: so many at once, then one a second.
const PASSWORDS: Rate = Rate { burst: 100.0, per_s: 1.0 };

impl Door {
    /// A door with full budgets.
    pub fn new(settings: DoorSettings) -> Self {
        Door {
            settings,
            requests: Mutex::new(Budgets::new(400, 100.0)),
            sign_ins: Mutex::new(Budgets::new(10, 0.1)),
            passwords: Mutex::new(Account::new(clock::now())),
        }
    }

    /// Whether anybody on the network may look.
    pub fn reading_open(&self) -> bool {
        self.settings.reading_open
    }

    /// Where other hosts reach the page, `http://HOST:PORT`.
    pub fn page(&self) -> &str {
        &self.settings.page
    }

    /// Takes a sign-in from the budget of an address.
    pub fn may_try(&self, peer: Peer) -> Result<(), Problem> {
        spend(&self.sign_ins, peer).map_err(|seconds| {
            let detail = format!("too many sign-ins from here; try again in {seconds} s");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many", detail)
        })
    }

    /// Takes a password from the budget that all addresses share, beside [`may_try`](Self::may_try).
    pub fn may_guess(&self, peer: Peer) -> Result<(), Problem> {
        if peer == Peer::Local {
            return Ok(());
        }
        let mut passwords = self.passwords.lock().unwrap_or_else(PoisonError::into_inner);
        PASSWORDS.spend(&mut passwords, clock::now()).map_err(|seconds| {
            let detail = format!("too many passwords were tried; try again in {seconds} s, or open the sign-in link");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many", detail)
        })
    }

    /// `Host` must be ours, whatever an attacker's name server says.
    fn is_ours(&self, host: &str) -> bool {
        let name = host
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
            .map_or(host, |(name, _)| name);
        let name = name.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        if name.parse::<IpAddr>().is_ok() {
            return true;
        }
        let bare = !name.is_empty() && !name.contains('.');
        let house = [".local", ".lan", ".home.arpa", ".internal", ".localhost"].iter().any(|end| name.ends_with(end));
        bare || house || self.settings.names.iter().any(|own| own.eq_ignore_ascii_case(&name))
    }

    fn check(&self, api: &Api, peer: Peer, request: &Request) -> Result<(), Problem> {
        if peer == Peer::Local {
            return Ok(());
        }
        spend(&self.requests, peer).map_err(|_| {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many", "too many requests from here; slow down")
        })?;
        let headers = request.headers();
        let host = text(headers, header::HOST).or(request.uri().authority().map(|a| a.as_str())).unwrap_or_default();
        if !self.is_ours(host) {
            let detail = "this name is not one of this house; add it to names under [http] if it is";
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host", detail));
        }
        let looks = matches!(*request.method(), Method::GET | Method::HEAD) && !headers.contains_key(header::UPGRADE);
        if !looks && is_foreign(headers, host) {
            let detail = "a page of another origin may not do this";
            return Err(Problem::new(StatusCode::FORBIDDEN, "foreign", detail));
        }
        let path = request.uri().path();
        let open = !path.starts_with("/api/") && !path.starts_with("/metrics") && !path.starts_with("/streams/");
        let always = open || ALWAYS.contains(&path);
        if always || (looks && self.settings.reading_open) || is_signed_in(api, headers) {
            return Ok(());
        }
        let detail = "sign in first: open the sign-in link (unisono-sender ctl link prints one) or give the password";
        Err(Problem::new(StatusCode::UNAUTHORIZED, "sign-in", detail))
    }
}

/// What needs no sign-in: signing in, knowing how, being alive, the rooms' link, which has keys of its own, and the probe of
/// their doctor, which tells nothing.
const ALWAYS: [&str; 5] = [
    "/api/v1/session",
    "/api/v1/health",
    "/api/v1/openapi.json",
    unisono_common::control::LINK_PATH,
    unisono_host::probe::PATH,
];

/// Stands before every handler.
pub async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let peer = peer(&request);
    match api.door.check(&api, peer, &request) {
        Ok(()) => armoured(next.run(request).await),
        Err(problem) => armoured(problem.into_response()),
    }
}

/// Where a request comes from. One that nobody vouches for comes from nowhere in particular.
pub fn peer(request: &Request) -> Peer {
    let unknown = Peer::Network(SocketAddr::from(([0, 0, 0, 0], 0)));
    request.extensions().get().copied().unwrap_or(unknown)
}

/// Whether the request carries a session's cookie or the link's token.
pub fn is_signed_in(api: &Api, headers: &HeaderMap) -> bool {
    let now_s = clock::time_of_day_ns() / 1_000_000_000;
    let token = text(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    api.hub.secrets(|secrets| {
        cookie(headers).is_some_and(|cookie| secrets.is_session(cookie, now_s))
            || token.is_some_and(|token| secrets.is_token(token))
    })
}

/// The value of our cookie.
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// A browser says where a request comes from; programs that are no browsers say nothing, and need no protection.
fn is_foreign(headers: &HeaderMap, host: &str) -> bool {
    let site = text(headers, header::HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    let origin = text(headers, header::ORIGIN);
    origin.is_some_and(|origin| origin.split_once("://").is_none_or(|(_, from)| !from.eq_ignore_ascii_case(host)))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// What every answer tells a browser not to do.
fn armoured(mut response: Response) -> Response {
    let rules = [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             manifest-src 'self'; worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    for (name, value) in rules {
        let name = header::HeaderName::from_static(name);
        response.headers_mut().entry(name).or_insert(header::HeaderValue::from_static(value));
    }
    response
}

fn spend(budgets: &Mutex<Budgets>, peer: Peer) -> Result<(), u64> {
    let Peer::Network(address) = peer else { return Ok(()) };
    budgets.lock().unwrap_or_else(PoisonError::into_inner).spend(address.ip(), clock::now())
}

/// So much at once, and so much a second in the long run.
#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: f64,
    per_s: f64,
}

/// What has been spent of a budget, as of when.
#[derive(Clone, Copy, Debug)]
struct Account {
    spent: f64,
    at: LocalTime,
}

impl Account {
    fn new(now: LocalTime) -> Self {
        Account { spent: 0.0, at: now }
    }
}

impl Rate {
    /// What is spent still, now.
    fn owed(self, account: &Account, now: LocalTime) -> f64 {
        (account.spent - (now - account.at) as f64 / 1e9 * self.per_s).max(0.0)
    }

    /// Takes one, or says after how many seconds there will be one.
    fn spend(self, account: &mut Account, now: LocalTime) -> Result<(), u64> {
        *account = Account { spent: self.owed(account, now), at: now };
        if account.spent + 1.0 > self.burst {
            return Err(((account.spent + 1.0 - self.burst) / self.per_s).ceil().max(1.0) as u64);
        }
        account.spent += 1.0;
        Ok(())
    }
}

/// A budget for each address.
#[derive(Debug)]
pub struct Budgets {
    rate: Rate,
    spent: HashMap<IpAddr, Account>,
}

/// Addresses remembered; beyond it those that owe least are forgotten.
const MOST_ADDRESSES: usize = 1024;

impl Budgets {
    /// Full budgets.
    pub fn new(burst: u32, per_s: f64) -> Self {
        Budgets { rate: Rate { burst: f64::from(burst), per_s }, spent: HashMap::new() }
    }

    /// Takes one from an address's budget, or says after how many seconds there will be one.
    pub fn spend(&mut self, address: IpAddr, now: LocalTime) -> Result<(), u64> {
        if self.spent.len() >= MOST_ADDRESSES && !self.spent.contains_key(&address) {
            let rate = self.rate;
            self.spent.retain(|_, account| rate.owed(account, now) > rate.burst / 2.0);
            if self.spent.len() >= MOST_ADDRESSES {
                return Err(1);
            }
        }
        self.rate.spend(self.spent.entry(address).or_insert(Account::new(now)), now)
    }
}

#[cfg(test)]
mod tests;
