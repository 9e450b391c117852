//! `outrider sim twins`: Byzantine members as two correct instances, in all partitions and under all orders of leaders.

use super::failure::SimFailure;
use crate::failure::Failure;
use crate::output::{say, tell};
use clap::{ArgGroup, Args};
use indicatif::{ProgressBar, ProgressStyle};
use outrider_sim::twins::{
    INSTANCES_MAX, Progress, Report, Rounds, Source, Space, VIEWS_MAX, read, run_many, write,
};
use std::io::IsTerminal as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Between two looks at the progress.
const LOOK: Duration = Duration::from_millis(100);

/// Run scenarios of twins: each Byzantine member is two correct instances with one key, the network falls into parts anew in
/// every view, and leaders come in every order (Bano et al., Twins: BFT Systems Made Robust).
///
/// Agreement and the absence of offences of honest members are checked, and that commits resume when all is connected.
///
/// Four members, one twin, three views and two parts are the paper's 216,000 scenarios; four views its 13 million. More twins than f fork.
///
/// Exit codes: 0 all promises were kept; 1 there was no run; 2 wrong arguments; 10 safety, 11 liveness, 13 a panic.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["exhaustive", "sample", "json_in"])))]
pub struct TwinsArgs {
    /// How many members, all alike.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=INSTANCES_MAX as u64), conflicts_with = "json_in")]
    members: u64,
    /// How many of them are two instances; f if left out.
    #[arg(long, conflicts_with = "json_in")]
    twins: Option<u64>,
    /// Views of a scenario.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=VIEWS_MAX as u64), conflicts_with = "json_in")]
    views: u64,
    /// Parts of the network in each view, as 2 or 1..3.
    #[arg(long, default_value = "2", value_parser = parts, conflicts_with = "json_in")]
    parts: RangeInclusive<usize>,
    /// Run all scenarios.
    #[arg(long)]
    exhaustive: bool,
    /// Only one of those that differ in names alone.
    #[arg(long, conflicts_with_all = ["sample", "json_in"])]
    distinct: bool,
    /// Run so many, drawn at random.
    #[arg(long)]
    sample: Option<u64>,
    /// Seed of the sample.
    #[arg(long, default_value_t = 1, conflicts_with_all = ["exhaustive", "json_in"])]
    seed: u64,
    /// Run those of a file, in the JSON of the paper's tools (num_of_nodes, num_of_twins, round_leaders, round_partitions).
    #[arg(long)]
    json_in: Option<PathBuf>,
    /// Run only the one of this number, counted from 0.
    #[arg(long)]
    only: Option<u64>,
    /// Write the scenarios into a file instead of running them.
    #[arg(long)]
    json_out: Option<PathBuf>,
    /// Threads; as many as there are cores if left out.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    jobs: Option<u64>,
}

/// `2` or `1..3`, both ends included.
fn parts(text: &str) -> Result<RangeInclusive<usize>, String> {
    let number = |text: &str| {
        let number = text.parse::<usize>();
        number.map_err(|_| "a number of parts, as 2, or a range of them, as 1..3".to_owned())
    };
    match text.split_once("..") {
        None => number(text).map(|parts| parts..=parts),
        Some((low, high)) => Ok(number(low)?..=number(high)?),
    }
}

impl TwinsArgs {
    /// Do it.
    pub fn run(&self) -> Result<(), Failure> {
        let source = self.source()?;
        let Some(numbers) = source.numbers() else {
            return Err(SimFailure::TwinsCount.into());
        };
        if let Some(path) = &self.json_out {
            return save(&source, numbers, path);
        }
        let jobs = self.jobs.and_then(|jobs| usize::try_from(jobs).ok());
        let jobs = jobs
            .or_else(|| std::thread::available_parallelism().ok().map(Into::into))
            .unwrap_or(1);
        let start = Instant::now();
        let report = attend(&source, numbers, jobs)?;
        tell_of(&report, start.elapsed());
        let worst = report.found.iter().map(|found| found.violation.class).min();
        match worst {
            None => Ok(()),
            Some(class) => Err(SimFailure::Broken {
                class,
                count: report.violations,
                again: self.again(report.found.first().map_or(0, |found| found.number)),
            }
            .into()),
        }
    }

    fn source(&self) -> Result<Source, Failure> {
        let source = self.all()?;
        let Some(only) = self.only else {
            return Ok(source);
        };
        let one = source
            .get(only)
            .ok_or(SimFailure::TwinsNumber { number: only })?;
        Ok(Source::List(vec![one]))
    }

    fn all(&self) -> Result<Source, Failure> {
        if let Some(path) = &self.json_in {
            let text = std::fs::read_to_string(path).map_err(Failure::file("read", path))?;
            let list = read(&text).map_err(|error| SimFailure::TwinsFile {
                path: path.clone(),
                error: Box::new(error),
            })?;
            return Ok(Source::List(list));
        }
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let twins = self.twins.unwrap_or((self.members - 1) / 3);
        let space = Space::new(
            count(self.members),
            count(twins),
            count(self.views),
            self.parts.clone(),
        )?;
        say!(
            "{} scenarios: {} members, {twins} of them twins, {} partitions, {} views",
            space.count(),
            self.members,
            space.partitions(),
            self.views,
        );
        Ok(match self.sample {
            Some(sample) => Source::Sample(space, sample, self.seed),
            None if self.distinct => {
                let space = space.with_renamings()?;
                say!("{} differ in more than names", space.distinct());
                Source::Distinct(space)
            }
            None => Source::All(space),
        })
    }

