//! What all rules said together.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::decide::{Fired, Gathered};
use super::needs::Needs;
use super::reason::Effect;
use super::terms::Risk;

impl Default for Gathered {
    fn default() -> Self {
        Self { effect: Effect::Allow, fired: Vec::new(), asked: BTreeSet::new(), needs: Needs::default() }
    }
}

impl Gathered {
    /// The greatest risk among the rules that decided.
    pub(super) fn risk(&self) -> Risk {
        self.fired.iter().filter(|fired| fired.reason.effect == self.effect).map(|fired| fired.reason.risk).max().unwrap_or_default()
    }

    /// Whether it would be asked, and every ask is only observed.
    pub(super) fn observed(&self) -> bool {
        self.effect == Effect::Ask && self.fired.iter().all(|fired| fired.reason.effect != Effect::Ask || fired.reason.observed)
    }

    pub(super) fn add(&mut self, effect: Effect, mut fired: Fired) {
        self.effect = self.effect.max(effect);
        Rc::make_mut(&mut fired.reason).effect = effect;
        self.push(fired);
    }

    pub(super) fn push(&mut self, fired: Fired) {
        if !self.fired.contains(&fired) {
            self.fired.push(fired);
        }
    }
}
