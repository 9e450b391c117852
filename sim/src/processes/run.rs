//! One run: start, storm, heal, settle, look again, stop.

use super::audit::{Audited, audit};
use super::children::{Children, panics};
use super::clients::Clients;
use super::folder::Folder;
use super::observed::{Observed, Seen};
use super::plan::{Episode, KINDS, Weather, draw};
use super::proxy::Proxies;
use super::{Outcome, ProcessesError, Progress, Setup};
use crate::fact::{Class, Micros};
use outrider_types::{Height, MemberIndex, Stake};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

/// Facts that wait to be checked; then those who see them wait.
const SEEN_MAX: usize = 8_192;
/// How long members may take until each of them has a block.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Length of a turn: how exactly the plan is kept.
const TURN: Duration = Duration::from_millis(20);
/// Between two lines of progress.
const SECOND: Duration = Duration::from_secs(1);
/// Blocks that every member must show above where the storm ended.
const BLOCKS_AFTER: u64 = 3;
/// Transactions that may be lost are sent again this long after the storm, and after that long again.
const AGAIN_AFTER: Duration = Duration::from_secs(3);

/// Do it. `show` is called about once a second.
pub async fn run(
    setup: &Setup,
    mut show: impl FnMut(&Progress),
) -> Result<Outcome, ProcessesError> {
    setup.check()?;
    let mut run = Run::start(setup).await?;
    run.storm(&mut show).await?;
    run.heal(&mut show).await?;
    let audited = run.look_again(&mut show).await;
    run.finish(audited).await
}

struct Run<'a> {
    setup: &'a Setup,
    folder: Folder,
    proxies: Proxies,
    children: Children,
    clients: Clients,
    observed: Observed,
    seen: mpsc::Receiver<Seen>,
    followers: JoinSet<()>,
    load: AbortHandle,
    begin: Instant,
    shown: Instant,
    faults: BTreeMap<&'static str, u64>,
    sent_again: u64,
}

impl<'a> Run<'a> {
    async fn start(setup: &'a Setup) -> Result<Self, ProcessesError> {
        let members = setup.members;
        let folder =
            Folder::create(&setup.program, &setup.dir, members, setup.epoch_blocks).await?;
        let proxies = Proxies::start(&folder.targets())
            .await
            .map_err(ProcessesError::Proxy)?;
        folder.divert(&proxies)?;
        let children = Children::start(&setup.program, &folder.members)?;
        let (sender, seen) = mpsc::channel(SEEN_MAX);
        let urls = folder.members.iter().map(|member| member.rpc.clone());
        let clients = Clients::new(urls, setup.seed, sender, children.ends().counter())?;
        let mut run = Self {
            setup,
            folder,
            proxies,
            children,
            clients,
            observed: Observed::new(members),
            seen,
            followers: JoinSet::new(),
            // Replaced when the load begins.
            load: tokio::spawn(std::future::ready(())).abort_handle(),
            begin: Instant::now(),
            shown: Instant::now(),
            faults: BTreeMap::new(),
            sent_again: 0,
        };
        run.ready().await?;
        for member in 0..members {
            run.followers.spawn(run.clients.clone().follow(member));
        }
        run.load = run.followers.spawn(run.clients.clone().load(setup.rate));
        run.begin = Instant::now();
        Ok(run)
    }

    /// Wait until every member shows a block: before the storm, all is well.
    async fn ready(&mut self) -> Result<(), ProcessesError> {
        let deadline = Instant::now() + READY_WITHIN;
        let calm = Weather::of(self.setup.members, std::iter::empty());
        for (client, files) in self.clients.members().iter().zip(&self.folder.members) {
            while !client
                .head()
                .await
                .is_ok_and(|head| head.height > Height(0))
            {
                let wrong = self.children.step(&calm)?;
                if !wrong.is_empty() || Instant::now() >= deadline {
                    return Err(ProcessesError::NotReady {
                        name: files.name.clone(),
                        wrong: wrong.join("; "),
                        log: files.log.clone(),
                    });
                }
                sleep(TURN).await;
            }
        }
        Ok(())
    }