    /// How to run one scenario again.
    fn again(&self, number: u64) -> String {
        let which = match (&self.json_in, self.sample) {
            (Some(path), _) => {
                return format!(
                    "outrider sim twins --json-in {} --only {}",
                    path.display(),
                    self.only.unwrap_or(number)
                );
            }
            (None, Some(sample)) => format!("--sample {sample} --seed {}", self.seed),
            (None, None) => "--exhaustive".to_owned(),
        };
        format!(
            "outrider sim twins --members {} --twins {} --views {} --parts {}..{} {which} --only {}",
            self.members,
            self.twins.unwrap_or((self.members - 1) / 3),
            self.views,
            self.parts.start(),
            self.parts.end(),
            self.only.unwrap_or(number)
        )
    }
}

/// Write all scenarios instead of running them.
fn save(source: &Source, numbers: u64, path: &Path) -> Result<(), Failure> {
    let wrong = |error| SimFailure::TwinsFile {
        path: path.to_path_buf(),
        error: Box::new(error),
    };
    // One more than a file may hold is enough to be told so.
    let most = outrider_sim::twins::SCENARIOS_MAX.saturating_add(1);
    let list: Vec<Rounds> = (0..numbers)
        .filter_map(|number| source.get(number))
        .take(most)
        .collect();
    let text = write(&list).map_err(wrong)?;
    std::fs::write(path, text).map_err(Failure::file("write", path))?;
    say!("{} scenarios are in {}", list.len(), path.display());
    Ok(())
}

/// Run them with a bar.
fn attend(source: &Source, numbers: u64, jobs: usize) -> Result<Report, Failure> {
    let progress = Progress::default();
    let bar = bar(numbers);
    let report = std::thread::scope(|scope| {
        let work = scope.spawn(|| run_many(source, numbers, jobs, &progress));
        while !work.is_finished() {
            bar.set_position(progress.done.load(Ordering::Relaxed));
            let broken = progress.violations.load(Ordering::Relaxed);
            bar.set_message(format!("{broken} violations"));
            std::thread::sleep(LOOK);
        }
        work.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    bar.finish_and_clear();
    Ok(report?)
}

fn bar(numbers: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(numbers);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn tell_of(report: &Report, took: Duration) {
    for found in &report.found {
        tell!("scenario {}: {}", found.number, found.violation);
        if let Ok(json) = write(std::slice::from_ref(&found.rounds)) {
            tell!("{json}");
        }
    }
    let Report {
        scenarios,
        violations,
        committed,
        offended,
        adopted,
        stuck,
        deliveries,
        ..
    } = report;
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = *scenarios as f64 / took.as_secs_f64().max(1e-9);
    say!(
        "scenarios   {scenarios} in {:.1} s, {rate:.0} a second",
        took.as_secs_f64()
    );
    say!("committed   {committed} before all was connected");
    say!("offences    {offended} in which both instances of a twin signed one");
    say!("adopted     {adopted} in which timeouts adopted a block");
    say!("stuck       {stuck} in which nobody could go on until all was connected");
    say!("messages    {deliveries}");
    say!("violations  {violations}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        twins: TwinsArgs,
    }

    fn parse(line: &str) -> Result<TwinsArgs, clap::Error> {
        let words = std::iter::once("twins").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.twins)
    }

    fn failure<T>(result: Result<T, Failure>) -> SimFailure {
        match result {
            Err(Failure::Sim(failure)) => *failure,
            Err(other) => panic!("not of a simulation: {other}"),
            Ok(_) => panic!("nothing failed"),
        }
    }

    #[test]
    fn arguments_say_which_scenarios() {
        let twins = parse("--exhaustive --members 4 --views 3").unwrap();
        assert_eq!(twins.source().unwrap().numbers(), Some(216_000));
        let twins = parse("--sample 5 --seed 2 --members 7 --parts 1..3").unwrap();
        assert_eq!(twins.source().unwrap().numbers(), Some(5));
        for line in [
            "",
            "--exhaustive --sample 3",
            "--sample 3 --distinct",
            "--exhaustive --seed 3",
            "--exhaustive --members 0",
            "--exhaustive --members 17",
            "--exhaustive --views 33",
            "--exhaustive --parts two",
            "--json-in f --members 4",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let beyond = parse("--exhaustive --views 1 --only 60").unwrap();
        assert!(matches!(
            failure(beyond.source()),
            SimFailure::TwinsNumber { number: 60 }
        ));
        let many = parse("--exhaustive --views 32").unwrap();
        assert!(matches!(failure(many.run()), SimFailure::TwinsCount));
    }

    #[test]
    fn a_scenario_that_forks_can_be_run_again_by_its_number_and_from_its_file() {
        let twins = parse("--members 4 --twins 2 --views 2 --sample 60 --seed 1 --jobs 1").unwrap();
        let SimFailure::Broken { class, again, .. } = failure(twins.run()) else {
            panic!("more twins than f fork");
        };
        assert_eq!(class.exit_code(), 10);
        let line = again.strip_prefix("outrider sim twins ").unwrap();
        let one = parse(line).unwrap();
        assert!(
            matches!(failure(one.run()), SimFailure::Broken { count: 1, .. }),
            "{again}"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("scenario.json");
        let file = file.display();
        parse(&format!("{line} --json-out {file}"))
            .unwrap()
            .run()
            .unwrap();
        let read = parse(&format!("--json-in {file}")).unwrap().run();
        assert!(matches!(failure(read), SimFailure::Broken { count: 1, .. }));
    }
}
