// A little music for a library, made by ffmpeg.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Title, artist and album of each. */
export const PIECES = [['Ground in D', 'Chamber trio', 'Music for small rooms'], ['Canon at the fifth', 'Chamber trio', 'Music for small rooms'], ['Evening air', 'String quartet', 'Six airs']];

/** A folder of short pieces with tags, a cover for each album, and a playlist with one entry too many. */
export function music() {
  const dir = mkdtempSync(join(tmpdir(), 'unisono-music-'));
  PIECES.forEach(([title, artist, album], at) => {
    const folder = join(dir, album);
    mkdirSync(folder, { recursive: true });
    const tags = Object.entries({ title, artist, album, track: at + 1 }).flatMap(([key, value]) => ['-metadata', `${key}=${value}`]);
    execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', `sine=frequency=${300 + 100 * at}:duration=120`, ...tags, join(folder, `${at + 1}.flac`)]);
    execFileSync('ffmpeg', ['-v', 'error', '-y', '-f', 'lavfi', '-i', `color=c=teal:s=500x500:d=1`, '-frames:v', '1', join(folder, 'cover.png')]);
  });
  writeFileSync(join(dir, 'Evening.m3u'), ['Six airs/3.flac', 'Music for small rooms/1.flac', 'Six airs/3.flac', 'gone.flac'].join('\n'));
  return dir;
}
