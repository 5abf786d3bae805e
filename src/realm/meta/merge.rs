//! How the answers of the nodes of a cluster to one call of the meta API make one.

/// How the answers of nodes make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Numbers are added.
    Sum,
    /// Lists are joined.
    List,
    /// Lists by match policy are joined.
    Policies,
    /// Lists are joined; none is null.
    ListOrNull,
    /// The first that is not null.
    NotNull,
    /// The one that could do it.
    Any,
    /// The one that has it for the longest time.
    Oldest,
    /// Events are sorted by time, each once.
    Events,
}

impl Merge {
    /// Whether what every node says is part of the answer.
    pub const fn joins(self) -> bool {
        match self {
            Merge::Sum | Merge::List | Merge::Policies | Merge::ListOrNull | Merge::Events => true,
            Merge::NotNull | Merge::Any | Merge::Oldest => false,
        }
    }

    /// Whether what this node knows itself goes before what it is told.
    pub const fn prefers_own(self) -> bool {
        matches!(self, Merge::Oldest | Merge::Events)
    }
}
