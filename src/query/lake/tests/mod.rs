//! The lake's questions from end to end: a log in segments and buffers, and what is answered.

mod laws;
mod log;
mod moves;
mod plans;
mod trouble;
