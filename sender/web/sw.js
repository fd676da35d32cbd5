// Keeps the page itself, so that it opens while the sender is away. What the hub says is never kept here.

const ASSETS = '{assets}';
const CACHE = `unisono${ASSETS}`;
/** A sender that doesn't answer for so long is away. */
const PATIENCE_MS = 2500;

self.addEventListener('install', (event) => {
  self.skipWaiting();
  event.waitUntil(keepPage());
});

self.addEventListener('activate', (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name !== CACHE && name !== 'covers') await caches.delete(name);
    await self.clients.claim();
  })());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const address = new URL(request.url);
  if (request.method !== 'GET' || address.origin !== location.origin) return;
  if (address.pathname.startsWith(ASSETS)) event.respondWith(kept(request));
  else if (request.mode === 'navigate' && address.pathname === '/') event.respondWith(fresh(request, CACHE));
  else if (request.destination === 'image') event.respondWith(fresh(request, 'covers'));
});

/** The page and everything that it names. */
async function keepPage() {
  const cache = await caches.open(CACHE);
  const page = await fetch('/', { cache: 'no-store' });
  const text = await page.clone().text();
  await cache.put('/', page);
  const named = new Set([...text.matchAll(/"(\/assets\/[^"]+)"/g)].map((match) => match[1]));
  await cache.addAll([...named]);
}

async function kept(request) {
  return (await caches.match(request)) ?? fetch(request);
}

/** From the sender; when it is away, the last one there was. */
async function fresh(request, name) {
  const cache = await caches.open(name);
  const key = request.mode === 'navigate' ? '/' : request;
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.ok) {
      await cache.put(key, answer.clone());
      if (name === 'covers') await trim(cache);
    }
    return answer;
  } catch (error) {
    const last = await cache.match(key);
    if (last) return last;
    throw error;
  }
}

/** Covers of the last pieces are enough. */
async function trim(cache) {
  const keys = await cache.keys();
  for (const old of keys.slice(0, Math.max(0, keys.length - 24))) await cache.delete(old);
}
