//! Cordboard: a contact centre in one binary. Calls come over trunk cards and SIP, walk through a flow, wait in a
//! queue, ring the agent who fits best, are bridged, and leave a record.
//!
//! The binary is a few lines around this library, and tests drive the same machines that serve calls.
//! `ARCHITECTURE.md` has the longer story: threads and their queues, the life of a call, what a power cut leaves,
//! decisions with their reasons.
//!
//! ```text
//!  hal <--> edge::cards <-----+   +------ Change ------> edge::store --> SQLite
//!   |                         v   |                          | durable
//!   | octets             core::switch::Switch <--------------+
//!   |                         |   ^       ^
//!   |                 command v   | event +-- Command, Query / Reply -- edge::console <-- cli
//!   +------------------> media::Plane <--> edge::rtp, edge::recorder
//!      edge::net (SIP) <--> core::switch::Switch
//! ```
//!
//! # Machines
//!
//! Everything that decides is a machine without clock, socket, file, thread or lock. It is told what happened and
//! what time it is by `handle(now, input)` and `handle_timeout(now)`, says by `poll_timeout()` when it wants to be
//! called, and is drained by `poll_output()`. [`core::switch::Switch`] is the largest: it owns all calls, legs,
//! agents, circuits and SIP sessions by value. Inside it are [`proto::sip::Endpoint`], [`core::queue::Engine`], a
//! [`core::ivr::Run`] for each call and a [`proto::cas::em_wink::EmWink`] for each circuit. [`media::Plane`] is the
//! other large one; samples never enter the core, and decisions never leave it. [`appliance`] is where they meet
//! threads and sockets.
//!
//! Three languages join them: [`core::media`] between core and plane, [`core::control`] between consoles and core,
//! and [`core::journal`], the facts that the store writes and that recovery starts from.
//!
//! # Layers
//!
//! | module | may import |
//! | --- | --- |
//! | [`base`] | nothing of ours |
//! | [`proto`], [`dsp`] | `base` |
//! | [`core`] | `base`, `proto` |
//! | [`media`] | `base`, `proto`, `dsp`, `core::media`, and the crate `cordboard_hal` |
//! | [`edge`] | all of the above, and the crates `cordboard_hal` and `cordboard_hal_sim` |
//! | [`simulate`] | `base`, `proto`, `core` |
//! | [`appliance`], [`cli`], [`demo`] | everything |
//!
//! `tests/tidy.rs` holds the table, and that `base` to `media` and `simulate` are pure, do not panic on outside input and have no
//! `unsafe`.
//!
//! # Examples
//!
//! `cargo run --example inbound_call` drives the core alone through a whole call, in virtual time; `t1_loopback`
//! shows a T1 circuit's signals; `flow_walk` walks a flow with typed keys.

pub mod appliance;
pub mod base;
pub mod cli;
pub mod core;
pub mod demo;
pub mod dsp;
pub mod edge;
pub mod media;
pub mod proto;
pub mod simulate;
