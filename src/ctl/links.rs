//! The links of a cluster as a matrix: a row per node that dials, a column per node that is dialed.

use super::table::{Cell, Table};

/// One direction of a pair of nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub from: String,
    pub to: String,
    pub is_up: bool,
    /// None while nothing is known of it.
    pub round_trip_ms: Option<f64>,
}

/// The matrix of these nodes. A cell is the round trip in milliseconds, `up` while that is not known, or `down`; of a
/// pair that nobody reports nothing is known.
pub fn matrix(nodes: &[&str], links: &[Link]) -> Table {
    let mut table = Table::new(["FROM \\ TO"].into_iter().chain(nodes.iter().copied()));
    for from in nodes {
        let cells = nodes.iter().map(|to| {
            // Of several realms the worst one counts: the pair is as good as its weakest link.
            let mut of_pair = links.iter().filter(|link| link.from == *from && link.to == *to).peekable();
            if from == to {
                return Cell::from("·");
            }
            if of_pair.peek().is_none() {
                return Cell::Absent;
            }
            let worst = of_pair.try_fold(None, |worst: Option<f64>, link| {
                let ms = [worst, link.round_trip_ms].into_iter().flatten().reduce(f64::max);
                link.is_up.then_some(ms)
            });
            match worst {
                None => Cell::from("down"),
                Some(None) => Cell::from("up"),
                Some(Some(ms)) => Cell::Number(format!("{ms:.2}")),
            }
        });
        table.row([Cell::from(*from)].into_iter().chain(cells));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: &str, to: &str, round_trip_ms: Option<f64>) -> Link {
        Link { from: from.to_owned(), to: to.to_owned(), is_up: round_trip_ms.is_some(), round_trip_ms }
    }

    #[test]
    fn a_link_is_a_time_or_down() {
        let links = [
            link("edge1", "edge2", Some(0.251)),
            link("edge2", "edge1", None),
            link("edge1", "edge3", Some(12.5)),
            link("edge3", "edge1", Some(1.0)),
            // Another realm of the same pair.
            link("edge3", "edge1", Some(3.0)),
            // It has just come up.
            Link { is_up: true, ..link("edge3", "edge2", None) },
        ];
        let expected = "\
FROM \\ TO  edge1  edge2  edge3
edge1      ·       0.25  12.50
edge2      down   ·      –
edge3       3.00  up     ·
";
        assert_eq!(matrix(&["edge1", "edge2", "edge3"], &links).to_string(), expected);
    }
}
