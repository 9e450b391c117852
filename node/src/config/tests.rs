//! Faults all at once, precedence, and the table against what it configures.

use super::*;
use outrider_types::RollupId;

fn parts(
    file: &str,
    environment: &[(&str, &str)],
    sets: &[&str],
) -> Result<NodeConfig, Vec<Fault>> {
    let table = toml::from_str(file).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    NodeConfig::from_parts(&table, environment, &sets, Path::new("/etc/outrider"))
}

fn keys(faults: &[Fault]) -> Vec<&str> {
    faults.iter().map(|fault| fault.key.as_str()).collect()
}

#[test]
fn defaults_are_those_of_the_crates() {
    let config = parts("", &[], &[]).unwrap();
    assert_eq!(config.p2p.tuning, Tuning::default());
    assert_eq!(config.mempool, Limits::default());
    assert_eq!(config.consensus.replica(), ConsensusConfig::default());
    assert!(config.storage.durable());
    assert_eq!(
        format!("{:?}", config.storage.store()),
        format!("{:?}", StoreOptions::default())
    );
    assert_eq!(
        format!("{:?}", config.storage.journal()),
        format!("{:?}", JournalOptions::default())
    );
    assert_eq!(
        config.mempool.rollups,
        None::<std::collections::BTreeSet<RollupId>>
    );
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let config = parts("[node]\nkey = \"/run/key\"", &[], &[]).unwrap();
    assert_eq!(config.node.data_dir, Path::new("/etc/outrider/data"));
    assert_eq!(config.node.key, Path::new("/run/key"));
}

#[test]
fn later_sources_win() {
    let file = "[rpc]\nlisten = \"127.0.0.1:1\"\nmax_connections = 1\nmax_batch_calls = 1";
    let environment = [
        ("OUTRIDER_RPC_LISTEN", "127.0.0.1:2"),
        ("OUTRIDER_RPC_MAX_CONNECTIONS", "2"),
        ("HOME", "/root"),
    ];
    let config = parts(file, &environment, &["rpc.listen=127.0.0.1:3"]).unwrap();
    assert_eq!(config.rpc.listen.port(), 3);
    assert_eq!(config.rpc.max_connections, 2);
    assert_eq!(config.rpc.max_batch_calls, 1);
    assert_eq!(config.rpc.max_buffered_messages, 64);
}

#[test]
fn nested_sections_and_their_variables() {
    let file = "[p2p.consensus]\nburst = 7\n[p2p]\ncheck_peer_ip = false";
    let environment = [("OUTRIDER_P2P_SYNC_PER_SECOND", "9")];
    let config = parts(file, &environment, &[]).unwrap();
    assert_eq!(config.p2p.tuning.consensus.burst, 7);
    assert_eq!(config.p2p.tuning.sync.per_second, 9);
    assert!(!config.p2p.tuning.check_peer_ip);
}

