import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import { gitOutput, initRepository } from '../init-repository.ts';
import { FLUSH, packets } from '../push.ts';
import { fetchRequestBytes, type Made, packIn } from './packed-histories.ts';

/** A fetch: what a client wants, and other arguments. */
export interface Question {
  readonly wants: readonly string[];
  readonly others: readonly string[];
}

/** An answer: the lines before the pack, sorted, and the objects of the pack. */
export interface Answered {
  readonly lines: readonly string[];
  readonly ids: readonly string[];
  /** Objects that are not sent, although deltas need them. */
  readonly bases: readonly string[];
  /** Size of the pack. */
  readonly bytes: number;
}

/** Returns the answer of `git upload-pack`. */
export function askGit({ path }: Made, { others, wants }: Question): Buffer {
  const settings = ['-c', 'uploadpack.allowFilter=true'];
  return execFileSync('git', [...settings, 'upload-pack', '--stateless-rpc', path], {
    input: fetchRequestBytes(wants, others),
    env: { ...process.env, GIT_PROTOCOL: 'version=2' },
    maxBuffer: 1 << 28,
  });
}

/** Reads an answer; git checks the pack, for which it takes bases from the server. */
export function readAnswer(made: Made, answer: Buffer, objectFormat: ObjectFormatName): Answered {
  const all = packets(answer.subarray(0, -FLUSH.length));
  assert.equal(answer.subarray(-FLUSH.length).toString(), FLUSH);
  const at = all.findIndex((packet) => String(packet) === 'packfile\n');
  const lines = (at === -1 ? all : all.slice(0, at)).map(String).sort();
  if (at === -1) return { lines, ids: [], bases: [], bytes: 0 };
  const pack = packIn(all.slice(at + 1));
  const client = mkdtempSync(join(dirname(made.path), 'client-'));
  initRepository(client, { objectFormat });
  mkdirSync(join(client, 'objects/info'), { recursive: true });
  writeFileSync(join(client, 'objects/info/alternates'), `${join(made.path, 'objects')}\n`);
  gitOutput(client, ['index-pack', '--fix-thin', '--stdin'], pack);
  const directory = join(client, 'objects/pack');
  const [index = ''] = readdirSync(directory).filter((name) => name.endsWith('.idx'));
  const entries = gitOutput(client, ['verify-pack', '-v', join(directory, index)])
    .split('\n')
    .map((line) => line.split(/ +/))
    .filter(
      ([oid, type]) => /^[0-9a-f]{40,}$/.test(oid ?? '') && /^(?:commit|tree|blob|tag)$/.test(type ?? ''),
    )
    .sort((a, b) => Number(a[4]) - Number(b[4]))
    .map(([oid = '']) => oid);
  rmSync(client, { recursive: true });
  const sent = pack.readUInt32BE(8);
  return { lines, ids: entries.slice(0, sent).sort(), bases: entries.slice(sent), bytes: pack.length };
}
