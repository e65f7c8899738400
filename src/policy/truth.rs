/// Whether something holds, as far as it is known before it runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Truth {
    /// Surely not.
    No,
    /// It depends on what is only known when it runs.
    Maybe,
    /// Surely.
    Yes,
}

impl Truth {
    pub(super) fn and(self, other: Self) -> Self {
        self.min(other)
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Truth {
    fn from(sure: bool) -> Self {
        if sure { Self::Yes } else { Self::No }
    }
}

/// The best of several: whether any holds.
pub(super) fn any(truths: impl IntoIterator<Item = Truth>) -> Truth {
    let mut best = Truth::No;
    for truth in truths {
        best = best.max(truth);
        if best == Truth::Yes {
            break;
        }
    }
    best
}

/// The worst of several: whether all hold.
pub(super) fn all(truths: impl IntoIterator<Item = Truth>) -> Truth {
    any(truths.into_iter().map(Truth::not)).not()
}
