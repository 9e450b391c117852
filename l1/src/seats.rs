//! How each endpoint has been doing, and so whom to ask. A plain value: whoever owns it says what time it is.

use crate::agreement::is_majority;
use crate::standing::{EndpointEvent, Standing};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Events that wait to be taken; then the oldest are dropped.
const EVENTS_MAX: usize = 256;

#[derive(Debug)]
struct Seat {
    /// What its URL shows.
    url: String,
    standing: Standing,
    retry_at: Option<Instant>,
    lied_at: Option<Instant>,
}

impl Seat {
    /// Whether its chain id has to be asked for before it is believed.
    fn is_fresh(&self) -> bool {
        self.standing == Standing::Unknown || !self.standing.is_alive()
    }
}

#[derive(Debug)]
pub struct Seats {
    seats: Vec<Seat>,
    events: VecDeque<EndpointEvent>,
    /// How long one that did not answer is left alone.
    retry: Duration,
    /// How long one that lied is called a liar.
    pardon: Duration,
}

impl Seats {
    pub fn new(urls: impl Iterator<Item = String>, retry: Duration, pardon: Duration) -> Self {
        let seat = |url| Seat {
            url,
            standing: Standing::Unknown,
            retry_at: None,
            lied_at: None,
        };
        Self {
            seats: urls.map(seat).collect(),
            events: VecDeque::new(),
            retry,
            pardon,
        }
    }

    pub fn take_events(&mut self) -> Vec<EndpointEvent> {
        self.events.drain(..).collect()
    }

    pub fn standings(&self) -> Vec<(String, Standing)> {
        let all = self.seats.iter();
        all.map(|seat| (seat.url.clone(), seat.standing.clone()))
            .collect()
    }

    pub fn stands(&mut self, place: usize, standing: Standing, now: Instant) {
        let is_only = self.seats.len() == 1;
        let Some(seat) = self.seats.get_mut(place) else {
            return;
        };
        let standing = match standing {
            Standing::Good if is_only => Standing::Alone,
            standing => standing,
        };
        seat.retry_at = (!standing.is_alive()).then(|| now + self.retry);
        if matches!(standing, Standing::Lying { .. }) {
            seat.lied_at = Some(now);
        }
        let same = match (&seat.standing, &standing) {
            // The reason may change from time to time, and how far it is behind; that is no news.
            (Standing::Dead { .. }, Standing::Dead { .. })
            | (Standing::Behind { .. }, Standing::Behind { .. })
            | (Standing::Lying { .. }, Standing::Lying { .. }) => true,
            (old, new) => old == new,
        };
        seat.standing = standing.clone();
        if same {
            return;
        }
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        let url = seat.url.clone();
        self.events.push_back(EndpointEvent { url, standing });
    }

    /// It answered as most do. Only agreement about the heads ends `Behind` and, after the pardon, `Lying`.
    pub fn agrees(&mut self, place: usize, about_heads: bool, now: Instant) {
        let is_good = self.seats.get(place).is_some_and(|seat| {
            let pardoned = seat
                .lied_at
                .is_none_or(|at| now.duration_since(at) >= self.pardon);
            match seat.standing {
                Standing::Behind { .. } => about_heads,
                Standing::Lying { .. } => about_heads && pardoned,
                _ => true,
            }
        });
        if is_good {
            self.stands(place, Standing::Good, now);
        }
    }

    /// Whom to ask, and whether its chain id has to be asked for first. Those that did not answer are left alone for a while, unless
    /// the others are too few for any answer.
    pub fn to_ask(&self, now: Instant) -> Vec<(usize, bool)> {
        let all = self.seats.iter().enumerate();
        let due = |seat: &Seat| seat.retry_at.is_none_or(|at| at <= now);
        let some = is_majority(
            all.clone().filter(|(_, seat)| due(seat)).count(),
            self.seats.len(),
        );
        all.filter(|(_, seat)| due(seat) || !some)
            .map(|(place, seat)| (place, seat.is_fresh()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Duration = Duration::from_secs(10);

    fn seats(count: usize) -> Seats {
        let urls = (0..count).map(|place| place.to_string());
        Seats::new(urls, RETRY, Duration::from_secs(600))
    }

    #[test]
    fn who_is_silent_is_left_alone_while_the_others_are_a_majority() {
        let now = Instant::now();
        let mut seats = seats(3);
        let good = |seats: &mut Seats| {
            for place in 0..3 {
                seats.agrees(place, true, now);
            }
        };
        assert_eq!(seats.to_ask(now), [(0, true), (1, true), (2, true)]);
        good(&mut seats);
        assert_eq!(seats.to_ask(now), [(0, false), (1, false), (2, false)]);
        seats.stands(1, Standing::Slow, now);
        assert_eq!(seats.to_ask(now), [(0, false), (2, false)]);
        assert_eq!(
            seats.to_ask(now + RETRY),
            [(0, false), (1, true), (2, false)]
        );
        // One of three decides nothing, so that there is no use in asking it alone.
        let (expected, found) = (1, 2);
        seats.stands(2, Standing::WrongChain { expected, found }, now);
        assert_eq!(seats.to_ask(now), [(0, false), (1, true), (2, true)]);
        good(&mut seats);
        assert_eq!(seats.to_ask(now).len(), 3);
    }

    #[test]
    fn one_that_lies_or_is_behind_is_asked_all_the_same() {
        let now = Instant::now();
        let mut seats = seats(3);
        seats.stands(0, Standing::Lying { about: "logs" }, now);
        seats.stands(1, Standing::Behind { blocks: 9 }, now);
        assert_eq!(seats.to_ask(now), [(0, false), (1, false), (2, true)]);
        // A liar is one for longer.
        seats.agrees(0, true, now + RETRY);
        seats.agrees(1, false, now + RETRY);
        assert_eq!(seats.standings()[0].1, Standing::Lying { about: "logs" });
        assert_eq!(seats.standings()[1].1, Standing::Behind { blocks: 9 });
        seats.agrees(0, true, now + Duration::from_secs(600));
        seats.agrees(1, true, now + RETRY);
        let good = |(_, standing): &(String, Standing)| *standing == Standing::Good;
        assert_eq!(seats.standings().iter().filter(|one| good(one)).count(), 2);
    }

    #[test]
    fn an_event_is_a_change_and_the_oldest_are_forgotten() {
        let now = Instant::now();
        let mut seats = seats(1);
        seats.agrees(0, true, now);
        seats.agrees(0, true, now);
        for blocks in 0..3 {
            seats.stands(0, Standing::Behind { blocks }, now);
        }
        let events = seats.take_events();
        let told: Vec<&Standing> = events.iter().map(|event| &event.standing).collect();
        assert_eq!(told, [&Standing::Alone, &Standing::Behind { blocks: 0 }]);
        for _ in 0..EVENTS_MAX {
            seats.stands(0, Standing::Slow, now);
            seats.stands(0, Standing::Good, now);
        }
        assert_eq!(seats.take_events().len(), EVENTS_MAX);
        assert!(seats.take_events().is_empty());
    }
}