    fn now(&self) -> Micros {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Take in what was seen for the length of a turn, then see to the members.
    async fn turn(&mut self, weather: &Weather) -> Result<(), ProcessesError> {
        let end = Instant::now() + TURN;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(end) => break,
                // We hold a sender ourselves, so it never ends.
                Some(seen) = self.seen.recv() => {
                    let now = self.now();
                    self.observed.see(now, seen);
                }
            }
        }
        for wrong in self.children.step(weather)? {
            self.observed.violate("R2", Class::Panic, wrong);
        }
        Ok(())
    }

    async fn storm(&mut self, show: &mut impl FnMut(&Progress)) -> Result<(), ProcessesError> {
        let plan = draw(self.setup.seed, self.setup.members, self.setup.time);
        self.write_plan(&plan)?;
        let mut coming = plan.into_iter().peekable();
        let mut active: Vec<Episode> = Vec::new();
        let mut weather = Weather::of(self.setup.members, std::iter::empty());
        while self.begin.elapsed() < self.setup.time {
            self.turn(&weather).await?;
            let now = self.begin.elapsed();
            while let Some(episode) = coming.next_if(|episode| episode.at <= now) {
                *self
                    .faults
                    .entry(KINDS[episode.fault.number()])
                    .or_default() += 1;
                // From now on, so that one that comes late is not cut short to nothing.
                active.push(Episode { at: now, ..episode });
            }
            active.retain(|episode| episode.end() > now);
            weather = Weather::of(
                self.setup.members,
                active.iter().map(|episode| &episode.fault),
            );
            self.proxies.set(&weather.links);
            self.progress("storm", &active, show);
        }
        self.load.abort();
        Ok(())
    }

    fn write_plan(&self, plan: &[Episode]) -> Result<(), ProcessesError> {
        let mut text = format!("seed {}\n", self.setup.seed);
        for episode in plan {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{episode}");
        }
        let path = self.folder.dir.join("plan.txt");
        std::fs::write(&path, text).map_err(ProcessesError::file("write", &path))
    }

    /// L1, L4, L5. All links open, all members up: within the time given, everything that was accepted is ordered, and everybody shows
    /// new blocks.
    async fn heal(&mut self, show: &mut impl FnMut(&Progress)) -> Result<(), ProcessesError> {
        let calm = Weather::of(self.setup.members, std::iter::empty());
        self.proxies.set(&calm.links);
        let deadline = Instant::now() + self.setup.settle_within;
        let mut again_at = Instant::now() + AGAIN_AFTER;
        let mut before: Option<Height> = None;
        let mut again: JoinSet<u64> = JoinSet::new();
        while Instant::now() < deadline {
            self.turn(&calm).await?;
            self.progress("settling", &[], show);
            if before.is_none() && self.children.active() == self.setup.members {
                before = Some(self.observed.tip());
            }
            while let Some(taken) = again.try_join_next() {
                self.sent_again += taken.unwrap_or_default();
            }
            // What was sent again is ordered before its answer is here.
            if again.is_empty()
                && before.is_some_and(|before| self.observed.settled(before, BLOCKS_AFTER))
            {
                break;
            }
            if Instant::now() >= again_at && again.is_empty() {
                again_at = Instant::now() + AGAIN_AFTER;
                again.spawn(self.clients.clone().again(self.lost()));
            }
        }
        let before = before.unwrap_or(self.observed.tip());
        for (checker, what) in self.observed.missing(before, BLOCKS_AFTER) {
            let within = self.setup.settle_within;
            self.observed.violate(
                checker,
                Class::Liveness,
                format!("{within:?} after the storm: {what}"),
            );
        }
        Ok(())
    }

    /// Numbers of transactions that all who hold them may have forgotten: a mempool is in memory. One that was accepted at
    /// the first try is held by f+1 stake; if members of at most f were ended since, it must not be lost.
    fn lost(&self) -> Vec<u64> {
        let committee = &self.folder.file.committee;
        let faulty = committee.thresholds().byzantine;
        let lost = self.observed.open().filter(|(_, acceptance)| {
            let ends = self.children.ends().since(acceptance.ends);
            let ended: BTreeSet<usize> = ends.iter().copied().collect();
            let stake = |member: usize| {
                let index = MemberIndex(u16::try_from(member).unwrap_or(u16::MAX));
                committee.stake(index).map_or(0, |Stake(stake)| stake)
            };
            let stake: u64 = ended.into_iter().map(stake).sum();
            !acceptance.first_try || Stake(stake) > faulty
        });
        lost.map(|(_, acceptance)| acceptance.number).collect()
    }

    async fn look_again(&mut self, show: &mut impl FnMut(&Progress)) -> Audited {
        self.followers.shutdown().await;
        let now = self.now();
        while let Ok(seen) = self.seen.try_recv() {
            self.observed.see(now, seen);
        }
        self.shown = self.begin;
        self.progress("looking at every chain, receipt and proof", &[], show);
        let committee = &self.folder.file.committee;
        audit(&self.clients, committee, &mut self.observed, now).await
    }

    async fn finish(mut self, audited: Audited) -> Result<Outcome, ProcessesError> {
        for wrong in self.children.stop().await {
            self.observed.violate("R2", Class::Panic, wrong);
        }
        for files in &self.folder.members {
            for line in panics(files)? {
                self.observed.violate("R2", Class::Panic, line);
            }
        }
        let [accepted, ordered, refused] = self.observed.counts();
        let (violations, more) = self.observed.violations();
        Ok(Outcome {
            restarts: self.children.restarts(),
            faults: self.faults,
            height: self.observed.tip(),
            accepted,
            ordered,
            refused,
            sent_again: self.sent_again,
            audited,
            violations: violations.to_vec(),
            violations_more: more,
        })
    }

    fn progress(
        &mut self,
        phase: &'static str,
        active: &[Episode],
        show: &mut impl FnMut(&Progress),
    ) {
        if self.shown.elapsed() < SECOND && self.shown > self.begin {
            return;
        }
        self.shown = Instant::now();
        let [accepted, ordered, _] = self.observed.counts();
        let (violations, more) = self.observed.violations();
        show(&Progress {
            elapsed: self.begin.elapsed(),
            phase,
            height: self.observed.tip(),
            accepted,
            ordered,
            active: self.children.active(),
            members: self.setup.members,
            faults: active.iter().map(|one| one.fault.to_string()).collect(),
            violations: violations.len() as u64 + more,
        });
    }
}
