// What the page says: the state, then the number, then what to do. Pure.

import { SILENCE_DB } from './curve.js';

/** Beyond this somebody could hear it, in microseconds; the hub says so at the same figure. */
export const OUT_OF_STEP_US = 100;
/** A report older than this is not current, in seconds. */
export const STALE_S = 5;
/** A room that has been gone for longer is missed no more, in seconds. */
const MISSED_S = 600;

const NUMBERS = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve'];
const MINUS = '−';

/** "four"; figures beyond twelve. */
export function number(n) {
  return NUMBERS[n] ?? String(n);
}

/** "Four rooms". */
export function rooms(n) {
  return `${capital(number(n))} ${n === 1 ? 'room' : 'rooms'}`;
}

/** With a capital letter. */
export function capital(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A time between things in µs or ms, rounded up so that it never looks better than it is. */
export function span(us) {
  const size = Math.abs(us);
  if (size < 1000) return `${Math.ceil(size)} µs`;
  const ms = size / 1000;
  return ms < 10 ? `${(Math.ceil(ms * 100) / 100).toFixed(2)} ms` : `${Math.ceil(ms)} ms`;
}

/** An offset beside its bead: early is plus, late is a true minus. */
export function signed(offsetUs) {
  const size = Math.ceil(Math.abs(offsetUs));
  if (size === 0) return '0';
  return offsetUs < 0 ? `+${size}` : `${MINUS}${size}`;
}

/** "3 µs early". */
export function offset(offsetUs) {
  if (Math.ceil(Math.abs(offsetUs)) === 0) return 'on the clock';
  return `${span(offsetUs)} ${offsetUs < 0 ? 'early' : 'late'}`;
}

/** How far sound travels meanwhile: "2.4 mm", "14 cm", "3.4 m". */
export function distance(us) {
  const mm = millimetres(us);
  if (mm < 9.95) return `${mm.toFixed(1)} mm`;
  return mm < 1000 ? `${Math.round(mm / 10)} cm` : `${(mm / 1000).toFixed(1)} m`;
}

/** At 343 m/s. */
export function millimetres(us) {
  return Math.abs(us) * 0.343;
}

/** "1 album", "1,024 titles". */
export function count(n, one) {
  return `${n.toLocaleString('en')} ${one}${n === 1 ? '' : 's'}`;
}

/** "−14 dB", or "silent". */
export function level(db) {
  if (db <= SILENCE_DB) return 'silent';
  const whole = Math.round(db);
  return `${whole < 0 ? MINUS : ''}${Math.abs(whole)} dB`;
}

/** What a fader says to a reader: "−14 dB, at most −2 dB". */
export function faderLevel(db, maxDb = 0) {
  return `${level(db)}, at most ${level(maxDb)}`;
}

/** "1:12"; hours where there are any. */
export function time(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** "2 minutes". */
export function lasting(seconds) {
  const units = [[86400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']];
  const [size, name] = units.find(([size]) => seconds >= size) ?? [1, 'second'];
  const n = Math.max(1, Math.floor(seconds / size));
  return `${n} ${name}${n === 1 ? '' : 's'}`;
}

/** What a trim is like, with its distance in air. */
export function trim(us) {
  if (us === 0) return { value: 'none', hint: 'Sounds when the house does.' };
  const size = Math.abs(us);
  const value = size < 1000 ? `${size} µs` : `${(size / 1000).toFixed(2)} ms`;
  return us > 0
    ? { value: `${value} later`, hint: `As if the loudspeaker stood ${distance(us)} further away.` }
    : { value: `${value} earlier`, hint: `As if the loudspeaker stood ${distance(us)} closer.` };
}

/** The state that a room is in, as the page shows it. */
export function condition(room) {
  if (room.presence === 'at_the_door') return 'door';
  if (room.presence === 'gone') return 'gone';
  const health = room.health;
  if (!health || room.health_age_s > STALE_S) return room.stream ? 'stale' : 'silent';
  if (health.state === 'no_card') return 'no_card';
  if (!room.stream) return 'silent';
  if (room.lineOff) return 'off';
  if (health.state === 'starved') return 'starved';
  if (!room.settled || !sounds(health) || health.offset_us == null) return 'locking';
  if (Math.abs(health.offset_us) > OUT_OF_STEP_US) return 'late';
  return room.trouble?.audible ? 'trouble' : 'step';
}

/** Whether it plays its line, heard or muted. */
export function sounds(health) {
  return health.state === 'playing' || health.state === 'muted';
}

/** Whether a room is on its line now and its offset may be drawn. */
export function isHeard(room) {
  return ['late', 'trouble', 'step'].includes(condition(room));
}

/** Losses in a few words. */
export function losses(health) {
  const { packets_lost: lost = 0, packets_repaired: repaired = 0, loss_ratio: ratio = 0 } = health;
  if (ratio > 0) return `loses ${inHundred(ratio)}`;
  if (lost > 0) return `${lost} lost in ${lasting(health.uptime_s ?? 0)}`;
  if (repaired > 0) return `${repaired} lost, ${repaired === 1 ? 'repaired' : repaired === 2 ? 'both repaired' : 'all repaired'}`;
  return 'nothing lost';
}

/** A share, rounded up: "6 in 100", "3 in 1000". */
export function inHundred(share) {
  return share >= 0.01 ? `${Math.ceil(share * 100)} in 100` : `${Math.max(1, Math.ceil(share * 1000))} in 1000`;
}

/** A room's health in two short lines, and the second one for a narrow page. `away` puts it into the past. */
export function health(room, { away = false, now = Date.now() / 1000 } = {}) {
  const lines = (bold, wide, narrow = wide, bad = false) => ({ bold, wide, narrow, bad });
  switch (condition(room)) {
    case 'gone': {
      const since = room.last_seen_s ? `for ${lasting(now - room.last_seen_s)}` : 'yet';
      return lines('Not heard', since, `not heard ${since}`, Boolean(room.stream));
    }
    case 'stale':
      return lines('Not heard', 'reports nothing', 'reports nothing', !away);
    case 'silent':
      return lines('Silent', 'plays nothing');
    case 'off':
      return lines('Silent', 'its line is off');
    case 'no_card':
      return lines('No sound card', 'plug it in', 'no sound card', true);
    case 'starved':
      return lines('No packets', 'see its network', 'no packets', true);
    case 'locking':
      return lines('Getting in step', 'a few seconds');
    case 'late':
      return lines('Out of step', losses(room.health), offset(room.health.offset_us), true);
    case 'trouble':
      return room.health.loss_ratio > 0
        ? lines('Loses packets', inHundred(room.health.loss_ratio), losses(room.health), true)
        : lines(away ? 'Was in step' : 'In step', 'look closer', 'look closer', true);
    default:
      return lines(away ? 'Was in step' : 'In step', losses(room.health), offset(room.health.offset_us));
  }
}

const CURE = 'A cable, another Wi-Fi channel or a longer playout delay helps.';

/** Of each kind of trouble: how bad, what several rooms do together, and what is to be done. */
const KINDS_OF_TROUBLE = {
  no_card: { worst: 6, together: 'have no sound card', help: ['Is it plugged in, and does no other program hold it?', 'Are they plugged in?'] },
  starved: { worst: 5, together: 'get no packets', help: ['Does its network let multicast through?', 'Does the network let multicast through?'] },
  late: { worst: 4, together: 'are out of step', help: ['It pulls itself back in. If it stays away, look at its network.', 'They pull themselves back in. If they stay away, look at the network.'] },
  loss: { worst: 3, together: 'lose packets', help: [CURE, CURE] },
  other: { worst: 3, together: 'need a hand', help: ['', 'Look closer at each.'] },
  gone: { worst: 7, together: 'are not heard', help: ['Does it have power?', 'Do they have power?'] },
  stale: { worst: 2, together: 'report nothing', help: ['Restart it if that stays so.', 'Restart them if that stays so.'] },
  source: { worst: 1, together: "can't play", help: ['It is tried again by itself.', 'They are tried again by themselves.'] },
};

/**
 * What is wrong in the house, the worst first, the same trouble of several rooms as one:
 * `{ kind, rooms, names, title, text, what, help }`. `what` is a sentence whose subject are the names.
 */
export function troubles(house, now = Date.now() / 1000) {
  const found = [];
  for (const room of house.rooms) {
    const trouble = ofRoom(room, house, now);
    if (trouble) found.push({ rooms: [room], names: room.name, ...trouble });
  }
  for (const stream of house.streams) {
    const listeners = house.rooms.some((room) => room.stream === stream.id && isHeard(room));
    if (stream.playback.state !== 'failed' || !stream.enabled || !listeners) continue;
    const reason = capital(sentence(stream.playback.reason ?? 'its source fails'));
    found.push({ kind: 'source', rooms: [], stream, names: stream.name, title: `${stream.name} can't play`, text: reason, what: `can't play. ${reason}` });
  }
  const kinds = Object.keys(KINDS_OF_TROUBLE).map((kind) => found.filter((trouble) => trouble.kind === kind));
  return kinds.filter((same) => same.length).map(together).sort((a, b) => KINDS_OF_TROUBLE[b.kind].worst - KINDS_OF_TROUBLE[a.kind].worst);
}

function ofRoom(room, house, now) {
  const say = (kind, title, text, what) => ({ kind, title: `${room.name} ${title}`, text, what });
  switch (condition(room)) {
    case 'late': {
      const us = room.health.offset_us;
      const others = house.rooms.some((other) => other !== room && other.stream === room.stream && isHeard(other));
      const text = `${offset(us)}, as if its loudspeaker stood ${distance(us)} ${us > 0 ? 'too far' : 'too close'}.`;
      const ratio = room.health.loss_ratio;
      const what = ratio > 0 ? `loses ${inHundred(ratio)} packets. ${CURE}` : `is ${offset(us)}.`;
      return { ...say('late', 'is out of step', others ? `${text} The rooms on its line play on.` : text, what), help: ratio > 0 ? '' : undefined };
    }
    case 'no_card':
      return say('no_card', 'has no sound card', 'It is silent, and plays again by itself once the card is there.', 'has no sound card.');
    case 'starved':
      return say('starved', 'is silent', 'It hears of its line, but no packets come.', 'gets no packets.');
    case 'trouble': {
      const ratio = room.health.loss_ratio;
      if (ratio > 0) return say('loss', 'loses packets', `${capital(inHundred(ratio))} never came; the gaps are faded over.`, `loses ${inHundred(ratio)} packets.`);
      const said = told(room);
      return { ...say('other', 'needs a hand', capital(said), said), help: room.trouble.help ?? '' };
    }
    case 'gone': {
      const gone = now - (room.last_seen_s ?? now);
      if (!room.stream || gone > MISSED_S) return null;
      return say('gone', 'is not heard', `It was last heard ${lasting(gone)} ago.`, 'does not answer.');
    }
    case 'stale':
      return say('stale', 'is not heard', 'It is linked, but reports nothing.', 'reports nothing.');
    case 'locking':
      if (room.health.ptp !== 'searching' || !room.trouble) return null;
      return { ...say('other', 'needs a hand', room.trouble.text, room.trouble.text.replace(`${room.name} `, '')), help: room.trouble.help ?? '' };
    default:
      return null;
  }
}

/** What the hub says of a room, without its name in front. */
function told({ name, trouble }) {
  return sentence(trouble.text.replace(`${name}: `, '').replace(`${name} `, ''));
}

/** What is worth a word about a room though nobody hears anything of it: `{ text, help }`, or null. */
export function aside(room) {
  const current = room.presence === 'here' && room.health && room.health_age_s <= STALE_S;
  if (!current || !room.trouble || room.trouble.audible) return null;
  return { text: capital(told(room)), help: room.trouble.help ?? '' };
}

function together(same) {
  const { together, help } = KINDS_OF_TROUBLE[same[0].kind];
  if (same.length === 1) return { ...same[0], help: same[0].help ?? help[0] };
  const names = listed(same.map(({ names }) => names));
  const rooms_ = same.flatMap((trouble) => trouble.rooms);
  const subject = rooms_.length ? rooms(same.length) : `${capital(number(same.length))} lines`;
  const worst = Math.max(...rooms_.map((room) => room.health?.loss_ratio ?? 0));
  const what = same[0].kind === 'loss' ? `lose up to ${inHundred(worst)} packets.` : `${together}.`;
  return { ...same[0], rooms: rooms_, names, title: `${subject} ${together}`, text: `${names}.`, what, help: help[1] };
}

/** "Bath, Kitchen and two more". */
function listed(names) {
  const shown = names.length > 3 ? [...names.slice(0, 2), `${number(names.length - 2)} more`] : names;
  return `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

function sentence(words) {
  return /[.?]$/.test(words) ? words : `${words}.`;
}

/** The worst spread of any one line over the last minute; null when no line has two rooms. */
export function worstSpread(house) {
  const together = house.streams.filter((stream) => stream.spread_us != null);
  const spreads = together.map((stream) => stream.spread_worst_us ?? stream.spread_us);
  return spreads.length ? Math.max(...spreads) : null;
}

/**
 * The truth of the house in one sentence: `{ state, title, figure, text, caliper }`. `figure` follows the title,
 * `caliper` is a length in mm that stands behind the text. Title alone is what a reader hears when it changes.
 */
export function headline(house, { away, trouble = [], now = Date.now() / 1000 } = {}) {
  if (away) {
    const at = new Date(away.since * 1000);
    const clock = `${String(at.getHours()).padStart(2, '0')}:${String(at.getMinutes()).padStart(2, '0')}`;
    const text = house
      ? `Showing the last we know, from ${clock}, ${lasting(now - away.since)} ago. Rooms start again by themselves when it is back.`
      : 'Nothing is known yet. Does it have power, and is this device in its network?';
    return { state: 'away', title: 'The sender is away', text };
  }
  if (trouble.length) return { state: 'wrong', title: trouble[0].title, text: trouble[0].text };
  const door = house.rooms.filter((room) => condition(room) === 'door');
  if (door.length) {
    const title = door.length === 1 ? 'A new room is at the door' : `${rooms(door.length)} are at the door`;
    return { state: 'new', title, text: 'Make it chirp to hear which one it is. Let it in only if its own log shows the same code.' };
  }
  return { state: 'ok', ...calm(house) };
}

function calm(house) {
  const inside = house.rooms.filter((room) => room.presence === 'here');
  if (!house.rooms.length) {
    return { title: 'No room yet', text: 'Start unisono-receiver on a host with a sound card; it appears here by itself.' };
  }
  if (!inside.length) return { title: 'Every room is away', text: 'They come back by themselves when they have power.' };
  const heard = inside.filter(isHeard);
  const spread = worstSpread(house);
  if (heard.length > 1 && spread != null) {
    const line = largestLine(house, heard);
    const size = heard.filter((room) => room.stream === line.id).length;
    // Distance and caliper are those of the figure that is shown.
    const shown = Math.ceil(spread);
    const figure = span(shown);
    const text = `${rooms(size)} play ${line.playback.title ?? line.name} as one loudspeaker. In ${figure.replace(' ', '\u00a0')}, sound travels ${distance(shown).replace(' ', '\u00a0')}:`;
    return { title: 'In step', figure, text, caliper: Math.min(120, millimetres(shown)) };
  }
  if (heard.length) {
    const line = largestLine(house, heard);
    const size = span(Math.max(...heard.map((room) => Math.abs(room.health.offset_us))));
    const who = heard.length === 1 ? `${heard[0].name} plays ${line.playback.title ?? line.name}` : `${rooms(heard.length)} play, each a line of its own`;
    return { title: 'On the clock', figure: size, text: `${who}. Send a line to a second room, and both are one loudspeaker.` };
  }
  if (inside.some((room) => condition(room) === 'locking')) {
    return { title: 'Getting in step', text: 'Rooms measure the clock before they sound. That takes a few seconds.' };
  }
  return { title: 'The house is quiet', text: 'Tap a crossing: that room plays that line.' };
}

function largestLine(house, heard) {
  const size = (stream) => heard.filter((room) => room.stream === stream.id).length;
  return house.streams.reduce((best, stream) => (size(stream) > size(best) ? stream : best));
}

const KINDS = {
  library: 'Library', pipe: 'Pipe', command: 'Program', http: 'Internet radio', capture: 'Line-in', rtp: 'Another sender', mix: 'Mix', demo: 'Demo', tone: 'Test tone',
};

/** What a line's head says: title, who, where from, how far. */
export function stream(stream, listeners) {
  const { title, artist, album, position_s: position, duration_s: duration } = stream.playback;
  const named = Boolean(title);
  const kind = stream.origin === 'heard' ? `From ${stream.sender || 'another sender'}` : (KINDS[stream.kind] ?? stream.kind);
  return {
    title: title ?? stream.name,
    who: standing(stream, listeners) ?? (artist || album || (listeners ? kind : 'Ready. Nobody is listening')),
    source: named ? stream.name : kind,
    time: position == null ? '' : duration ? `${time(position)} of ${time(duration)}` : time(position),
  };
}

/** What a line's source is and does, as a fact: "Pipe, stalled: no sound comes". */
export function source({ origin, kind, playback: { state, reason, writer_ppm: writer, silent_s: silent, idle } }) {
  if (origin === 'heard') return '';
  const clock = writer == null || Math.abs(writer) < 0.5 ? '' : `; its clock runs ${ppm(writer)}`;
  const does = { failed: `failed: ${reason}`, stalled: 'stalled: no sound comes', idle: 'idle: it has nothing to play' }[state] ?? state;
  return `${KINDS[kind] ?? kind}, ${does}${clock}${idle && state === 'playing' ? `; silent for ${lasting(silent)}` : ''}`;
}

const LOUDSPEAKERS = ['no channels', 'mono', 'stereo'];

/** What is on the wire, `48000:16:2`: "48 kHz, 16 bit, stereo". */
export function format(text) {
  const [, rate, bits, channels] = /^(\d+):(\d+):(\d+)$/.exec(text) ?? [];
  return rate ? `${rate / 1000} kHz, ${bits} bit, ${LOUDSPEAKERS[channels] ?? `${channels} channels`}` : text;
}

/** Why a line doesn't sound as it should, if it doesn't. */
function standing(stream, listeners) {
  if (!stream.enabled) return listeners ? 'Off. Its rooms are silent' : 'Off';
  if (!stream.present) return 'Not there now. Its rooms wait for it';
  switch (stream.playback.state) {
    case 'failed':
      return sentence(stream.playback.reason ?? 'Its source fails');
    case 'stalled':
      return 'No sound comes from its source';
    case 'paused':
      return stream.playback.title ? null : 'Paused';
    case 'idle':
      return stream.playback.title ? null : 'Ready. Nothing plays';
    default:
      return null;
  }
}

/** The right end of a line: how far its rooms are apart. `{ figure, text }` */
export function spread(stream, rooms) {
  const count = (n) => `${n} ${n === 1 ? 'room' : 'rooms'}`;
  const heard = rooms.filter(isHeard).length;
  const missing = rooms.filter((room) => ['gone', 'stale', 'no_card', 'starved'].includes(condition(room))).length;
  const worst = stream.spread_worst_us ?? stream.spread_us;
  if (heard > 1 && worst != null) return { figure: span(worst), text: missing ? `${count(heard)}, ${missing} missing` : count(heard), bad: worst > OUT_OF_STEP_US };
  if (heard) return { figure: count(heard), text: missing ? `${missing} missing` : 'on the clock' };
  return { figure: '', text: rooms.length ? (missing ? `${missing} missing` : count(rooms.length)) : 'no room' };
}

/** A room's health as facts: pairs of a name and a sentence in three parts, of which the second weighs. */
export function facts(room) {
  const health = room.health;
  const host = room.host ? `${room.host}${room.address ? `, ${room.address}` : ''}` : (room.address ?? 'unknown');
  const device = [['Output', ['', room.output || 'unknown', '']], ['Device', ['', host, room.software ? `, version ${room.software}` : '']]];
  if (!health) return device;
  return [
    ['Losses', lossFact(health)],
    ['Buffer', health.buffer_ms == null ? ['', 'empty', ''] : ['', `${Math.floor(health.buffer_ms)} ms`, ' ahead']],
    ['Clock', clockFact(health)],
    ['Card', cardFact(health)],
    ['Network', health.rtt_us == null ? ['', 'not measured', ''] : ['answers in ', milliseconds(health.rtt_us), health.stamps ? `, stamped by the ${health.stamps}` : '']],
    ...device,
  ];
}

function lossFact(health) {
  const since = ` in ${lasting(health.uptime_s ?? 0)}`;
  const { packets_lost: lost = 0, packets_late: late = 0, packets_repaired: repaired = 0, loss_ratio: ratio = 0, xruns = 0 } = health;
  const dry = xruns ? `; the card ran dry ${xruns === 1 ? 'once' : `${xruns} times`}` : '';
  if (ratio > 0) return ['', inHundred(ratio), ` packets in the last minute${dry}`];
  if (lost + late > 0) return ['', `${lost + late} packets`, `${since}, ${repaired} more repaired${dry}`];
  if (repaired > 0) return ['', `${repaired} packets`, `${since}, all repaired${dry}`];
  return ['', 'None', `${since}${dry}`];
}

/** What is said of a PTP clock that is not well known. */
const PTP = {
  searching: ['', 'no PTP grandmaster', ' is heard'],
  learning: ['', 'a PTP grandmaster', ' is heard, its time not known yet'],
  holdover: ['', 'held', ': its PTP grandmaster is heard no more'],
};

function clockFact(health) {
  const sigma = health.clock_sigma_us;
  if (PTP[health.ptp]) return PTP[health.ptp];
  if (sigma == null) return ['', 'not known yet', ''];
  const quality = sigma < 2 ? 'very good' : sigma < 20 ? 'good' : sigma < 100 ? 'fair' : 'poor';
  const host = Math.abs(health.clock_ppm ?? 0) < 0.5 ? '' : `; the host's own runs ${ppm(health.clock_ppm)}`;
  return ['known to ', `${(Math.ceil(sigma * 10) / 10).toFixed(1)} µs`, `, ${quality}${host}`];
}

function cardFact(health) {
  if (health.card_ppm == null) return ['', 'not measured yet', ''];
  if (Math.abs(health.card_ppm) < 0.5) return ['runs ', 'true', ''];
  return ['runs ', ppm(health.card_ppm), ', corrected'];
}

function ppm(value) {
  return `${Math.round(Math.abs(value))} ppm ${value < 0 ? 'slow' : 'fast'}`;
}

function milliseconds(us) {
  const ms = us / 1000;
  return ms < 10 ? `${(Math.ceil(ms * 10) / 10).toFixed(1)} ms` : `${Math.ceil(ms)} ms`;
}

/** What a room does, in one sentence below its name. */
export function roomSentence(room, house) {
  const line = house.streams.find((stream) => stream.id === room.stream);
  const piece = line ? (line.playback.title ?? line.name) : room.stream;
  const others = house.rooms.filter((other) => other.id !== room.id && other.stream === room.stream && isHeard(other)).length;
  switch (condition(room)) {
    case 'door':
      return `Waits to be let in. Its code is ${room.code}.`;
    case 'gone':
      return room.last_seen_s ? `Was last heard ${lasting(Date.now() / 1000 - room.last_seen_s)} ago.` : 'Is not here.';
    case 'stale':
      return 'Reports nothing just now.';
    case 'silent':
      return 'Plays nothing.';
    case 'off':
      return `Is on ${piece}, which is switched off.`;
    case 'no_card':
      return 'Has no sound card. Is it plugged in?';
    case 'starved':
      return `Hears of ${piece}, but no packets come.`;
    case 'locking':
      return `Gets in step with ${piece}.`;
    case 'late':
      return `Plays ${piece}, out of step.`;
    default: {
      const how = others ? `in step with ${others === 1 ? 'one other room' : `${number(others)} other rooms`}` : 'on the clock';
      return `Plays ${piece}, ${how}${room.mute ? ', muted' : ''}.`;
    }
  }
}
