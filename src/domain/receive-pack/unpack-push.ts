import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { writeChunk } from '#base/streams/copy-stream';
import { flag, gitCommand } from '#git/command/git-command';
import { FallBackToGit } from '#git/command/in-process';
import { abortError } from '#git/command/process/exit-error';
import type { GitProcess } from '#git/command/process/git-process';
import { OID_BYTES } from '#git/names/object-id';
import { packHeader } from '#git/objects/pack-header';
import type { Quarantine } from '#storage/quarantine/quarantine';
import type { HeldInput } from './held-input.ts';
import type { Push } from './push.ts';
import type { PushRequest } from './push-request.ts';

export interface UnpackOptions {
  readonly push: Push;
  readonly input: HeldInput;
  /** Options of `git unpack-objects`. */
  readonly unpackOptions: readonly string[];
}

/** git's output that is kept; a process with more is not trusted to have printed only this. */
const MAX_WARNING_BYTES = 10_000;
const LOOSE_DIRECTORY = /^[0-9a-f]{2}$/;

const REFUSED = new FallBackToGit('git refuses the pack');
const MANY_WARNINGS = new FallBackToGit('git warns of many objects');

/**
 * Unpacks the objects of a push into a quarantine, by the command that `git receive-pack` runs. A
 * pack without objects needs none.
 *
 * @returns ids of the objects that the repository did not have, and git's warnings about them.
 * @throws {FallBackToGit} when git refuses the pack, so that receive-pack reports the reason.
 */
export async function unpackPush(
  { push, input, unpackOptions }: UnpackOptions,
  request: PushRequest,
  quarantine: Quarantine,
): Promise<{ readonly newOids: ReadonlySet<string>; readonly warnings: Buffer }> {
  if (request.objects === 0) {
    await requireEmptyPack(request, input, push.repository.objectFormat);
    return { newOids: new Set(), warnings: Buffer.alloc(0) };
  }
  const { signal, config } = push;
  const { repository } = quarantine;
  const words = [`--pack_header=2,${request.objects}`, ...(request.isQuiet ? ['-q'] : []), ...unpackOptions];
  await repository.spawnTurn(signal);
  await using process = repository.spawn(gitCommand('unpack-objects', { options: words.map(flag) }), {
    signal,
    config,
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'head',
    env: { GIT_QUARANTINE_PATH: repository.objectDirectory },
  });
  const feeding = feed(process, request.rest, input).catch((error: unknown) => {
    process.kill();
    return { error };
  });
  const exit = await process.exited;
  if (signal.aborted) throw abortError(signal);
  // The client may keep its side open; then its next bytes are not awaited.
  const failure = exit.code === 0 ? undefined : await Promise.race([feeding, undefined]);
  if (failure !== undefined) throw failure.error;
  if (exit.code !== 0) throw REFUSED;
  if (process.stderrHead.length >= MAX_WARNING_BYTES) throw MANY_WARNINGS;
  return { newOids: looseObjects(repository.objectDirectory), warnings: process.stderrHead };
}

async function feed(process: GitProcess, first: Buffer, input: HeldInput): Promise<undefined> {
  const { stdin } = process;
  for (let chunk: Buffer | undefined = first; chunk !== undefined; chunk = await input.read()) {
    if (stdin.destroyed) return;
    try {
      if (chunk.length > 0) await writeChunk(stdin, chunk);
    } catch {
      return; // git no longer reads; its exit code has the reason
    }
  }
  stdin.end();
}

/** Reads the checksum after the header of a pack without objects. */
async function requireEmptyPack(
  { rest }: PushRequest,
  input: HeldInput,
  objectFormat: 'sha1' | 'sha256',
): Promise<void> {
  let bytes = rest;
  while (bytes.length < OID_BYTES[objectFormat]) {
    const chunk = await input.read();
    if (chunk === undefined) throw REFUSED;
    bytes = Buffer.concat([bytes, chunk]);
  }
  const checksum = createHash(objectFormat).update(packHeader(0)).digest();
  if (!bytes.subarray(0, checksum.length).equals(checksum)) throw REFUSED;
}

/** Lists the objects in a directory that has fewer than 100 of them. */
function looseObjects(directory: string): Set<string> {
  const oids = new Set<string>();
  for (const shard of readdirSync(directory)) {
    if (!LOOSE_DIRECTORY.test(shard)) continue;
    for (const name of readdirSync(`${directory}/${shard}`)) oids.add(shard + name);
  }
  return oids;
}
