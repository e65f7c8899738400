//! A layer's head: settings, sets, terms and amends.

use std::time::Duration;

use toml::Spanned;

use super::error::PolicyError;
use super::file::{FileKind, Source, conditions};
use super::raw::{RawAmend, RawEmbedded, RawFile, RawMode, RawStanding, RawTerms};
use super::rule::{Amend, Embedded, Head, TermsPart};
use super::terms::{Escalation, Justification, StandingLimits};

pub(super) fn head(source: &Source<'_>, raw: &RawFile) -> Result<Head, PolicyError> {
    let mut head = Head::default();
    if let Some(layer) = &raw.layer {
        let layer = layer.get_ref();
        head.embedded = layer.embedded.map(|embedded| match embedded {
            RawEmbedded::On => Embedded::On,
            RawEmbedded::DenyOnly => Embedded::DenyOnly,
            RawEmbedded::Off => Embedded::Off,
        });
        head.unmatched = layer.unmatched;
        head.opaque = layer.opaque;
        head.observe = layer.mode.map(|mode| mode == RawMode::Observe);
        head.outcome = layer.outcome;
        for directory in &layer.trusted_programs {
            let text = directory.get_ref();
            let home = text == "~" || text.starts_with("~/");
            if !(text.starts_with('/') || home && source.kind == FileKind::UserHead) {
                return Err(source.error(directory.span(), format!("`{text}` is not an absolute path")));
            }
            head.trusted_programs.push(text.clone());
        }
    }
    if let Some(state) = &raw.state {
        let state = state.get_ref();
        if let Some(dir) = &state.dir {
            if !dir.get_ref().starts_with('/') {
                return Err(source.error(dir.span(), format!("`{}` is not an absolute path", dir.get_ref())));
            }
            head.state_dir = Some(dir.get_ref().clone());
        }
        head.user_may_move = state.user_may_move;
    }
    if let Some(log) = &raw.log {
        head.log = super::log_keys::log_keys(source, log.get_ref())?;
    }
    head.server = raw.server.as_ref().map(|server| super::server_keys::server(source, server.get_ref())).transpose()?;
    head.names = raw.names.iter().map(|(name, patterns)| (name.get_ref().clone(), patterns.clone())).collect();
    for (name, terms) in &raw.terms {
        head.terms.push((name.get_ref().clone(), terms_part(source, terms)?));
    }
    for (id, amend) in &raw.amend {
        head.amends.push(self::amend(source, id, amend)?);
    }
    Ok(head)
}

fn terms_part(source: &Source<'_>, raw: &Spanned<RawTerms>) -> Result<TermsPart, PolicyError> {
    let raw = raw.get_ref();
    let duration = |text: &Option<Spanned<String>>| text.as_ref().map(|text| self::duration(source, text)).transpose();
    if let Some(threshold) = raw.threshold.as_ref().filter(|threshold| *threshold.get_ref() == 0) {
        return Err(source.error(threshold.span(), "a threshold of 0 would approve by nobody").hint("1 is the least"));
    }
    if let Some(channels) = raw.channels.as_ref().filter(|channels| channels.get_ref().is_empty()) {
        return Err(source.error(channels.span(), "without a channel nobody can be asked"));
    }
    if let Some(dev) = raw.dev.as_ref().filter(|dev| *dev.get_ref() && source.kind == FileKind::SystemHead) {
        return Err(source.error(dev.span(), "a server for trying things out decides nothing for the system layer"));
    }
    let escalate = raw.escalate.as_ref().map(|steps| {
        steps
            .iter()
            .map(|step| Ok(Escalation { after: self::duration(source, &step.after)?, approvers: step.approvers.clone() }))
            .collect::<Result<Vec<_>, PolicyError>>()
    });
    for person in &raw.break_glass {
        let named = person.get_ref().strip_prefix("person:").and_then(|person| person.split_once('#'));
        if named.is_none_or(|(issuer, subject)| issuer.is_empty() || subject.is_empty()) {
            let wrong = format!("`{}` is not a person", person.get_ref());
            return Err(source.error(person.span(), wrong).hint("break-glass names people one by one, as `person:ISSUER#SUBJECT`"));
        }
    }
    let standing = raw.standing.as_ref().map(|standing| self::standing(source, standing)).transpose()?;
    Ok(TermsPart {
        approvers: raw.approvers.clone(),
        threshold: raw.threshold.as_ref().map(|threshold| *threshold.get_ref()),
        assurance: raw.assurance,
        fresh: duration(&raw.fresh)?,
        within: duration(&raw.within)?,
        valid: duration(&raw.valid)?,
        channels: raw.channels.as_ref().map(|channels| channels.get_ref().clone()),
        justification: raw.justification.as_ref().map(|wanted| match wanted.as_str() {
            "none" => Justification::None,
            "text" => Justification::Text,
            pattern => Justification::Pattern(pattern.to_owned()),
        }),
        escalate: escalate.transpose()?,
        break_glass: raw.break_glass.iter().map(|person| person.get_ref().clone()).collect(),
        standing,
        dev: raw.dev.as_ref().map(|dev| *dev.get_ref()),
    })
}

/// How often a command may run under a standing grant where nothing is said.
const USES: u32 = 10;

fn standing(source: &Source<'_>, raw: &RawStanding) -> Result<StandingLimits, PolicyError> {
    let most = StandingLimits::MOST_USES;
    if let Some(uses) = raw.uses.as_ref().filter(|uses| !(2..=most).contains(uses.get_ref())) {
        return Err(source.error(uses.span(), format!("a standing grant has 2 to {most} uses")).hint("an approval alone is good for one"));
    }
    Ok(StandingLimits {
        longest: duration(source, &raw.longest)?,
        uses: raw.uses.as_ref().map_or(USES, |uses| *uses.get_ref()),
        patterns: raw.patterns.unwrap_or(false),
    })
}

/// `90s`, `5m`, `2h`, `1d`; never zero.
pub(super) fn duration(source: &Source<'_>, text: &Spanned<String>) -> Result<Duration, PolicyError> {
    let bad = || source.error(text.span(), format!("`{}` is not a duration", text.get_ref())).hint("write it as `90s`, `5m`, `2h` or `1d`");
    let seconds = crate::text::span(text.get_ref()).filter(|seconds| (1..=366 * 86400).contains(seconds)).ok_or_else(bad)?;
    Ok(Duration::from_secs(seconds))
}

fn amend(source: &Source<'_>, id: &Spanned<String>, raw: &Spanned<RawAmend>) -> Result<Amend, PolicyError> {
    let amend = raw.get_ref();
    let disable = amend.disable.unwrap_or(false);
    if !disable && amend.effect.is_none() && amend.terms.is_none() {
        return Err(source
            .error(id.span(), "this amend changes nothing")
            .hint("give it `disable`, `effect` or `terms`; `when` and `unless` say where that holds"));
    }
    Ok(Amend {
        id: id.get_ref().clone(),
        disable,
        effect: amend.effect,
        terms: amend.terms.as_ref().map(|terms| terms.get_ref().clone()),
        when: conditions(source, amend.when.as_ref())?,
        unless: conditions(source, amend.unless.as_ref())?,
    })
}
