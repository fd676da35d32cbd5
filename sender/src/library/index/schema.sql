-- The index of the library. All of it can be made again from the files; another version of it starts anew.

CREATE TABLE folders (
    id     INTEGER PRIMARY KEY,
    key    INTEGER NOT NULL UNIQUE,
    path   BLOB NOT NULL,               -- whole, as the system calls it
    below  BLOB NOT NULL,               -- below the root; empty for the root itself
    parent INTEGER,                     -- none for a root
    sort   TEXT NOT NULL,               -- order in the whole tree
    cover  BLOB                         -- file name of its picture
);
CREATE INDEX folders_by_parent ON folders (parent, sort);

CREATE TABLE tracks (
    id            INTEGER PRIMARY KEY,
    key           INTEGER NOT NULL UNIQUE,
    folder        INTEGER NOT NULL,
    name          BLOB NOT NULL,        -- of the file
    sort          TEXT NOT NULL,        -- order among files
    size          INTEGER NOT NULL,
    modified_ns   INTEGER NOT NULL,
    title         TEXT NOT NULL,
    artist        TEXT,                 -- as shown; the artists themselves are in credits
    album         INTEGER,
    disc          INTEGER,
    number        INTEGER,
    year          INTEGER,
    genre         TEXT,
    duration_ms   INTEGER,
    codec         TEXT,
    rate          INTEGER,
    bits          INTEGER,
    channels      INTEGER,
    tagged        INTEGER NOT NULL,     -- 1: ReplayGain or R128 values are in the file
    loudness      REAL,                 -- measured: LUFS of the track
    peak          REAL,                 -- measured: largest sample, 1 is full scale
    album_loudness REAL,                -- measured: LUFS of the album it is on
    album_peak    REAL
);
CREATE INDEX tracks_by_folder ON tracks (folder);
CREATE INDEX tracks_by_album ON tracks (album);
CREATE INDEX tracks_to_measure ON tracks (id) WHERE tagged = 0 AND loudness IS NULL;

CREATE TABLE albums (
    id     INTEGER PRIMARY KEY,
    key    INTEGER NOT NULL UNIQUE,
    title  TEXT NOT NULL,
    artist TEXT,
    year   INTEGER,
    sort   TEXT NOT NULL
);
CREATE INDEX albums_by_sort ON albums (sort);

CREATE TABLE artists (
    id   INTEGER PRIMARY KEY,
    key  INTEGER NOT NULL UNIQUE,
    name TEXT NOT NULL,
    sort TEXT NOT NULL
);
CREATE INDEX artists_by_sort ON artists (sort);

CREATE TABLE credits (
    track  INTEGER NOT NULL,
    artist INTEGER NOT NULL,
    PRIMARY KEY (track, artist)
) WITHOUT ROWID;
CREATE INDEX credits_by_artist ON credits (artist, track);

CREATE TABLE playlists (
    id          INTEGER PRIMARY KEY,
    key         INTEGER NOT NULL UNIQUE,
    folder      INTEGER NOT NULL,
    name        BLOB NOT NULL,          -- of the file
    title       TEXT NOT NULL,
    sort        TEXT NOT NULL,
    size        INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL
);
CREATE INDEX playlists_by_folder ON playlists (folder);

CREATE TABLE roots (
    key     INTEGER PRIMARY KEY,
    scanned INTEGER NOT NULL            -- 1: has been read from end to end at least once
);

-- Words of one to three letters are looked up as they are typed, so their prefixes are indexed too.
CREATE VIRTUAL TABLE track_words USING fts5 (
    title, artist, album,
    content = '', contentless_delete = 1, prefix = '1 2 3', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE album_words USING fts5 (
    title, artist,
    content = '', contentless_delete = 1, prefix = '1 2 3', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE artist_words USING fts5 (
    name,
    content = '', contentless_delete = 1, prefix = '1 2 3', tokenize = 'unicode61 remove_diacritics 2'
);
