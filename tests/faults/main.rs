//! What goes wrong in the field, done to the appliance on purpose: kill -9, vanishing hardware, bad input at its edges,
//! stopping, provisioning while calls are up. Real sockets, real processes; every wait is for an event, with a bound.
#![allow(clippy::disallowed_methods, reason = "these tests wait for other threads and processes")]
// Helpers are shared; a panic in them is a failed test.
#![allow(missing_docs, reason = "a test binary has no readers of its documentation")]

mod agents;
mod bans;
mod bounds;
mod cards;
mod console;
mod disk;
mod fraud;
mod hammer;
mod kill;
mod nodes;
mod peers;
mod phone;
mod privileges;
mod process;
mod prompts;
mod provisioning;
mod secrets;
mod serial;
mod site;
mod stop;
mod tones;
mod users;
mod works;
