//! The options and details that the router knows, with their types: one table, used to refuse wrong types.
