//! The routing truth of one realm on one shard: who is here, who listens to what, who answers what. Pure: messages and
//! the time go in, effects come out.
