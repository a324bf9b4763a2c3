//! The hermetic tests: the whole service against an embedded broker, and the laws of the house.

mod broken_records;
mod clean_table;
mod flights;
mod harness;
mod layering;
mod power;
mod receiver;

mod api;
mod broken_end_to_end;
mod closed_pipe;
mod compare;
mod counts;
mod dashboards;
mod detect_command;
mod gaps;
mod golden;
mod null_grid;
mod null_on_flights;
mod order_free;
mod performance;
mod prometheus;
mod promotion;
mod quality;
mod references;
mod shipped;
mod sql;
mod strays;
mod together;
