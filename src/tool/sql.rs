use std::ops::ControlFlow;

use sqlparser::ast::{
    CopyTarget, Delete, Expr, FromTable, ObjectName, Query, Select, SetExpr, Statement as Sql, TableFactor, TableFunctionArgs, Visit,
    Visitor,
};
use sqlparser::dialect::{
    BigQueryDialect, ClickHouseDialect, Dialect, GenericDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect, SnowflakeDialect,
};
use sqlparser::parser::Parser;

use super::grammar::Language;
use super::sql_names::{HARMLESS, OBJECTS, QUOTES, SECRET};

/// What one statement does, as a label that rules match: `SELECT`, `DROP TABLE`, `DELETE without WHERE`, `\dt`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// The label.
    pub label: String,
    /// Whether the parser read it; an unread statement fits every pattern as a maybe.
    pub known: bool,
    /// What it drops, without quotes and schemas.
    pub objects: Vec<String>,
}

impl Statement {
    /// A statement that nobody could read.
    pub(crate) fn unknown() -> Self {
        Self { label: "unknown".to_owned(), known: false, objects: Vec::new() }
    }

    fn known(label: impl Into<String>) -> Self {
        Self { label: label.into(), known: true, objects: Vec::new() }
    }
}

/// The longest text that is parsed, in bytes.
const LIMIT: usize = 256 * 1024;

/// Reads the text of one option, and gives a label for everything that it does.
pub(super) fn read(language: Language, text: &[u8]) -> Vec<Statement> {
    let Ok(text) = std::str::from_utf8(text) else {
        return vec![Statement::unknown()];
    };
    if text.len() > LIMIT {
        return vec![Statement::unknown()];
    }
    let trimmed = text.trim_start();
    if language == Language::Postgres && trimmed.starts_with('\\') {
        return vec![meta_command(trimmed)];
    }
    if language == Language::Sqlite && trimmed.starts_with('.') {
        return vec![dot_command(trimmed)];
    }
    // mysql's other way to end a statement.
    let text = if language == Language::Mysql { text.trim_end().trim_end_matches("\\G").trim_end_matches("\\g") } else { text };
    let dialect: &dyn Dialect = match language {
        Language::Postgres => &PostgreSqlDialect {},
        Language::Mysql => &MySqlDialect {},
        Language::Sqlite => &SQLiteDialect {},
        Language::Bigquery => &BigQueryDialect {},
        Language::Clickhouse => &ClickHouseDialect {},
        Language::Snowflake => &SnowflakeDialect {},
        Language::Generic | Language::Shell => &GenericDialect {},
    };
    // psql would run a backslash command in the middle of what looks like SQL to the parser, and so would a variable change it.
    if language == Language::Postgres && (text.contains('\\') || text.contains(":'") || text.contains(":\"")) {
        return vec![Statement::unknown()];
    }
    let quoted = if language == Language::Sqlite { quoted_pragma(text) } else { None };
    match Parser::parse_sql(dialect, quoted.as_deref().unwrap_or(text)) {
        Ok(statements) => {
            let mut labels = Labels(Vec::new());
            for statement in &statements {
                labels.statement(statement);
            }
            labels.0
        }
        Err(_) => vec![Statement::unknown()],
    }
}

/// `PRAGMA table_info(users)` is written as the parser knows it, with quotes (sqlite.org/pragma.html allows both).
fn quoted_pragma(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches(';');
    let (name, argument) = text.strip_suffix(')')?.split_once('(')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let pragma = name.get(..7).is_some_and(|verb| verb.eq_ignore_ascii_case("pragma "));
    (pragma && plain(argument.trim())).then(|| format!("{name}('{}')", argument.trim()))
}

/// `\dt public.*` is `\dt`; anything that could hold a second command is unknown.
fn meta_command(text: &str) -> Statement {
    let mut words = text.split_ascii_whitespace();
    match words.next() {
        Some(name) if text.matches('\\').count() == 1 && !text.contains(['`', '\n', '|', ';', ':']) => Statement::known(name),
        _ => Statement::unknown(),
    }
}

/// `.tables x` is `.tables`; a text of several lines is unknown.
fn dot_command(text: &str) -> Statement {
    match text.split_ascii_whitespace().next() {
        Some(name) if !text.trim_end().contains('\n') => Statement::known(name),
        _ => Statement::unknown(),
    }
}

struct Labels(Vec<Statement>);

impl Labels {
    fn add(&mut self, label: impl Into<String>) {
        self.push(Statement::known(label));
    }

    fn push(&mut self, statement: Statement) {
        if !self.0.contains(&statement) {
            self.0.push(statement);
        }
    }

    fn statement(&mut self, statement: &Sql) {
        if let Sql::Explain { analyze: false, options: None, .. } = statement {
            self.add("EXPLAIN");
            return;
        }
        self.name(statement);
        let ControlFlow::Continue(()) = statement.visit(self);
    }

