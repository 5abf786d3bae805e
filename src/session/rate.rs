//! How much a session may send in a second: messages and bytes, each with a burst of what one second allows. Whoever
//! has sent more is not read until it has paid; nothing is lost, and what it sends waits where it is.

use std::time::Duration;

/// What one session of a role may send. None: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub messages_per_second: Option<u64>,
    pub bytes_per_second: Option<u64>,
}

/// What one session has sent, kept as the times at which all of it will have been paid for.
#[derive(Debug)]
pub struct Meter {
    rates: Rates,
    messages_paid_at: Duration,
    bytes_paid_at: Duration,
}

impl Meter {
    /// For a session that has sent nothing; None where it may send as much as it likes.
    pub fn new(rates: Rates) -> Option<Meter> {
        let meter = Meter { rates, messages_paid_at: Duration::ZERO, bytes_paid_at: Duration::ZERO };
        (rates != Rates::default()).then_some(meter)
    }

    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// The session has sent a message of so many bytes. Gives the uptime at which it may be read again, if that is not
    /// now: a message more has to be within its rate then, and all bytes but those of the last second have to be paid.
    pub fn charge(&mut self, uptime: Duration, bytes: usize) -> Option<Duration> {
        let mut resumes = Duration::ZERO;
        if let Some(rate) = self.rates.messages_per_second {
            let price = price(1, rate);
            self.messages_paid_at = self.messages_paid_at.max(uptime).saturating_add(price);
            resumes = self.messages_paid_at.saturating_add(price);
        }
        if let Some(rate) = self.rates.bytes_per_second {
            let price = price(bytes, rate);
            self.bytes_paid_at = self.bytes_paid_at.max(uptime).saturating_add(price);
            resumes = resumes.max(self.bytes_paid_at);
        }
        let resumes = resumes.saturating_sub(BURST);
        (resumes > uptime).then_some(resumes)
    }
}

/// The time in which so many come at this rate.
fn price(n: usize, per_second: u64) -> Duration {
    let nanoseconds =
        (n as u128).saturating_mul(1_000_000_000).checked_div(u128::from(per_second)).unwrap_or(u128::MAX);
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// What may be sent at once is what comes in this time.
const BURST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// How many messages of this size are taken in a time, each as soon as it may be.
    fn taken(meter: &mut Meter, from: Duration, within: Duration, bytes: usize) -> usize {
        let mut uptime = from;
        let mut n = 0;
        while uptime <= from + within {
            n += 1;
            uptime = meter.charge(uptime, bytes).unwrap_or(uptime);
        }
        n
    }

    fn meter(messages_per_second: Option<u64>, bytes_per_second: Option<u64>) -> Meter {
        Meter::new(Rates { messages_per_second, bytes_per_second }).expect("it is bounded")
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_second_is_free_and_what_follows_comes_at_its_rate() {
        let mut meter = meter(Some(10), None);
        // Ten at once, and ten in each second.
        assert_eq!(taken(&mut meter, SECOND, 5 * SECOND, 1_000_000), 10 + 50);
        // Who was silent has one second again, however long it was.
        assert_eq!(taken(&mut meter, 100 * SECOND, SECOND, 1), 20);
    }

    #[test]
    fn bytes_are_paid_for_after_they_have_come() {
        let mut bytes = meter(None, Some(1_000));
        assert_eq!(bytes.charge(SECOND, 900), None);
        assert_eq!(bytes.charge(SECOND, 100), None);
        assert_eq!(bytes.charge(SECOND, 10_000), Some(11 * SECOND));
        assert_eq!(bytes.charge(11 * SECOND, 500), Some(11 * SECOND + SECOND / 2));
    }

    #[test]
    fn both_hold_at_once() {
        let mut meter = meter(Some(1), Some(1_000_000));
        assert_eq!(meter.charge(SECOND, 10), Some(2 * SECOND));
        assert_eq!(meter.charge(2 * SECOND, 4_000_000), Some(5 * SECOND));
        assert!(Meter::new(Rates::default()).is_none());
    }

    #[test]
    fn nothing_overflows() {
        let mut meter = meter(Some(1), Some(1));
        assert!(meter.charge(Duration::MAX, usize::MAX).is_none());
        assert!(meter.charge(SECOND, usize::MAX).is_some());
    }
}
