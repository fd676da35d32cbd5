// A house for the tests: a real sender and real receivers with simulated cards, on loopback.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { workbench } from './workbench.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const PROGRAMS = process.env.UNISONO_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'debug');

/** How long anything may take on a machine that is busy. */
export const PATIENCE_MS = 30_000;

/** Waits until `look` gives something, and returns that. */
export async function until(what, look, patience = PATIENCE_MS) {
  const end = Date.now() + patience;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Everything that runs: nothing outlives the tests. */
const running = new Set();
process.once('exit', () => running.forEach((program) => program.kill('SIGKILL')));

export class House {
  #programs = new Map();

  /**
   * `streams` are TOML lines below `[[streams]]`, each beginning with its id; `top` stands above them.
   */
  static async start({ streams = [], top = '', rooms = [], http = '', hub = '' } = {}) {
    const house = new House();
    house.dir = mkdtempSync(join(tmpdir(), 'unisono-page-'));
    house.port = await freePort();
    house.front = house.port;
    if (process.env.UNISONO_WEB) {
      house.bench = await workbench(house.port);
      house.front = house.bench.address().port;
    }
    const media = await freeMediaPort();
    const list = streams.map((stream, at) => `[[streams]]\nport = ${media + 2 * at}\n${stream}`).join('\n');
    house.config = `interface = "lo"\nstate_dir = "${house.dir}/sender"\nclock_port = 0\n${top}
[http]\nlisten = "127.0.0.1:${house.port}"\n${http}\n[hub]\nname = "Test house"\n${hub}\n${list}\n`;
    await house.startSender();
    for (const room of rooms) house.startRoom(room);
    if (rooms.length) await house.settled(rooms.length);
    return house;
  }

  get url() {
    return `http://127.0.0.1:${this.front}`;
  }

  /** Writes the sender's configuration as it is to be from now on. */
  configure(config) {
    this.config = config;
    writeFileSync(join(this.dir, 'sender.toml'), config);
  }

  /** Starts the sender, or starts it again. */
  async startSender() {
    this.configure(this.config);
    const program = this.#start('unisono-sender', 'sender');
    await until('the sender', async () => {
      if (program.exitCode !== null) throw new Error(`the sender has ended:\n${this.log('sender')}`);
      return fetch(`${this.url}/api/v1/health`).then((answer) => answer.ok, () => false);
    });
    // Printed at the first start alone.
    if (this.link) return;
    const link = await until('the sign-in link', () => /\/sign-in\?token=([0-9a-f]{64})/.exec(this.log('sender')));
    this.link = this.url + link[0];
    this.token = link[1];
  }

  /** Starts a room with a card of its own. */
  startRoom({ name, stream, ppm = 0, volume = -20, trim = 0, device }) {
    const card = device ?? `sim:ppm=${ppm},grain=8,record=${this.record(name)}`;
    const play = stream ? `stream = "${stream}"\n` : '';
    writeFileSync(join(this.dir, `${name}.toml`), `room = "${name}"\ninterface = "lo"\nstate_dir = "${this.dir}/state-${name}"
hub = "http://127.0.0.1:${this.port}"\nvolume_db = ${volume.toFixed(1)}\ntrim_us = ${trim}\n${play}[output]\ndevice = "${card}"\n`);
    this.#start('unisono-receiver', name);
  }

  /** Path prefix of what a room's card recorded. */
  record(name) {
    const dir = join(this.dir, 'records');
    mkdirSync(dir, { recursive: true });
    return join(dir, name.replaceAll(' ', '-'));
  }

  log(name) {
    const file = join(this.dir, `${name}.log`);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Ends a program cleanly, or at once. */
  async end(name, signal = 'SIGINT') {
    const program = this.#programs.get(name);
    this.#programs.delete(name);
    if (!program || program.exitCode !== null || program.signalCode !== null) return;
    const gone = new Promise((resolve) => program.once('exit', resolve));
    program.kill(signal);
    const late = setTimeout(() => program.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(late);
  }

  /** Holds a program still for a moment, as a host that is busy would. */
  async hold(name, ms) {
    const program = this.#programs.get(name);
    program.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, ms));
    program.kill('SIGCONT');
  }

  async stop() {
    await Promise.all([...this.#programs.keys()].map((name) => this.end(name)));
    this.bench?.close();
    this.bench?.closeAllConnections();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Asks the API, with the right to change. */
  async ask(method, path, body) {
    const answer = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? null : answer.json();
  }

  state() {
    return this.ask('GET', '/api/v1/house');
  }

  /** Waits until so many rooms sound. */
  settled(rooms) {
    return until(`${rooms} rooms that sound`, async () => {
      const house = await this.state();
      return house.rooms.filter((room) => room.settled && room.health?.offset_us != null).length >= rooms && house;
    });
  }

  async room(name) {
    return (await this.state()).rooms.find((room) => room.name === name);
  }

  #start(binary, name) {
    const log = join(this.dir, `${name}.log`);
    const program = spawn('sh', ['-c', 'exec "$0" --config "$1" >>"$2" 2>&1', join(PROGRAMS, binary), join(this.dir, `${name}.toml`), log], { stdio: 'ignore' });
    this.#programs.set(name, program);
    running.add(program);
    program.once('exit', () => running.delete(program));
    return program;
  }
}

/** A port that nobody listens at now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** An even port with room for some streams behind it, below those that the system gives to whoever asks for any. */
function freeMediaPort() {
  const port = 10_000 + 32 * Math.floor(Math.random() * 600);
  return new Promise((resolve) => {
    const socket = createSocket('udp4').once('error', () => resolve(freeMediaPort())).bind(port, () => {
      socket.close(() => resolve(port));
    });
  });
}
