//! One record's way through the decoder: walk over its JSON, judge its envelope, keep or undo the row.

use std::borrow::Cow;
use std::sync::Arc;

use super::envelope::{self, Raw, Refusal};
use super::json::{Fault, Scanner, Token};
use super::keys::TopKey;
use super::repeats::last_wins;
use super::rows::ModelRows;
use super::{Accepted, Decoder, Lookup, ModelIndex, Models, Rejection, reject};
use crate::event::{Millis, Reason};
use crate::profile::CompiledLayout;

/// What one walk over a record found.
struct Walk<'a> {
    raw: Raw<'a>,
    /// Whose columns hold the record's fields; `None`: nobody's, they were read over.
    target: Option<usize>,
    /// A member that is an object stands twice: its columns may hold values of both.
    repeated: bool,
}

/// What became of a walk whose JSON was sound.
enum Judged {
    Accepted(Accepted),
    /// The fields were written into other columns than this model's, or none.
    Elsewhere(usize),
}

impl Decoder {
    pub(super) fn record(
        &mut self,
        offset: i64,
        text: &str,
        latest_ts: Millis,
        models: &dyn Models,
    ) -> Result<Accepted, Rejection> {
        let mut text = Cow::Borrowed(text);
        let mut expected = None;
        // At most three walks: one to find the model, one to write into its columns, one without repeated keys.
        loop {
            let mut touched = None;
            let walk = match self.walk(&text, expected, &mut touched, models) {
                Ok(walk) => walk,
                Err(refusal) => {
                    self.undo(touched);
                    return Err(reject(refusal, None));
                }
            };
            if walk.repeated {
                self.undo(walk.target);
                let tidy = last_wins(&text, self.bounds)
                    .map_err(|fault| reject(refusal_of(fault), None))?;
                drop(walk);
                text = Cow::Owned(tidy);
                continue;
            }
            let target = walk.target;
            let verdict = self.judge(&walk.raw, target, offset, latest_ts, models);
            match verdict {
                Ok(Judged::Accepted(accepted)) => return Ok(accepted),
                Ok(Judged::Elsewhere(place)) => {
                    self.undo(target);
                    expected = Some(place);
                }
                Err(rejection) => {
                    self.undo(target);
                    return Err(rejection);
                }
            }
        }
    }

    fn undo(&mut self, target: Option<usize>) {
        if let Some(place) = target {
            self.models[place].undo();
        }
    }

