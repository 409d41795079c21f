use super::*;

fn accounts() -> Accounts {
    Accounts::of(
        "probe:x:990:991::/:\nmallory:x:66:66::/:\n",
        "probe:x:991:\n",
    )
}

fn file(text: &str) -> Result<Settings, ConfigError> {
    Settings::parse(Path::new("/etc/probe.toml"), text)
}

fn wrong(text: &str) -> String {
    let error = file(text).expect_err("refused");
    assert!(!error.hint().is_empty());
    error.to_string()
}

fn resolved(settings: Settings, uid: u32) -> Config {
    settings.resolve(uid, &accounts()).expect("resolved")
}

#[test]
fn an_empty_configuration_has_the_defaults() {
    let config = resolved(Settings::default(), 0);
    assert_eq!(config.socket, Path::new("/run/probe/probe.sock"));
    assert_eq!((config.mode, config.history), (0o660, 65_536));
    assert_eq!(config.max_clients, None);
    assert!(!config.runtime_names);
}

#[test]
fn root_changes_to_the_user_probe_if_it_exists() {
    let config = resolved(Settings::default(), 0);
    assert_eq!(config.account.map(|it| (it.uid, it.gid)), Some((990, 991)));
    assert_eq!(config.group.map(|it| it.gid), Some(991));
    let without = Settings::default()
        .resolve(0, &Accounts::default())
        .expect("resolved");
    assert_eq!((without.account, without.group), (None, None));
}

#[test]
fn only_root_can_change_the_user() {
    let config = resolved(Settings::default(), 66);
    assert_eq!((config.account, config.group), (None, None));
    let as_user = |name: &str| Settings {
        user: Some(name.to_owned()),
        ..Settings::default()
    };
    assert_eq!(resolved(as_user("mallory"), 66).account, None);
    let refused = as_user("probe").resolve(66, &accounts());
    assert!(matches!(refused, Err(ConfigError::NotRoot { .. })));
    let refused = as_user("nobody-here").resolve(0, &accounts());
    let message = refused.expect_err("unknown").to_string();
    assert_eq!(message, "there is no user 'nobody-here'");
}

#[test]
fn root_remains_root_with_user_0() {
    let asked = Settings {
        user: Some("0".to_owned()),
        ..Settings::default()
    };
    assert_eq!(resolved(asked, 0).account, None);
}

#[test]
fn a_file_has_the_same_settings_as_the_flags() {
    let settings = file(
        "socket = \"/tmp/p.sock\"\nmode = \"0600\"\ngroup = \"7\"\nuser = \"8\"\n\
         history = 16777216\nmax-clients = 10\nruntime-names = true\n",
    );
    let config = resolved(settings.expect("valid"), 0);
    assert_eq!(config.socket, Path::new("/tmp/p.sock"));
    assert_eq!((config.mode, config.history), (0o600, 16 << 20));
    assert_eq!(config.group.map(|it| it.gid), Some(7));
    assert_eq!(config.account.map(|it| it.uid), Some(8));
    assert_eq!(config.max_clients, Some(10));
    assert!(config.runtime_names);
}

#[test]
fn flags_override_the_file() {
    let flags = Settings {
        history: "5".parse().ok(),
        ..Settings::default()
    };
    let both = flags.or(file("history = 7\nmode = \"0666\"").expect("valid"));
    let config = resolved(both, 0);
    assert_eq!((config.history, config.mode), (5, 0o666));
}

#[test]
fn an_error_in_a_file_names_its_line() {
    let unknown = wrong("history = 1\n\nsockets = \"/x\"\n");
    assert!(unknown.starts_with("/etc/probe.toml:3: "), "{unknown}");
    assert!(unknown.contains("sockets"), "{unknown}");
    let type_of = wrong("\nmode = 660\n");
    assert!(type_of.starts_with("/etc/probe.toml:2: "), "{type_of}");
    let range = wrong("max-clients = 0");
    let expected = "/etc/probe.toml:1: invalid number 0 (expected 1 to 1048576)";
    assert_eq!(range, expected);
    let range = wrong("history = -5");
    let expected = "/etc/probe.toml:1: invalid number -5 (expected 1 to 16777216)";
    assert_eq!(range, expected);
    let syntax = wrong("group = \"a\"\nhistory = = 2\n");
    assert!(syntax.starts_with("/etc/probe.toml:2: "), "{syntax}");
    let twice = wrong("group = \"a\"\ngroup = \"b\"\n");
    assert!(twice.starts_with("/etc/probe.toml:2: "), "{twice}");
    let relative = wrong("socket = \"probe.sock\"");
    assert!(relative.contains("absolute"), "{relative}");
}
