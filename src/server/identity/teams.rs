//! Who may fill which slot: the server's teams, made of providers' groups and of single people.

use std::collections::BTreeMap;

use super::settings::{BadSetting, name};
use crate::approval::Approver;

/// The teams of `[teams]`.
#[derive(Clone, Default, Debug)]
pub struct Teams(BTreeMap<String, Vec<Member>>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Member {
    Group { issuer: String, group: String },
    Person(Approver),
}

impl Teams {
    /// Reads `group:ISSUERNAME:GROUP` and `person:ISSUER#SUBJECT`; a group of a provider that is not there is an error.
    pub fn new(teams: &BTreeMap<String, Vec<String>>, issuers: &[&str]) -> Result<Self, BadSetting> {
        let mut read = BTreeMap::new();
        for (team, members) in teams {
            name(team)?;
            let members = members.iter().map(|member| {
                let parsed = parse(member).filter(|parsed| match parsed {
                    Member::Group { issuer, .. } => issuers.contains(&issuer.as_str()),
                    Member::Person(_) => true,
                });
                parsed.ok_or_else(|| {
                    let shown = crate::text::escape(member.as_bytes());
                    BadSetting(format!(
                        "team `{team}`: `{shown}` is neither `group:ISSUERNAME:GROUP` of an issuer nor `person:ISSUER#SUBJECT`"
                    ))
                })
            });
            read.insert(team.clone(), members.collect::<Result<_, _>>()?);
        }
        Ok(Self(read))
    }

    /// The slots that a person may fill: `person:ISSUER#SUBJECT`, and `team:NAME` of each team they are in.
    pub fn of(&self, person: &Approver, issuer: &str, groups: &[String]) -> Vec<String> {
        let is = |member: &Member| match member {
            Member::Group { issuer: of, group } => of == issuer && groups.contains(group),
            Member::Person(one) => one == person,
        };
        let teams = self.0.iter().filter(|(_, members)| members.iter().any(is)).map(|(team, _)| format!("team:{team}"));
        std::iter::once(person.slot()).chain(teams).collect()
    }
}

fn parse(text: &str) -> Option<Member> {
    match text.strip_prefix("group:") {
        None => Approver::of_slot(text).map(Member::Person),
        Some(rest) => {
            let (issuer, group) = rest.split_once(':')?;
            (!group.is_empty()).then(|| Member::Group { issuer: issuer.to_owned(), group: group.to_owned() })
        }
    }
}
