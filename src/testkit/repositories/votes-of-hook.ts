import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/** A directory for `core.hooksPath`, whose reference-transaction hook writes down what it reads. */
export interface RecordingHook extends Disposable {
  readonly directory: string;
  /** `<phase> <hash>` of each call of the hook on which a node of a cluster votes, in order. */
  votes(): string[];
}

/** @param directory of the hook; created and removed. */
export function recordingHook(directory: string): RecordingHook {
  const calls = `${directory}/calls`;
  mkdirSync(calls, { recursive: true });
  const script = `#!/bin/sh\ncat >"${calls}/$(ls "${calls}" | wc -l).$1"\n`;
  writeFileSync(`${directory}/reference-transaction`, script, { mode: 0o755 });
  return {
    directory,
    votes: () =>
      readdirSync(calls)
        .map((name) => ({ name, number: Number.parseInt(name, 10), phase: name.split('.')[1] ?? '' }))
        .sort((one, other) => one.number - other.number)
        .filter(({ phase }) => phase === 'prepared' || phase === 'committed')
        .map(({ name, phase }) => ({ phase, lines: readFileSync(`${calls}/${name}`) }))
        .filter(({ lines }) => !isForcedDeletion(lines.toString('latin1')))
        .map(({ phase, lines }) => `${phase} ${createHash('sha1').update(lines).digest('hex')}`),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}

/**
 * Reports whether references are only deleted, without an expected value. Nodes do not vote on
 * that.
 */
function isForcedDeletion(lines: string): boolean {
  return lines
    .split('\n')
    .filter(Boolean)
    .every((line) => /^0+ 0+ /.test(line));
}
