import { readFile, stat } from 'node:fs/promises';
import { type FileStamp, stampOf } from '#base/files/file-stamp';
import { BoundedMap } from '#base/memory/bounded-map';
import { keptBytes } from '#base/memory/kept-bytes';
import type { ConfigPair } from '#git/command/config';
import type { Repository } from '#storage/repository';

interface Entry {
  readonly stamp: FileStamp;
  readonly chunks: readonly Buffer[];
}

/** A cached advertisement, and a function that caches one. */
export interface LookedUp {
  readonly known: readonly Buffer[] | undefined;
  remember(chunks: readonly Buffer[]): Promise<void>;
}

const NOTHING: LookedUp = { known: undefined, remember: () => Promise.resolve() };

/** Limit of cached advertisements; an entry is some 500 bytes. */
const MAX_ENTRIES = 10_000;

/** Limit of settings: clients do not repeat longer ones. */
const MAX_SETTINGS_LENGTH = 1_000;

/** Matches settings that read further files, whose changes the stamp would not show. */
const READS_MORE_FILES = /^[^\S\r\n\u2028\u2029]*\[include|worktreeconfig/im;

/**
 * git's advertised capabilities, without references: the advertisement of `git upload-pack` in
 * protocol v2, or the capabilities of `git receive-pack`, with one cache for each. They depend on
 * git, on the server's settings, which are constant for the process, on those of the request, and
 * on the repository's `config` file. So an advertisement is cached until that file changes, and
 * most fetches and pushes begin without a process.
 */
export class CapabilityAdvertisements {
  readonly #entries = new BoundedMap<string, Entry>({ maxEntries: MAX_ENTRIES });

  /**
   * Yields the advertisement in git's chunks: a cached one, or that of `produce` while it yields
   * it.
   */
  async *get(
    repository: Repository,
    config: readonly ConfigPair[],
    produce: () => AsyncIterable<Buffer>,
  ): AsyncGenerator<Buffer> {
    const { known, remember } = await this.lookUp(repository, config);
    if (known !== undefined) {
      yield* known;
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of produce()) {
      chunks.push(chunk);
      yield chunk;
    }
    await remember(chunks);
  }

  /**
   * Looks up an advertisement for a caller that gets it from git otherwise: `remember` caches git's
   * output after this call.
   */
  async lookUp(repository: Repository, config: readonly ConfigPair[]): Promise<LookedUp> {
    const settings = JSON.stringify(config);
    if (settings.length > MAX_SETTINGS_LENGTH || config.some(({ key }) => /^include/i.test(key)))
      return NOTHING;
    const entry = `${repository.path}\0${settings}`;
    const stamp = await configStamp(repository);
    if (stamp === undefined) return NOTHING;
    const found = this.#entries.get(entry);
    return {
      known: found?.stamp === stamp ? found.chunks : undefined,
      remember: async (chunks) => {
        if (!(await isLasting(repository, chunks))) return;
        this.#entries.set(entry, { stamp, chunks: chunks.map((chunk) => keptBytes([chunk])) });
      },
    };
  }
}

/** Returns a stamp; `undefined` if there is no such file: git then reports the error. */
async function configStamp({ path }: Repository): Promise<FileStamp | undefined> {
  const stats = await stat(`${path}/config`).catch(() => undefined);
  return stats && stampOf(stats);
}

/**
 * Capabilities that are new for each connection: the id of a session, and the nonce of a signed
 * push.
 */
const PER_CONNECTION_CAPABILITY = /session-id=|push-cert=/;

/** Reports whether the same request would give the same response. */
async function isLasting({ path }: Repository, chunks: readonly Buffer[]): Promise<boolean> {
  if (PER_CONNECTION_CAPABILITY.test(Buffer.concat(chunks).toString('latin1'))) return false;
  const config = await readFile(`${path}/config`, 'latin1').catch(() => undefined);
  return config !== undefined && !READS_MORE_FILES.test(config);
}
