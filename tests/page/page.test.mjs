// The page, end to end. One process, one test after the other: each house is real and plays in real time.

import { after } from 'node:test';

import './patch.mjs';
import './quick.mjs';
import './api.mjs';
import './library.mjs';
import './sources.mjs';
import './keyboard.mjs';
import './phone.mjs';
import './door.mjs';
import './away.mjs';
import './accessibility.mjs';
import './weight.mjs';
import './flood.mjs';

// A browser that a failed test has left open must not keep the others' result.
after(() => setTimeout(() => process.exit(), 10_000).unref());
