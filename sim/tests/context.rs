//! The turmoil context keeps commonware-runtime's contract: supervision, panics, clocks, streams of
//! randomness, sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

use commonware_runtime::{
    Clock as _, Error, Listener as _, Network as _, Resolver as _, Sink as _, Spawner as _,
    Stream as _, Supervisor as _,
};
use outrider_sim::turmoil::{Config, Context};
use rand_core::Rng as _;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

fn world<'a>() -> turmoil::Sim<'a> {
    turmoil::Builder::new()
        .rng_seed(1)
        .epoch(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .tick_duration(Duration::from_millis(5))
        .simulation_duration(Duration::from_secs(60))
        .build()
}

/// Runs `body` as the only node.
fn alone<Fut: Future<Output = turmoil::Result> + 'static>(
    body: impl FnOnce(Context) -> Fut + 'static,
) -> turmoil::Result {
    let mut sim = world();
    sim.client("alone", async move {
        body(Context::new(Config::new(1, 0, 0))).await
    });
    sim.run()
}

#[test]
fn panic_of_a_task_surfaces_at_the_host() {
    let result = alone(|context| async move {
        let panicked = context.panicked();
        let also_panicked = context.panicked();
        let handle = context.child("deep").spawn(|context| async move {
            let inner = context.child("deeper").spawn(|context| async move {
                context.sleep(Duration::from_millis(20)).await;
                panic!("deep trouble");
            });
            let () = inner.await?;
            Ok::<_, Error>(())
        });
        assert!(matches!(handle.await, Ok(Err(Error::Exited))));
        assert_eq!(also_panicked.await, "deep trouble");
        Err(panicked.await.into())
    });
    assert_eq!(result.unwrap_err().to_string(), "deep trouble");
}

#[test]
fn tasks_end_with_their_parent() {
    alone(|context| async move {
        let ended = Arc::new(());
        let held = ended.clone();
        let outlived = context.child("outlived");
        let parent = context.child("parent").spawn(|context| async move {
            for label in ["left", "right"] {
                let held = held.clone();
                drop(context.child(label).spawn(|_| async move {
                    futures::future::pending::<()>().await;
                    drop(held);
                }));
            }
            context
        });
        let stale = parent.await?;
        // An aborted task goes when it is next polled.
        context.sleep(Duration::from_millis(1)).await;
        assert_eq!(Arc::strong_count(&ended), 1);
        let late = stale.child("late").spawn(|_| async {});
        assert!(matches!(late.await, Err(Error::Closed)));
        assert!(outlived.spawn(|_| async { 7 }).await? == 7);
        Ok(())
    })
    .unwrap();
}

#[test]
fn clock_follows_simulated_time_and_skew() {
    let mut sim = world();
    sim.client("late", async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let node = |node, skew_ms| {
            Context::new(Config {
                skew_ms,
                ..Config::new(1, node, 0)
            })
        };
        let (exact, fast, slow) = (node(0, 0), node(1, 8_000), node(2, -250));
        let start = exact.current();
        assert_eq!(start, UNIX_EPOCH + Duration::from_secs(1_700_000_003));
        assert_eq!(fast.current(), start + Duration::from_secs(8));
        assert_eq!(slow.current(), start - Duration::from_millis(250));
        slow.sleep_until(slow.current() + Duration::from_secs(2))
            .await;
        slow.sleep_until(start - Duration::from_secs(9)).await;
        assert_eq!(exact.current(), start + Duration::from_secs(2));
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn randomness_depends_on_seed_node_and_incarnation_only() {
    let draws = Arc::new(Mutex::new(Vec::new()));
    for (seed, node, incarnation) in [(1, 0, 0), (1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1)] {
        let draws = draws.clone();
        let mut sim = world();
        sim.client("node", async move {
            let mut context = Context::new(Config::new(seed, node, incarnation));
            draws.lock().unwrap().push(context.child("any").next_u64());
            assert_ne!(context.next_u64(), context.next_u64());
            Ok(())
        });
        sim.run().unwrap();
    }
    let mut draws = draws.lock().unwrap().clone();
    assert_eq!(draws[0], draws[1]);
    draws.sort_unstable();
    draws.dedup();
    assert_eq!(draws.len(), 4);
}

#[test]
fn stop_reaches_every_task() {
    alone(|context| async move {
        let task = context.child("task").spawn(|context| async move {
            let stopped = context.stopped();
            stopped.await
        });
        context.sleep(Duration::from_millis(10)).await;
        context.child("stop").stop(3, None).await?;
        assert_eq!(task.await??, 3);
        Ok(())
    })
    .unwrap();
}

#[test]
fn sockets_deliver_time_out_and_stay_closed() {
    let mut sim = world();
    sim.host("server", || async {
        let context = Context::new(Config::new(1, 0, 0));
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9_000);
        let mut listener = context.bind(any).await?;
        assert!(matches!(context.bind(any).await, Err(Error::BindFailed)));
        let (_, mut sink, mut stream) = listener.accept().await?;
        let word = stream.recv(5).await?.coalesce();
        assert_eq!(word.as_ref(), b"hello");
        sink.send(vec![1, 2, 3]).await?;
        futures::future::pending().await
    });
    sim.client("client", async {
        let context = Context::new(Config::new(1, 1, 0));
        let ip = context.resolve("server").await?[0];
        assert!(context.dial(SocketAddr::new(ip, 9_001)).await.is_err());
        let (mut sink, mut stream) = context.dial(SocketAddr::new(ip, 9_000)).await?;
        sink.send(b"hello".to_vec()).await?;
        assert_eq!(stream.recv(1).await?.coalesce().as_ref(), [1]);
        assert_eq!(stream.peek(1), [2]);
        assert_eq!(stream.recv(2).await?.coalesce().as_ref(), [2, 3]);
        let before = context.current();
        assert!(matches!(stream.recv(1).await, Err(Error::Timeout)));
        assert_eq!(context.current(), before + Duration::from_secs(2));
        assert!(matches!(stream.recv(1).await, Err(Error::Closed)));
        Ok(())
    });
    sim.run().unwrap();
}
