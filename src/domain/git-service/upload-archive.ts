import { PacketParser } from '#base/pkt-line/packet-parser';
import { gitCommand } from '#git/command/git-command';
import { requireDepthOf } from '#git/trees/tree-depth';
import type { Repository } from '#storage/repository';
import { type LimitedResult, runLimited } from './run-limited.ts';
import type { ServiceStreams } from './service-streams.ts';

export interface RemoteArchive {
  readonly repository: Repository;
  readonly streams: ServiceStreams;
  /** Time limit for the client's arguments, which end with a flush packet. */
  readonly negotiationTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Runs `git upload-archive` to its end.
 *
 * @throws {GitStartError}; errors of the streams; {GitalyError} FAILED_PRECONDITION when git failed
 *   and the directories are nested too deep: old versions die of a segmentation fault then.
 */
export async function uploadArchive({
  repository,
  streams,
  negotiationTimeoutMs,
  signal,
}: RemoteArchive): Promise<LimitedResult> {
  const command = gitCommand('upload-archive', { args: [repository.path] });
  const limit = { timeoutMs: negotiationTimeoutMs, until: 'flush' } as const;
  const tree = new ArchiveTree();
  const result = await runLimited(repository, command, {
    ...{ config: [], gitProtocol: '', streams, limit, signal },
    observe: (chunk) => tree.push(chunk),
  });
  if (result.exit.code !== 0 && !result.isTooSlow && tree.name !== undefined)
    await requireDepth(repository, tree.name, signal);
  return result;
}

async function requireDepth(repository: Repository, name: string, signal: AbortSignal): Promise<void> {
  const object = await repository.objects.info(name, { signal }).catch(() => undefined);
  if (object !== undefined) await requireDepthOf(repository, `${object.oid}^{tree}`, signal);
}

/** Packets of a request that are read: git accepts fewer. @see git: builtin/upload-archive.c, MAX_ARGS. */
const MAX_PACKETS = 64;
const ARGUMENT = 'argument ';
/** Options whose value is the next argument. @see git: archive.c, parse_archive_args. */
const WITH_VALUE = new Set(['--format', '--prefix', '--mtime', '--add-file', '--add-virtual-file']);

/** Finds out which tree a client of `git upload-archive` requests, from a copy of its bytes. */
class ArchiveTree {
  readonly #packets = new PacketParser();
  readonly #arguments: string[] = [];
  #isOver = false;

  /** Takes the next bytes of the client. */
  push(chunk: Uint8Array): void {
    if (this.#isOver) return;
    for (const packet of this.#packets.push(chunk)) {
      this.#isOver ||= typeof packet === 'string' || this.#arguments.length >= MAX_PACKETS;
      if (this.#isOver || typeof packet === 'string') return;
      const text = packet.toString();
      if (text.startsWith(ARGUMENT)) this.#arguments.push(text.slice(ARGUMENT.length).replace(/\n$/, ''));
    }
  }

  /** The tree-ish as the client has named it; `undefined` if it has named none. */
  get name(): string | undefined {
    return this.#arguments.find(
      (argument, index) => !argument.startsWith('-') && !WITH_VALUE.has(this.#arguments[index - 1] ?? ''),
    );
  }
}
