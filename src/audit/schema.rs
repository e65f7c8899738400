//! The database's layout. The text is compared with the text in a database before anything in it is believed.

/// `GATE`, in the header of every log.
pub(super) const APPLICATION_ID: i32 = 0x4741_5445;

/// Raised by every change of the layout.
pub(super) const USER_VERSION: i32 = 1;

/// Tables and indices: type, name, table, text.
pub(super) const OBJECTS: [(&str, &str, &str, &str); 10] = [
    (
        "table",
        "entry",
        "entry",
        "CREATE TABLE entry(seq INTEGER PRIMARY KEY,body BLOB NOT NULL,sig BLOB NOT NULL,keyid INTEGER NOT NULL,leaf BLOB NOT NULL,\
         req TEXT AS(json_extract(CAST(body AS TEXT),'$.req')),\
         program TEXT AS(CASE json_extract(CAST(body AS TEXT),'$.kind') WHEN 'decision' \
         THEN json_extract(CAST(body AS TEXT),'$.cmd.program') END))STRICT",
    ),
    ("index", "entry_req", "entry", "CREATE INDEX entry_req ON entry(req)WHERE req IS NOT NULL"),
    ("index", "entry_program", "entry", "CREATE INDEX entry_program ON entry(program)WHERE program IS NOT NULL"),
    (
        "table",
        "node",
        "node",
        "CREATE TABLE node(level INTEGER NOT NULL,idx INTEGER NOT NULL,hash BLOB NOT NULL,PRIMARY KEY(level,idx))STRICT,WITHOUT ROWID",
    ),
    (
        "table",
        "head",
        "head",
        "CREATE TABLE head(id INTEGER PRIMARY KEY CHECK(id=1),origin TEXT NOT NULL,size INTEGER NOT NULL,frontier BLOB NOT NULL,\
         prev BLOB NOT NULL,note TEXT NOT NULL,log_key TEXT NOT NULL,record_key TEXT NOT NULL,epoch INTEGER NOT NULL)STRICT",
    ),
    ("table", "checkpoint", "checkpoint", "CREATE TABLE checkpoint(size INTEGER PRIMARY KEY,note TEXT NOT NULL)STRICT"),
    ("table", "token", "token", "CREATE TABLE token(jti TEXT PRIMARY KEY,seq INTEGER NOT NULL)STRICT,WITHOUT ROWID"),
    (
        "table",
        "disclosure",
        "disclosure",
        "CREATE TABLE disclosure(digest TEXT PRIMARY KEY,seq INTEGER NOT NULL,data BLOB NOT NULL)STRICT,WITHOUT ROWID",
    ),
    ("table", "blob", "blob", "CREATE TABLE blob(id INTEGER PRIMARY KEY,sha256 TEXT NOT NULL UNIQUE,data BLOB NOT NULL)STRICT"),
    ("table", "outbox", "outbox", "CREATE TABLE outbox(seq INTEGER NOT NULL,sink TEXT NOT NULL,PRIMARY KEY(seq,sink))STRICT,WITHOUT ROWID"),
];

/// The index that SQLite makes by itself for the unique column of `blob`; it has no text.
pub(super) const AUTOMATIC_INDEX: (&str, &str) = ("sqlite_autoindex_blob_1", "blob");
