//! One writer for many callers: what waits together is committed together.

use std::path::Path;
use std::sync::mpsc::Receiver;

use rusqlite::{Connection, Transaction};

use super::Unavailable;

/// How many callers share one commit at most.
const GROUP: usize = 512;

/// How many statements each connection keeps prepared: as many as there are.
const STATEMENTS: usize = 64;

/// Work for the writer: what it does inside the transaction, and, once that is on disk, how it tells its caller.
pub(super) type Job = Box<dyn FnOnce(&Transaction<'_>) -> Tell + Send>;
/// Tells a caller whether what it did is on disk.
pub(super) type Tell = Box<dyn FnOnce(Result<(), &str>) + Send>;

/// Opens the database as each of its connections is.
pub(super) fn connect(path: &Path) -> Result<Connection, Unavailable> {
    let opened = Connection::open(path).and_then(|connection| {
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        Ok(connection)
    });
    opened.map_err(|error| Unavailable(error.to_string()))
}

/// Does one caller's work so that its failure undoes that, and nothing else.
pub(super) fn savepoint<T>(
    transaction: &Transaction<'_>,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>,
) -> Result<T, rusqlite::Error> {
    let run = |sql| transaction.prepare_cached(sql)?.execute([]).map(drop);
    run("SAVEPOINT one")?;
    let done = work(transaction);
    if done.is_err() {
        run("ROLLBACK TO one")?;
    }
    run("RELEASE one")?;
    done
}

/// Takes all that waits, does it in one transaction, and tells everybody when it is on disk.
pub(super) fn write(connection: &mut Connection, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut tell = Vec::new();
        let committed = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).and_then(|transaction| {
            tell.push(first(&transaction));
            while tell.len() < GROUP {
                let Ok(next) = jobs.try_recv() else { break };
                tell.push(next(&transaction));
            }
            transaction.commit()
        });
        let committed = committed.map_err(|error| error.to_string());
        for tell in tell {
            tell(match &committed {
                Ok(()) => Ok(()),
                Err(why) => Err(why),
            });
        }
    }
}
