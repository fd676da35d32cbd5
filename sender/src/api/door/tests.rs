use super::*;

fn at(seconds: f64) -> LocalTime {
    LocalTime::from_ns((seconds * 1e9) as i64)
}

#[test]
fn a_budget_is_spent_and_comes_back() {
    let mut budgets = Budgets::new(3, 0.5);
    let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
    for _ in 0..3 {
        assert_eq!(budgets.spend(one, at(1.0)), Ok(()));
    }
    assert_eq!(budgets.spend(one, at(1.0)), Err(2));
    assert_eq!(budgets.spend(other, at(1.0)), Ok(()));
    assert_eq!(budgets.spend(one, at(3.0)), Ok(()));
    assert_eq!(budgets.spend(one, at(3.0)), Err(2));
}

#[test]
fn many_addresses_guess_no_faster_than_some() {
    let mut tried = Account::new(at(0.0));
    let tries = |tried: &mut Account, now: f64| (0..500).filter(|_| PASSWORDS.spend(tried, at(now)).is_ok()).count();
    assert_eq!(tries(&mut tried, 0.0), 100);
    assert_eq!(PASSWORDS.spend(&mut tried, at(0.0)), Err(1));
    assert_eq!(tries(&mut tried, 10.0), 10);
    let door = Door::new(DoorSettings::default());
    let from = |n: u32| Peer::Network(SocketAddr::from((n.to_be_bytes(), 7)));
    let guessed = (0..1_000).filter(|n| door.may_guess(from(*n)).is_ok()).count();
    // However slow this machine is.
    assert!((100..200).contains(&guessed), "{guessed}");
    assert_eq!(door.may_guess(Peer::Local), Ok(()));
}

#[test]
fn many_addresses_cost_bounded_memory() {
    let mut budgets = Budgets::new(4, 1.0);
    for n in 0..100_000_u32 {
        let _ = budgets.spend(IpAddr::from(n.to_be_bytes()), at(1.0));
    }
    assert!(budgets.spent.len() <= MOST_ADDRESSES);
}

#[test]
fn foreign_names_are_not_ours() {
    let door = Door::new(DoorSettings { names: vec!["music.example.org".into()], ..DoorSettings::default() });
    for ours in
        ["127.0.0.1:7680", "[::1]:7680", "den", "den:7680", "Den.local:7680", "localhost", "music.example.org:80"]
    {
        assert!(door.is_ours(ours), "{ours}");
    }
    for foreign in ["", "evil.example.org", "evil.example.org:7680", "local.evil.example.org", "127.0.0.1.nip.io:7680"]
    {
        assert!(!door.is_ours(foreign), "{foreign}");
    }
}

#[test]
fn tokens_and_cookies_open_the_door_and_are_not_kept() {
    let mut secrets = Secrets::default();
    assert!(!secrets.is_token(""));
    let token = secrets.new_token();
    assert!(secrets.is_token(&token) && !secrets.is_token("guess"));
    let cookie = secrets.sign_in(1000);
    assert!(secrets.is_session(&cookie, 1000) && !secrets.is_session(&cookie, 1000 + SESSION_S));
    let kept = serde_json::to_string(&secrets).unwrap();
    assert!(!kept.contains(&token) && !kept.contains(&cookie));
    let newer = secrets.new_token();
    assert!(!secrets.is_token(&token) && secrets.is_token(&newer));
    secrets.sign_out(&cookie);
    assert!(!secrets.is_session(&cookie, 1000));
}

#[test]
fn sessions_are_bounded() {
    let mut secrets = Secrets::default();
    let first = secrets.sign_in(0);
    for second in 1..200 {
        secrets.sign_in(second);
    }
    assert!(secrets.sessions.len() <= MOST_SESSIONS && !secrets.is_session(&first, 200));
}

#[test]
fn a_password_is_verified_by_its_hash() {
    let hash = hash_password("open sesame").unwrap();
    assert!(!hash.contains("sesame"));
    assert!(verify_password("open sesame", &hash) && !verify_password("open barley", &hash));
    assert!(!verify_password("anything", "not a hash"));
}

#[test]
fn pages_of_other_origins_are_foreign() {
    let headers = |pairs: &[(&'static str, &'static str)]| {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
    };
    let host = "den.local:7680";
    assert!(!is_foreign(&headers(&[]), host));
    assert!(!is_foreign(&headers(&[("origin", "http://den.local:7680")]), host));
    assert!(is_foreign(&headers(&[("origin", "http://den.local:81")]), host));
    assert!(is_foreign(&headers(&[("origin", "null")]), host));
    assert!(is_foreign(&headers(&[("sec-fetch-site", "cross-site")]), host));
    assert!(!is_foreign(&headers(&[("sec-fetch-site", "same-origin")]), host));
}
