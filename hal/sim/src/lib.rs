//! A trunk card in memory.
