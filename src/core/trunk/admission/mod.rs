//! Whether a tenant's call may take a trunk of a pool that several tenants share: clauses 33 to 35 of the source claims.
//!
//! [`Admission`] is told of agents, calls and what pools and contracts there are, and asked to `decide`. It does so either way:
//! to the letter ([`rule`], with the chances of [`likely`]), or by worth and price (`chain`: what trunks cost and calls are worth;
//! `pair`: the same to the count, for small pools; `price`: keeping both true while estimates move). `estimate` learns how often
//! each tenant's calls come and how long they last. [`Decimal`] is the arithmetic of what is permitted.

mod chain;
mod decimal;
mod desk;
mod estimate;
pub mod likely;
mod pair;
mod price;
pub mod rule;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use decimal::{Decimal, NoDecimal};
pub use desk::{Admission, Contract, Mode, PoolTerms, Verdict};
pub use estimate::{CallRate, Memory, TalkTime};
