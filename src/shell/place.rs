use super::reader::{Reader, Result};
use super::{Command, Place};

/// Where what follows a command runs, by how it ended; none where nothing follows.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) good: Option<Place>,
    pub(super) bad: Option<Place>,
}

impl Ends {
    pub(super) fn all(place: Option<Place>) -> Self {
        Self { good: place.clone(), bad: place }
    }
}

/// The place that is one of both.
pub(super) fn join(one: Option<Place>, other: Option<Place>) -> Option<Place> {
    match (one, other) {
        (None, place) | (place, None) => place,
        (Some(one), Some(other)) if one == other => Some(one),
        _ => Some(Place::Unknown),
    }
}

impl Reader<'_> {
    /// What `cd` does to the place.
    pub(super) fn change_directory(&mut self, command: &Command) -> Ends {
        self.moves += 1;
        self.known.moved = true;
        let pushes = command.words[0].literal() != Some(b"cd");
        let target = match &command.words[1..] {
            _ if command.words[0].literal() == Some(b"popd") => None,
            // A place on the list of directories.
            [word] if pushes && word.literal().is_none_or(|text| text.starts_with(b"+")) => None,
            [word] => word.known(),
            _ if pushes => None,
            [dashes, word] if dashes.literal() == Some(b"--") => word.known(),
            [option, word] if matches!(option.literal(), Some(b"-P" | b"-L")) => word.known(),
            _ => None,
        };
        // An option may be hidden in what is not known, but none of them runs anything.
        let good = match target {
            Some(path) => Some(below(&self.here(), &path)),
            None => Some(Place::Unknown),
        };
        // It may fail where the directory was changed already.
        let bad = join(self.place.clone(), good.clone());
        Ends { good, bad }
    }

    /// The place of the next command.
    pub(super) fn here(&self) -> Place {
        self.place.clone().unwrap_or(Place::Unknown)
    }

    /// What a loop did once it may have done before its first command: gives that to all of its commands.
    pub(super) fn repeated(&mut self, first: usize, standing: usize, moves: usize, before: Option<Place>) -> Result<Ends> {
        if self.standing.len() > standing {
            self.spend((self.found.len() - first) * (self.standing.len() - standing))?;
            for command in &mut self.found[first..] {
                for variable in &self.standing[standing..] {
                    if !command.assigned.contains(variable) {
                        command.assigned.push(variable.clone());
                    }
                }
            }
        }
        if self.moves == moves {
            return Ok(Ends::all(before));
        }
        for command in &mut self.found[first..] {
            command.place = Place::Unknown;
        }
        Ok(Ends::all(Some(Place::Unknown)))
    }
}

/// The directory that `path` is from `place`.
pub(super) fn below(place: &Place, path: &[u8]) -> Place {
    let parts = || path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    // `cd ""`, `cd -` and whatever goes up are the shell's own business: it remembers how it came where it is.
    if path.is_empty() || path.starts_with(b"-") || path.starts_with(b"//") || parts().any(|part| part == b"..") {
        return Place::Unknown;
    }
    let relative: Vec<&[u8]> = parts().collect();
    let relative = relative.join(&b'/');
    match place {
        _ if path.starts_with(b"/") => Place::Below([b"/".as_slice(), &relative].concat()),
        Place::Unknown => Place::Unknown,
        place if relative.is_empty() => place.clone(),
        Place::Here => Place::Below(relative),
        Place::Below(base) if base.ends_with(b"/") => Place::Below([base, relative.as_slice()].concat()),
        Place::Below(base) => Place::Below([base, b"/".as_slice(), &relative].concat()),
    }
}
