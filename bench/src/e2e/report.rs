//! The summary block of a cell, for people; as JSON it is [`Measured`] as it is.

use super::cell::{Measured, Quantiles};
use super::procfs::Machine;
use crate::numbers::{megabytes, millis};
use std::fmt;

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = megabytes(self.memory_bytes);
        writeln!(
            f,
            "machine            {} x {}, {memory}, Linux {}",
            self.cores, self.cpu, self.kernel
        )?;
        writeln!(
            f,
            "program            {}, commit {}",
            self.outrider, self.commit
        )
    }
}

/// Both percentiles, and in delays if there is one.
fn both(quantiles: &Quantiles, delay_us: u64) -> String {
    let Quantiles { p50, p99 } = *quantiles;
    let (half, most) = (delays(p50, delay_us), delays(p99, delay_us));
    format!("p50 {}{half}  p99 {}{most}", millis(p50), millis(p99))
}

/// A time in multiples of the delay.
fn delays(time_us: Option<u64>, delay_us: u64) -> String {
    match time_us {
        Some(time) if delay_us > 0 => {
            let tenths = (10 * time + delay_us / 2) / delay_us;
            format!(" ({}.{} d)", tenths / 10, tenths % 10)
        }
        _ => String::new(),
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.2}"))
}

fn whole(value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.0}"))
}

impl Measured {
    fn parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dead = match self.dead {
            0 => String::new(),
            dead => format!(", {dead} of them killed"),
        };
        writeln!(f, "members            {}{dead}", self.members)?;
        let Self {
            rate,
            size,
            seconds,
            rollups,
            load_by,
            ..
        } = self;
        writeln!(
            f,
            "load               {rate} tx/s of {size} bytes for {seconds:.1} s, {rollups} rollups, over RPC, by `{load_by}`"
        )?;
        let durable = if self.durable { "yes" } else { "no" };
        writeln!(
            f,
            "durable            {durable}; transactions are not verified, blocks are kept on disk"
        )?;
        if self.delay_us > 0 {
            writeln!(
                f,
                "delay              d = {} one way, by proxies",
                millis(Some(self.delay_us))
            )?;
        }
        if let Some(model) = &self.loss_model {
            writeln!(f, "loss               {:.1} % ({model})", self.loss * 100.0)?;
        }
        Ok(())
    }

    fn results(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.delay_us;
        writeln!(
            f,
            "consensus          {} tx/s, {} bytes/s",
            whole(self.consensus_tx_per_s),
            whole(self.consensus_bytes_per_s)
        )?;
        let latency = both(&self.consensus_latency_us, d);
        writeln!(
            f,
            "consensus latency  {latency} (first sight to soft-final, members' histograms)"
        )?;
        if self.proposed_to_announced_us.p50.is_some() {
            let announced = both(&self.proposed_to_announced_us, d);
            writeln!(
                f,
                "announced          {announced} (proposer's clock to a subscriber)"
            )?;
            writeln!(f, "block interval     {}", both(&self.block_interval_us, d))?;
        }
        writeln!(f, "disk sync          {}", both(&self.sync_us, 0))?;
        let latency = &self.load.latency_us;
        writeln!(
            f,
            "end-to-end         {:.0} tx/s",
            self.load.throughput_per_s
        )?;
        let [p50, p90, p99] = [latency.p50, latency.p90, latency.p99]
            .map(|time| format!("{}{}", millis(time), delays(time, d)));
        writeln!(
            f,
            "end-to-end latency p50 {p50}  p90 {p90}  p99 {p99} (due to soft-final)"
        )?;
        if self.sustained {
            writeln!(f, "sustained          yes")?;
        } else {
            writeln!(
                f,
                "sustained          no: {}",
                self.not_sustained.join("; ")
            )?;
        }
        for (reason, count) in &self.load.rejected {
            writeln!(f, "rejected           {count}: {reason}")?;
        }
        Ok(())
    }

    fn costs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "members' CPU       {} s per 100,000 transactions",
            number(self.cpu_seconds_per_100k)
        )?;
        writeln!(
            f,
            "load's CPU         {:.2} s; members' {:.2} s",
            self.load.cpu_seconds_of_load, self.cpu_seconds_of_members
        )?;
        match &self.wire_unknown {
            None => writeln!(
                f,
                "wire               {} bytes per committed byte, all members",
                number(self.wire_bytes_per_byte)
            )?,
            Some(why) => writeln!(f, "wire               unknown: {why}")?,
        }
        let [idle, after, most] =
            [self.memory.idle, self.memory.after, self.memory.most].map(megabytes);
        writeln!(
            f,
            "memory             {idle} idle, {after} after the load, {most} at most (largest member)"
        )?;
        writeln!(
            f,
            "waiting            {} transactions at most at member-0",
            self.pending_most
        )
    }

    fn outage(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(outage) = &self.outage else {
            return Ok(());
        };
        let threshold = millis(Some(outage.gap_from_us));
        match outage.first_gap_us {
            Some(gap) => writeln!(f, "first gap          {}", millis(Some(gap)))?,
            None => writeln!(f, "first gap          none of more than {threshold}")?,
        }
        let after = |time: Option<u64>| match time {
            Some(_) => format!("{} after the kill", millis(time)),
            None => "not again".to_owned(),
        };
        writeln!(
            f,
            "full rate          {}; for good {} (90 % of a second's load)",
            after(outage.full_rate_after_us),
            after(outage.steady_after_us)
        )?;
        let longest = millis(outage.longest_later_gap_us);
        writeln!(
            f,
            "later gaps         {} of more than {threshold}, longest {longest}",
            outage.later_gaps
        )?;
        writeln!(
            f,
            "before             longest time between blocks {}",
            millis(outage.longest_before_us)
        )
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parameters(f)?;
        self.results(f)?;
        self.costs(f)?;
        self.outage(f)?;
        let audit = &self.audit;
        let (same, living) = audit.agree;
        writeln!(
            f,
            "checked            {} accepted, {} ordered in {} blocks, {} lost, {} ordered twice, {same} of {living} chains the same",
            self.load.accepted, audit.ordered, audit.blocks, audit.lost, audit.twice
        )?;
        for broken in &audit.broken {
            writeln!(f, "BROKEN             {broken}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_also_said_in_delays() {
        let quantiles = Quantiles {
            p50: Some(102_400),
            p99: None,
        };
        assert_eq!(both(&quantiles, 50_000), "p50 102.40 ms (2.0 d)  p99 -");
        assert_eq!(both(&quantiles, 0), "p50 102.40 ms  p99 -");
        assert_eq!(delays(Some(27_500), 50_000), " (0.6 d)");
    }
}