    /// Reads a record once. `expected` is the model if an earlier walk has found it; `touched` tells, also after a
    /// fault, whose columns may have to be undone.
    fn walk<'a>(
        &mut self,
        text: &'a str,
        expected: Option<usize>,
        touched: &mut Option<usize>,
        models: &dyn Models,
    ) -> Result<Walk<'a>, Refusal> {
        let mut scanner = Scanner::new(text, self.bounds);
        if scanner.peek() != b'{' {
            scanner
                .token()
                .and_then(|_| scanner.end())
                .map_err(refusal_of)?;
            return Err((
                Reason::NotAnObject,
                "the message is JSON, but not an object".into(),
            ));
        }
        self.members(&mut scanner, expected, touched, models)
            .map_err(refusal_of)
    }

    fn members<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        expected: Option<usize>,
        touched: &mut Option<usize>,
        models: &dyn Models,
    ) -> Result<Walk<'a>, Fault> {
        let mut raw = Raw::default();
        let mut target = expected.or(self.latest.filter(|latest| self.models[*latest].fresh));
        let (mut features, mut predictions, mut repeated) = (0, 0, false);
        // A field was read over because its model was not known yet.
        let mut missed = false;
        let (mut members, mut cursor) = (0, 0);
        let mut more = scanner.open_object()?;
        while more {
            scanner.count(members)?;
            members += 1;
            match self.order.next(scanner, &mut cursor, TopKey::of)? {
                TopKey::Model => {
                    let token = scanner.token()?;
                    if touched.is_none() && expected.is_none() && !missed {
                        target = match &token {
                            Token::Text(name) => self.place(&name.value, models),
                            _ => None,
                        };
                    }
                    raw.model = Some(token);
                }
                TopKey::Version => raw.version = Some(scanner.token()?),
                TopKey::Id => raw.id = Some(scanner.token()?),
                TopKey::Ts => raw.ts = Some(scanner.token()?),
                TopKey::Ignored => scanner.skip()?,
                fields => {
                    let Some(place) = target else {
                        missed = true;
                        scanner.skip()?;
                        more = scanner.next_member()?;
                        continue;
                    };
                    *touched = target;
                    let rows = &mut self.models[place];
                    match fields {
                        TopKey::Features => {
                            features += 1;
                            rows.read_features(scanner)?;
                        }
                        TopKey::Prediction => {
                            predictions += 1;
                            repeated |= rows.read_prediction(scanner)?;
                        }
                        TopKey::Latency => rows.read_latency(scanner)?,
                        TopKey::Unknown(name) => {
                            rows.unknown(name);
                            scanner.skip()?;
                        }
                        _ => scanner.skip()?,
                    }
                }
            }
            more = scanner.next_member()?;
        }
        scanner.end()?;
        Ok(Walk {
            raw,
            target,
            repeated: repeated || features > 1 || predictions > 1,
        })
    }

    /// Judges the envelope and ends the row.
    fn judge(
        &mut self,
        raw: &Raw<'_>,
        target: Option<usize>,
        offset: i64,
        latest_ts: Millis,
        models: &dyn Models,
    ) -> Result<Judged, Rejection> {
        let name = envelope::model(raw.model.as_ref(), &self.limits)
            .map_err(|refusal| reject(refusal, None))?;
        let refused = |refusal: Refusal| reject(refusal, Some(name));
        let Some(place) = self.place(name, models) else {
            return Err(refused((
                Reason::UndeclaredModel,
                format!("no declaration covers model {name:?}"),
            )));
        };
        let limit = self.limits.models;
        if !self.models[place].carried && self.carried >= limit {
            let what = format!("this partition already carries {limit} models, its limit");
            return Err(refused((Reason::TooManyModels, what)));
        }
        let version = envelope::version(raw.version.as_ref(), &self.limits).map_err(refused)?;
        let id = envelope::id(raw.id.as_ref(), &self.limits).map_err(refused)?;
        let ts = envelope::ts(raw.ts.as_ref(), &self.limits, latest_ts).map_err(refused)?;
        if target != Some(place) {
            return Ok(Judged::Elsewhere(place));
        }
        let rows = &mut self.models[place];
        self.carried += usize::from(!rows.carried);
        rows.accept(offset, ts, &version, id.as_deref());
        Ok(Judged::Accepted(Accepted {
            model: ModelIndex(place),
            learning: rows.layout.is_none(),
        }))
    }

    /// The model's place, with the layout of this batch; `None` when it is undeclared.
    fn place(&mut self, name: &str, models: &dyn Models) -> Option<usize> {
        if let Some(latest) = self.latest
            && self.models[latest].fresh
            && *self.models[latest].name == *name
        {
            return Some(latest);
        }
        let known = self.places.get(name).copied();
        if let Some(place) = known.filter(|place| self.models[*place].fresh) {
            return Some(place);
        }
        let layout = match models.lookup(name) {
            Lookup::Known(layout) => Some(layout),
            Lookup::Learning => None,
            Lookup::Undeclared => return None,
        };
        let place = match known {
            Some(place) => {
                self.models[place].use_layout(layout);
                place
            }
            None => self.add(name, layout),
        };
        // Here, between two batches, and nowhere else.
        self.models[place].keep_ids = models.keeps_ids(name);
        Some(place)
    }

    pub(super) fn add(&mut self, name: &str, layout: Option<Arc<CompiledLayout>>) -> usize {
        let place = self.models.len();
        let name: Arc<str> = Arc::from(name);
        self.places.insert(Arc::clone(&name), place);
        self.models.push(ModelRows::new(name, layout));
        place
    }
}

pub(super) fn refusal_of(fault: Fault) -> Refusal {
    match fault {
        Fault::Syntax { at, expected } => (
            Reason::InvalidJson,
            format!("the JSON is broken at byte {at}, where {expected} is expected"),
        ),
        Fault::CutOff => (Reason::InvalidJson, "the JSON ends too early".into()),
        Fault::TooDeep { limit } => (
            Reason::TooDeep,
            format!("the JSON nests deeper than {limit}"),
        ),
        Fault::TooManyFields { limit } => (
            Reason::TooManyFields,
            format!("an object has more than {limit} members"),
        ),
    }
}
