/**
 * The references of a checkpoint: git's packed-refs file, with symbolic ones in comments. Few of
 * them are handled in one iteration of the event loop: the simulation does not wait for another.
 */
import { createHash } from 'node:crypto';
import { LoopSlice } from '#base/async/loop-turns';
import { sortInTurns } from '#base/async/sort-in-turns';
import { ProtocolError } from '../errors.ts';

/** Lines that are encoded, and bytes that are decoded, at once: some 0.1 ms. */
const LINES_AT_ONCE = 256;
const BYTES_AT_ONCE = 64 * 1024;
const LINE_FEED = 0x0a;
const SYMBOLIC = 'ref: ';

/**
 * Encodes references in the order of their names. Symbolic references follow in comments, which git
 * ignores.
 */
export async function sealReferences(
  references: ReadonlyMap<string, string>,
): Promise<{ readonly bytes: Buffer; readonly checksum: string }> {
  const all = await sortInTurns([...references], ([one], [other]) => (one < other ? -1 : 1));
  const pieces = [Buffer.from('# pack-refs with: sorted \n')];
  const sha256 = createHash('sha256').update(pieces[0] ?? '');
  const slice = new LoopSlice();
  for (const isSymbolic of [false, true])
    for (let at = 0; at < all.length; at += LINES_AT_ONCE) {
      const lines = all
        .slice(at, at + LINES_AT_ONCE)
        .filter(([, value]) => value.startsWith(SYMBOLIC) === isSymbolic)
        .map(([name, value]) => `${isSymbolic ? '# ' : ''}${value} ${name}\n`);
      const piece = Buffer.from(lines.join(''), 'latin1');
      sha256.update(piece);
      pieces.push(piece);
      if (at + LINES_AT_ONCE < all.length) await slice.pause();
    }
  return { bytes: Buffer.concat(pieces), checksum: sha256.digest('hex') };
}

/** Decodes references. @throws {ProtocolError} `damaged` if the checksum is another. */
export async function openReferences(bytes: Buffer, checksum: string): Promise<Map<string, string>> {
  const slice = new LoopSlice();
  const sha256 = createHash('sha256');
  for (let at = 0; at < bytes.length; at += BYTES_AT_ONCE) {
    sha256.update(bytes.subarray(at, at + BYTES_AT_ONCE));
    if (at + BYTES_AT_ONCE < bytes.length) await slice.pause();
  }
  if (sha256.digest('hex') !== checksum)
    throw new ProtocolError('damaged', 'the references of a checkpoint are damaged');
  const references = new Map<string, string>();
  for (const [name, value] of referencesIn(bytes)) {
    references.set(name, value);
    if (slice.isOverAfterItem()) await slice.pause();
  }
  return references;
}

/** Yields the names and values in encoded references. */
export function* referencesIn(bytes: Buffer): Generator<readonly [name: string, value: string]> {
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(LINE_FEED, start + BYTES_AT_ONCE);
    const end = found === -1 ? bytes.length : found + 1;
    for (const line of bytes.toString('latin1', start, end).split('\n')) {
      const entry = line.startsWith('# ') ? line.slice(2) : line;
      const isSymbolic = entry.startsWith(SYMBOLIC);
      if (line === '' || (entry !== line && !isSymbolic)) continue;
      const nameAt = entry.indexOf(' ', isSymbolic ? SYMBOLIC.length : 0) + 1;
      yield [entry.slice(nameAt), entry.slice(0, nameAt - 1)];
    }
    start = end;
  }
}
