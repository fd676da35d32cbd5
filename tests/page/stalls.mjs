// For how long the machine itself stood still: what a virtual machine loses is no fault of who plays on it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** Sleeps 5 ms at a time, before all others, and adds up what each sleep took beyond 20 ms; says it when it is asked to end. */
const METER = `
let [lost, last] = [0, process.hrtime.bigint()];
setInterval(() => {
  const now = process.hrtime.bigint();
  const ms = Number(now - last) / 1e6;
  if (ms > 20) lost += ms;
  last = now;
}, 5);
process.stdin.on('end', () => { console.log(lost); process.exit(); }).resume();
`;

/** Milliseconds that the host took from this machine's processors since it was started (`steal`, proc_stat(5)). */
function stolen() {
  const [, , , , , , , , steal] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].split(/\s+/);
  return 10 * Number(steal ?? 0);
}

/**
 * Begins to count. The function that it gives ends that, and tells the milliseconds: what was slept too long, as far as a
 * process may go before others here, or what the host took meanwhile, whichever is more.
 */
export function stalls() {
  const before = stolen();
  const meter = spawn('chrt', ['-f', '80', process.execPath, '-e', METER], { stdio: ['pipe', 'pipe', 'ignore'] });
  let said = '';
  meter.on('error', () => {});
  meter.stdout.on('data', (data) => (said += data));
  const ended = once(meter, 'close').catch(() => {});
  return async () => {
    meter.stdin.on('error', () => {}).end();
    await ended;
    return Math.max(Number(said) || 0, stolen() - before);
  };
}
