// The page from the source directory before a real sender: an edit is seen at the next reload, without a build.
//
// `node workbench.mjs` starts a house to try the page on by hand. With UNISONO_WEB=1 the tests look at the page this
// way too.

import { existsSync, readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const WEB = join(dirname(fileURLToPath(import.meta.url)), '../../sender/web');
const KINDS = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml', '.png': 'image/png', '.webmanifest': 'application/manifest+json' };
const RULES = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/** Serves the source's files, and passes everything else to the sender at `port`. Resolves to the server. */
export function workbench(port, at = 0) {
  const server = createServer((asked, answer) => {
    const path = asked.url.split('?')[0];
    const name = path === '/' ? 'index.html' : path.startsWith('/assets/') || /^\/(sw\.js|manifest\.webmanifest)$/.test(path) ? basename(path) : null;
    const passed = request({ host: '127.0.0.1', port, path: name ? '/api/v1/health' : asked.url, method: name ? 'GET' : asked.method, headers: asked.headers }, (got) => {
      if (!name) {
        answer.writeHead(got.statusCode, got.headers);
        return got.pipe(answer);
      }
      got.resume();
      const file = join(WEB, name);
      if (!existsSync(file)) return answer.writeHead(404).end();
      const bytes = readFileSync(file);
      const text = ['.html', '.js', '.webmanifest'].includes(extname(name));
      answer.writeHead(200, { 'content-type': KINDS[extname(name)], 'content-encoding': 'gzip', 'cache-control': 'no-store', 'content-security-policy': RULES });
      answer.end(gzipSync(text ? bytes.toString().replaceAll('{assets}', '/assets/source') : bytes));
    });
    // A sender that is away is away here too.
    passed.on('error', () => asked.socket.destroy());
    answer.on('close', () => passed.destroy());
    asked.pipe(passed);
  });
  return new Promise((resolve) => server.listen(at, '127.0.0.1', () => resolve(server)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { tonesHouse } = await import('./tones.mjs');
  const house = await tonesHouse();
  const server = await workbench(house.port, Number(process.env.PORT ?? 7777));
  console.log(`http://127.0.0.1:${server.address().port}/sign-in?token=${house.token}`);
  process.once('SIGINT', async () => {
    await house.stop();
    process.exit(0);
  });
}