#[test]
fn all_faults_are_reported_at_once_with_their_keys() {
    let file = "
        surprise = 1
        [rpc]
        listn = \"127.0.0.1:1\"
        max_connections = \"many\"
        max_batch_calls = 0
        [p2p]
        listen = \"nowhere\"
        check_peer_ip = 1
        [nowhere]
        x = 1
    ";
    let environment = [
        ("OUTRIDER_LOG_FORMAT", "xml"),
        ("OUTRIDER_RPC_LISTN", "x"),
        ("OUTRIDER_CONFIG", "not an option, another tool's variable"),
    ];
    let sets = ["mempool.lanes=-1", "nothing", "mempool.lames=5"];
    let faults = parts(file, &environment, &sets).unwrap_err();
    let mut found = keys(&faults);
    found.sort_unstable();
    let mut expected = vec![
        "surprise",
        "rpc.listn",
        "rpc.max_connections",
        "rpc.max_batch_calls",
        "p2p.listen",
        "p2p.check_peer_ip",
        "nowhere",
        "log.format",
        "rpc.listn",
        "mempool.lanes",
        "nothing",
        "mempool.lames",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
    let text = ConfigError::Faults(faults).to_string();
    assert!(
        text.starts_with("12 faults in the configuration:"),
        "{text}"
    );
    assert!(
        text.contains("rpc.listn (in the file): there is no such option; did you mean rpc.listen?"),
        "{text}"
    );
    assert!(text.contains(
        "log.format (in the environment (OUTRIDER_LOG_FORMAT)): \"xml\" is not one of text, json"
    ));
    assert!(text.contains(
        "mempool.lames (in --set): there is no such option; did you mean mempool.lanes?"
    ));
    assert!(text.contains(
        "rpc.max_connections (in the file): expected a whole number without quotes, found string"
    ));
}

#[test]
fn contradictions_name_the_key_and_its_source() {
    let sets = [
        "metrics.listen=0.0.0.0:9100",
        "rpc.listen=0.0.0.0:9000",
        "consensus.idle_block_ms=250",
        "consensus.timeout_cap_ms=999",
        "p2p.ping_ms=2000",
        "p2p.mailbox_messages=127",
        "mempool.lane_bytes=100000000",
        "log.filter=a=b=c",
    ];
    let faults = parts("", &[], &sets).unwrap_err();
    assert_eq!(
        keys(&faults),
        [
            "metrics.listen",
            "rpc.listen",
            "consensus.timeout_cap_ms",
            "consensus.idle_block_ms",
            "p2p.ping_ms",
            "p2p.mailbox_messages",
            "mempool.lane_transactions",
            "log.filter",
        ]
    );
    assert_eq!(faults[0].source, Source::Flag);
    assert!(parts("", &[], &["consensus.idle_block_ms=249"]).is_ok());
}

#[test]
fn remote_metrics_need_to_be_meant() {
    let sets = ["metrics.listen=0.0.0.0:9100", "metrics.allow_remote=true"];
    assert!(parts("", &[], &sets).is_ok());
    assert!(parts("", &[], &["metrics.listen=[::1]:9100"]).is_ok());
}

#[test]
fn written_file_is_the_defaults_and_what_was_given() {
    let given = [
        ("rpc.listen", "127.0.0.1:4242".to_owned()),
        ("node.key", "C:\\a \"b\"".to_owned()),
    ];
    let text = to_toml(&given);
    let config = parts(&text, &[], &[]).unwrap();
    let expected = parts(
        "",
        &[],
        &["rpc.listen=127.0.0.1:4242", "node.key=C:\\a \"b\""],
    );
    assert_eq!(config, expected.unwrap());
    // Every default is there and can be taken into use by removing the #.
    let all: String = to_toml(&[])
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_eq!(parts(&all, &[], &[]).unwrap(), parts("", &[], &[]).unwrap());
    for option in OPTIONS {
        let (_, name) = option.key.rsplit_once('.').unwrap();
        assert!(all.contains(&format!("\n{name} = ")), "{name}");
        assert!(to_markdown().contains(&format!("| `{}` |", option.key)));
    }
}

#[test]
fn keys_and_variables_are_distinct() {
    let keys: std::collections::BTreeSet<_> = OPTIONS.iter().map(|option| option.key).collect();
    let variables: std::collections::BTreeSet<_> = OPTIONS.iter().map(Opt::variable).collect();
    assert_eq!(keys.len(), OPTIONS.len());
    assert_eq!(variables.len(), OPTIONS.len());
}

#[test]
fn faults_of_the_file_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outrider.toml");
    let load = || NodeConfig::load(&path, [], &[]);
    assert!(matches!(load(), Err(ConfigError::Read { .. })));
    std::fs::write(&path, "[rpc").unwrap();
    assert!(matches!(load(), Err(ConfigError::Syntax { .. })));
    std::fs::write(&path, vec![b'#'; CONFIG_BYTES_MAX as usize + 1]).unwrap();
    assert!(matches!(load(), Err(ConfigError::TooLarge { .. })));
    std::fs::write(&path, to_toml(&[])).unwrap();
    assert_eq!(load().unwrap().node.key, folder.path().join("member.key"));
}

#[test]
fn too_few_blocks_to_vote_with_are_refused() {
    for (kept, good) in [(0, true), (1, false), (109_999, false), (110_000, true)] {
        let set = format!("storage.keep_blocks={kept}");
        let loaded = parts("", &[], &[&set]);
        assert_eq!(loaded.is_ok(), good, "{kept}");
    }
}
