//! Rules: what is watched for each model, and when somebody is told.
//!
//! The way of a file: [`yaml`] (text to a tree with lines) → [`fields`] (typed values, all problems) →
//! [`declaration`] → [`coverage`] (which declaration covers which model). The way of a window: its scores →
//! [`evaluate()`] → an [`alert`] state and at most one transition. Performance rules are judged once, when a window's
//! labels are mature; [`performance`] makes their scores.
//!
//! **Invariant:** everything here is pure. `evaluate` is a function of rule, state, scores and event time, so rules
//! can be replayed over the past. Deliberately absent: reading files, delivering, storing.

pub mod action;
pub mod alert;
mod columns;
pub mod condition;
pub mod coverage;
pub mod declaration;
pub mod duration;
pub mod evaluate;
mod facts;
pub mod fields;
pub mod glob;
pub mod joint;
pub mod judgement;
pub mod performance;
pub mod problem;
pub mod retrain;
mod rows;
pub mod rule;
pub mod suggest;
mod task;
pub mod watch;
mod windows;
pub mod yaml;

#[cfg(test)]
mod accepted;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod loop_refusals;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod scripts;

pub use action::{Action, AtMost, Mode, Permit};
pub use alert::{AlertState, AlertStatus, Transition};
pub use condition::{Condition, Limit, Side};
pub use coverage::Declarations;
pub use declaration::{Declaration, ReferenceSpec, Rows, parse};
pub use evaluate::{Evaluation, evaluate};
pub use glob::Glob;
pub use joint::{Bandwidth, Joint};
pub use judgement::Judgement;
pub use problem::Problem;
pub use retrain::{CANDIDATES, RetrainPolicy, candidates_for};
pub use rule::{Budget, KOfN, Rule, Severity};
pub use suggest::suggest;
pub use task::Task;
pub use watch::Watch;
