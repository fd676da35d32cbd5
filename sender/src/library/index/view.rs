//! The library as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;

/// A piece in the library or in a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct TrackView {
    /// Names it in the library: it follows from the file's path.
    pub id: String,
    /// Title; the file's name when it has none.
    pub title: Option<String>,
    /// Artist, several joined.
    pub artist: Option<String>,
    /// Album.
    pub album: Option<String>,
    /// Length.
    pub duration_s: Option<f64>,
    /// Id of its album.
    pub album_id: Option<String>,
    /// Disc of the album.
    pub disc: Option<u32>,
    /// Number on the disc.
    pub number: Option<u32>,
    /// Year of release.
    pub year: Option<u32>,
    /// Genre.
    pub genre: Option<String>,
    /// How it is stored, such as `FLAC 44.1 kHz 16 bit`.
    pub format: Option<String>,
    /// The file, below its library's folder.
    pub file: Option<String>,
    /// Where its cover is, on this server, if it has one: 404 there says that it has none.
    pub artwork: Option<String>,
}

/// An album.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct AlbumView {
    /// Names it in the library.
    pub id: String,
    /// Title.
    pub title: String,
    /// Whose it is.
    pub artist: Option<String>,
    /// Year of release.
    pub year: Option<u32>,
    /// How many pieces are on it.
    pub tracks: u32,
    /// How long all of them are.
    pub duration_s: f64,
    /// Where its cover is, on this server, if it has one.
    pub artwork: String,
}

/// An artist.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ArtistView {
    /// Names it in the library.
    pub id: String,
    /// Name.
    pub name: String,
    /// Albums with a piece of this artist's.
    pub albums: u32,
    /// Pieces.
    pub tracks: u32,
}

/// A folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct FolderView {
    /// Names it in the library.
    pub id: String,
    /// Its name; the whole path of a library's own folder.
    pub name: String,
    /// Pieces in it, without those of folders in it.
    pub tracks: u32,
    /// Folders in it.
    pub folders: u32,
}

/// A playlist, which is a file among the music: M3U, PLS or XSPF.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct PlaylistView {
    /// Names it in the library.
    pub id: String,
    /// The file's name without its extension.
    pub title: String,
    /// The file, below its library's folder.
    pub file: String,
}

/// An album with what is on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct AlbumDetail {
    /// The album.
    #[serde(flatten)]
    pub album: AlbumView,
    /// By disc and number.
    pub list: Vec<TrackView>,
}

/// An artist with what there is of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ArtistDetail {
    /// The artist.
    #[serde(flatten)]
    pub artist: ArtistView,
    /// Albums with a piece of this artist's, by year.
    pub album_list: Vec<AlbumView>,
    /// The pieces, by album; at most 1000.
    pub list: Vec<TrackView>,
}

/// A folder with what is in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct FolderDetail {
    /// The folder.
    #[serde(flatten)]
    pub folder: FolderView,
    /// Id of the folder that it is in.
    pub parent: Option<String>,
    /// Folders in it.
    pub folder_list: Vec<FolderView>,
    /// Playlists in it.
    pub playlists: Vec<PlaylistView>,
    /// Pieces in it; at most 1000.
    pub list: Vec<TrackView>,
}

/// A playlist with what is in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct PlaylistDetail {
    /// The playlist.
    #[serde(flatten)]
    pub playlist: PlaylistView,
    /// Its pieces that are in the library, in its order.
    pub list: Vec<TrackView>,
    /// Entries that are not: other places, or files that are gone.
    pub missing: u32,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Totals {
    /// Pieces.
    pub tracks: u32,
    /// Albums.
    pub albums: u32,
    /// Artists.
    pub artists: u32,
    /// Folders.
    pub folders: u32,
    /// Playlists.
    pub playlists: u32,
    /// Length of all pieces.
    pub duration_s: u64,
}
