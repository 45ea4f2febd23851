import { readFile, stat } from 'node:fs/promises';
import type { ConfigPair } from '#git/command/config';
import type { Repository } from '#storage/repository';

interface Entry {
  readonly stamp: string;
  readonly chunks: readonly Buffer[];
}

/** What is known of an advertisement, and how to make it known. */
export interface LookedUp {
  readonly known: readonly Buffer[] | undefined;
  remember(chunks: readonly Buffer[]): Promise<void>;
}

const NOTHING: LookedUp = { known: undefined, remember: () => Promise.resolve() };

/** Answers that are remembered; an entry is some 500 bytes. */
const MAX_ENTRIES = 10_000;

/** Longer settings are nothing that a client sends each time. */
const MAX_SETTINGS_LENGTH = 1_000;

/** Settings that read further files, whose changes the stamp would not show. */
const READS_MORE_FILES = /^\s*\[include|worktreeconfig/im;

/**
 * What git says about itself and nothing of the references: what `git upload-pack` advertises in protocol v2, and the capabilities of
 * `git receive-pack`; one of these for each. It depends on git, on the server's settings, which are the same for the life of the process,
 * on those of the request, and on the repository's `config` file. So an answer is remembered for as long as that file is the same, and most
 * fetches and pushes begin without a process.
 */
export class CapabilityAdvertisements {
  readonly #entries = new Map<string, Entry>();

  /** The advertisement in git's pieces: a remembered one, or what `produce` yields, while it yields it. */
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

  /** The same for whoever gets the advertisement by the way: `remember` takes what git said after this was called. */
  async lookUp(repository: Repository, config: readonly ConfigPair[]): Promise<LookedUp> {
    const settings = JSON.stringify(config);
    if (settings.length > MAX_SETTINGS_LENGTH || config.some(({ key }) => /^include/i.test(key))) return NOTHING;
    const entry = `${repository.path}\0${settings}`;
    const stamp = await stampOf(repository);
    if (stamp === undefined) return NOTHING;
    const found = this.#entries.get(entry);
    return {
      known: found?.stamp === stamp ? found.chunks : undefined,
      remember: async (chunks) => {
        if (await isLasting(repository, chunks)) this.#remember(entry, { stamp, chunks });
      },
    };
  }

  #remember(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size <= MAX_ENTRIES) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}

/** Changes whenever git replaces or rewrites the file; `undefined` when there is none, which git has to judge. */
async function stampOf({ path }: Repository): Promise<string | undefined> {
  const stats = await stat(`${path}/config`, { bigint: true }).catch(() => undefined);
  return stats && `${stats.mtimeNs}:${stats.ctimeNs}:${stats.size}:${stats.ino}`;
}

/** New each time: the id of a session, and what a signed push has to sign. */
const OF_ONE_CONVERSATION = /session-id=|push-cert=/;

/** Whether the same question would get the same answer. */
async function isLasting({ path }: Repository, chunks: readonly Buffer[]): Promise<boolean> {
  if (OF_ONE_CONVERSATION.test(Buffer.concat(chunks).toString('latin1'))) return false;
  const config = await readFile(`${path}/config`, 'latin1').catch(() => undefined);
  return config !== undefined && !READS_MORE_FILES.test(config);
}
