import { randomFillSync } from 'node:crypto';

/** Crockford's base 32. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TIME_CHARS = 10;
const RANDOM_CHARS = 16;
/** Random bytes are generated for many ids at once. */
const pool = Buffer.alloc(RANDOM_CHARS * 256);
let poolOffset = pool.length;
let lastMs = -1;
let lastTime = '';

/**
 * Returns a new correlation id: 26 characters, 48 bits of time and 80 random bits (a ULID, as in
 * GitLab's Go services).
 */
export function newCorrelationId(nowMs = Date.now()): string {
  if (nowMs !== lastMs) {
    lastMs = nowMs;
    lastTime = timePart(nowMs);
  }
  if (poolOffset === pool.length) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  let id = lastTime;
  for (let end = poolOffset + RANDOM_CHARS; poolOffset < end; poolOffset++)
    id += ALPHABET.charAt((pool[poolOffset] ?? 0) & 31);
  return id;
}

function timePart(nowMs: number): string {
  let text = '';
  let rest = nowMs;
  for (let i = 0; i < TIME_CHARS; i++) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
