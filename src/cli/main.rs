//! The `everwire` program.
fn main() {}
