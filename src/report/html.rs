use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::charts::{Columns, LEFT, Lane, WIDTH, activity, drift, times};
use super::facts::{Case, Report};
use super::gather::Span;
use crate::record::sha256;

/// The page's only style sheet.
const STYLE: &str = include_str!("../../templates/report.css");

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    style: &'static str,
    style_hash: String,
    activity: Columns,
    times: Columns,
    drift: Vec<Lane>,
    drift_height: u64,
    width: u64,
    left: u64,
}

/// The report as one page that needs nothing else: no network, no script.
pub fn page(report: &Report, span: Span) -> Result<String, std::fmt::Error> {
    let facts = &report.facts;
    let drift = drift(facts, span.since, span.until);
    let page = Page {
        report,
        style: STYLE,
        // A browser takes this style and none that something in the record could bring.
        style_hash: STANDARD.encode(sha256(&[STYLE.as_bytes()])),
        activity: activity(&facts.activity),
        times: times(&facts.time_to_decision.ranges),
        drift_height: drift.len() as u64 * 46,
        drift,
        width: WIDTH,
        left: LEFT,
    };
    page.render().map_err(|_| std::fmt::Error)
}

impl Page<'_> {
    fn class(&self) -> &'static str {
        match self.report.verification.assurance {
            "anchored" => "good",
            "not anchored" => "fair",
            _ => "bad",
        }
    }

    fn verdict(&self) -> &'static str {
        match self.report.verification.assurance {
            "anchored" => "Sound and anchored",
            "not anchored" => "Sound, but not anchored",
            _ => "Tampered",
        }
    }

    fn meaning(&self) -> &'static str {
        match self.report.verification.assurance {
            "anchored" => "Every entry is as it was written, and a checkpoint that was kept elsewhere vouches for it.",
            "not anchored" => {
                "Every entry is as the log's own key signed it. Nobody else vouches for it: whoever holds that key could have written all of it anew."
            }
            _ => "This log is not as gate wrote it. Do not rely on what this report says below.",
        }
    }

    fn approved(&self) -> Cases<'_> {
        let facts = &self.report.facts;
        Cases { caption: "Approved by people", all: &facts.approved, earlier: facts.approved_earlier, answered: true }
    }

    fn refused(&self) -> Cases<'_> {
        let facts = &self.report.facts;
        Cases { caption: "Refused requests", all: &facts.refused, earlier: facts.refused_earlier, answered: true }
    }

    fn break_glass(&self) -> Cases<'_> {
        Cases {
            caption: "Break-glass uses",
            all: &self.report.facts.break_glass,
            earlier: self.report.facts.break_glass_earlier,
            answered: true,
        }
    }

    fn unreviewed(&self) -> Cases<'_> {
        let facts = &self.report.facts;
        let caption = "Run without another person’s review although a rule wanted a question";
        Cases { caption, all: &facts.unreviewed, earlier: facts.unreviewed_earlier, answered: false }
    }
}

/// A list of cases, with what heads it.
struct Cases<'a> {
    caption: &'static str,
    all: &'a [Case],
    earlier: u64,
    answered: bool,
}
