//! The links of a cluster as a matrix: a row per node that dials, a column per node that is dialed.

use super::table::{Cell, Table};

/// One direction of a pair of nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub from: String,
    pub to: String,
    /// None while the link is down.
    pub round_trip_ms: Option<f64>,
}

/// The matrix of these nodes. A cell is the round trip in milliseconds or `down`; of a pair that nobody reports
/// nothing is known.
pub fn matrix(nodes: &[&str], links: &[Link]) -> Table {
    let mut table = Table::new(["FROM \\ TO"].into_iter().chain(nodes.iter().copied()));
    for from in nodes {
        let cells = nodes.iter().map(|to| {
            // Of several realms the worst one counts: the pair is as good as its weakest link.
            let of_pair = links.iter().filter(|link| link.from == *from && link.to == *to);
            let worst = of_pair.map(|link| link.round_trip_ms.unwrap_or(f64::INFINITY)).reduce(f64::max);
            match worst {
                _ if from == to => Cell::from("·"),
                None => Cell::Absent,
                Some(ms) if ms.is_finite() => Cell::Number(format!("{ms:.2}")),
                Some(_) => Cell::from("down"),
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
        Link { from: from.to_owned(), to: to.to_owned(), round_trip_ms }
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
        ];
        let expected = "\
FROM \\ TO  edge1  edge2  edge3
edge1      ·       0.25  12.50
edge2      down   ·      –
edge3       3.00  –      ·
";
        assert_eq!(matrix(&["edge1", "edge2", "edge3"], &links).to_string(), expected);
    }
}
