// For how long the machine itself stood still: what a virtual machine loses is no fault of who plays on it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

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

/** Begins to count. The function that it gives ends that, and tells the milliseconds; 0 where no process may go before others. */
export function stalls() {
  const meter = spawn('chrt', ['-f', '80', process.execPath, '-e', METER], { stdio: ['pipe', 'pipe', 'ignore'] });
  let said = '';
  meter.on('error', () => {});
  meter.stdout.on('data', (data) => (said += data));
  const ended = once(meter, 'close').catch(() => {});
  return async () => {
    meter.stdin.on('error', () => {}).end();
    await ended;
    return Number(said) || 0;
  };
}