    fn name(&mut self, statement: &Sql) {
        match statement {
            // A query's own words are seen by `pre_visit_query`.
            Sql::Query(_) => {}
            Sql::Explain { .. } => self.add("EXPLAIN"),
            Sql::Drop { object_type, names, .. } => {
                let objects = names.iter().filter_map(|name| name.0.last()).map(|part| part.to_string().trim_matches(QUOTES).to_owned());
                let label = format!("DROP {object_type}").replace("MATERIALIZED VIEW", "MATERIALIZED");
                self.push(Statement { objects: objects.collect(), ..Statement::known(label) });
            }
            Sql::Delete(delete) => self.add(if bounded(delete) { "DELETE" } else { "DELETE without WHERE" }),
            Sql::Update(update) => self.add(if update.selection.is_some() { "UPDATE" } else { "UPDATE without WHERE" }),
            Sql::Copy { to, target, .. } => {
                self.add(if *to { "COPY TO" } else { "COPY FROM" });
                match target {
                    CopyTarget::Program { .. } => self.add("COPY PROGRAM"),
                    CopyTarget::File { .. } => self.add("COPY FILE"),
                    CopyTarget::Stdin | CopyTarget::Stdout => {}
                }
            }
            other => self.add(first_words(&other.to_string())),
        }
    }
}

impl Visitor for Labels {
    type Break = std::convert::Infallible;

    fn pre_visit_statement(&mut self, statement: &Sql) -> ControlFlow<Self::Break> {
        self.name(statement);
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        if matches!(
            *query.body,
            SetExpr::Select(_) | SetExpr::SetOperation { .. } | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_)
        ) {
            self.add("SELECT");
        }
        if !query.locks.is_empty() {
            self.add("SELECT FOR UPDATE");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Self::Break> {
        let parts: Vec<String> = relation.0.iter().map(|part| part.to_string().trim_matches(QUOTES).to_ascii_lowercase()).collect();
        let (schema, name) = match parts.as_slice() {
            [.., schema, name] => (schema.as_str(), name.as_str()),
            [name] => ("", name.as_str()),
            [] => return ControlFlow::Continue(()),
        };
        if SECRET.iter().any(|(of, named)| (of.is_empty() || *of == schema) && (named.is_empty() || *named == name)) {
            self.add("SELECT secrets");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        if select.into.is_some() {
            self.add("SELECT INTO");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        match factor {
            TableFactor::Table { name, args: Some(TableFunctionArgs { .. }), .. } | TableFactor::Function { name, .. } => {
                self.call(&name.to_string());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Self::Break> {
        if let Expr::Function(function) = expression {
            self.call(&function.name.to_string());
        }
        ControlFlow::Continue(())
    }
}

impl Labels {
    fn call(&mut self, name: &str) {
        let lower = name.to_ascii_lowercase();
        let plain = lower.strip_prefix("pg_catalog.").unwrap_or(&lower);
        if !HARMLESS.contains(&plain) {
            self.add(format!("CALL {lower}"));
        }
    }
}

fn bounded(delete: &Delete) -> bool {
    let from = match &delete.from {
        FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables) => tables,
    };
    delete.selection.is_some() && !from.is_empty()
}

/// `DROP TABLE IF EXISTS x` is `DROP TABLE`; `CREATE OR REPLACE FUNCTION f` is `CREATE FUNCTION`.
fn first_words(text: &str) -> String {
    let upper: Vec<String> = text.split_ascii_whitespace().take(8).map(str::to_ascii_uppercase).collect();
    let Some(first) = upper.first() else {
        return "unknown".to_owned();
    };
    let verb = first.trim_end_matches(';');
    match upper[1..].iter().take(5).find(|word| OBJECTS.contains(&word.as_str())) {
        Some(object) if matches!(verb, "DROP" | "CREATE" | "ALTER" | "INSERT" | "TRUNCATE") && object != "INTO" => {
            if verb == "TRUNCATE" {
                "TRUNCATE".to_owned()
            } else {
                format!("{verb} {object}")
            }
        }
        _ => verb.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Vec<String> {
        read(Language::Postgres, text.as_bytes()).into_iter().map(|statement| statement.label).collect()
    }

    #[test]
    fn statements_are_known_by_what_they_do() {
        assert_eq!(labels("select count(*) from t where id = 3"), ["SELECT"]);
        assert_eq!(labels("DROP TABLE if exists x; select 1"), ["DROP TABLE", "SELECT"]);
        assert_eq!(labels("delete from t"), ["DELETE without WHERE"]);
        assert_eq!(labels("with gone as (delete from t returning *) select * from gone"), ["SELECT", "DELETE without WHERE"]);
        assert_eq!(labels("select pg_terminate_backend(1)"), ["SELECT", "CALL pg_terminate_backend"]);
        assert_eq!(labels("explain delete from t"), ["EXPLAIN"]);
        assert_eq!(labels("explain analyze delete from t"), ["EXPLAIN", "DELETE without WHERE"]);
        assert_eq!(labels("copy t to program 'sh'"), ["COPY TO", "COPY PROGRAM"]);
        assert_eq!(labels("truncate table a, b"), ["TRUNCATE"]);
        assert_eq!(labels("drop database prod"), ["DROP DATABASE"]);
        assert_eq!(labels("select * from dblink('x','y')"), ["SELECT", "CALL dblink"]);
        assert_eq!(labels("\\dt public.*"), ["\\dt"]);
        assert_eq!(labels("\\dt \\! rm -rf /"), ["unknown"]);
        assert_eq!(labels("select 1 \\gexec"), ["unknown"]);
        assert_eq!(labels("select 1 into x"), ["SELECT", "SELECT INTO"]);
        assert_eq!(labels("this is no sql"), ["unknown"]);
        assert_eq!(labels("select * from t for update"), ["SELECT", "SELECT FOR UPDATE"]);
        assert_eq!(labels("select rolname from pG_catalog.\"pg_shadow\""), ["SELECT", "SELECT secrets"]);
        assert_eq!(read(Language::Sqlite, b"pragma table_info(users)"), read(Language::Sqlite, b"PRAGMA table_info('users');"));
    }
}
