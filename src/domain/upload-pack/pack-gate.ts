import type { Duplex } from 'node:stream';
import type { ConfigPair } from '#git/command/config';
import type { PackLimits } from '../pack-objects/pack-limits.ts';
import type { Fetch } from './fetch.ts';

/** The limits of packs, and the program with which git waits for them. */
export interface PackTurns {
  readonly limits: PackLimits;
  /** Program for `uploadpack.packObjectsHook` that requests a turn. */
  readonly hook: string;
}

/** Settings and sockets with which `git upload-pack` waits for a turn before it makes a pack. */
export interface PackGate {
  readonly config: readonly ConfigPair[];
  readonly extraPipes: number;
  /** Serves the sockets until they are closed, and gives the turn back. Never rejects. */
  serve(sockets: readonly Duplex[]): Promise<void>;
}

const PIPES = 2;
const MAX_LINE_BYTES = 2;

/**
 * Returns the gate for a fetch whose packs are limited; `undefined` for others, for which git
 * starts no additional process.
 */
export function packGate(
  { repository, requester, signal, streams }: Fetch,
  { hook, limits }: PackTurns,
): PackGate | undefined {
  if (!limits.applyTo(requester)) return undefined;
  return {
    config: [{ key: 'uploadpack.packObjectsHook', value: shellWord(hook) }],
    extraPipes: PIPES,
    async serve([requests, answers]) {
      if (requests === undefined || answers === undefined) return;
      const over = new AbortController();
      let turn: Promise<() => void> | undefined;
      const give = (): void => {
        // A refused turn is not given back.
        void turn?.then(
          (release) => release(),
          () => {},
        );
        turn = undefined;
      };
      requests.once('close', () => over.abort());
      try {
        for await (const line of linesOf(requests)) {
          give();
          if (line !== 'P') continue;
          const own = limits.acquire(requester, {
            repository: repository.path,
            isHeldUp: () => streams.stdout.writableLength > 0,
            signal: AbortSignal.any([signal, over.signal]),
          });
          turn = own;
          // Not awaited, because the end of git ends the wait.
          void own.then(
            () => answers.write('G\n'),
            () => answers.write('N\n'),
          );
        }
      } catch {
        // git has ended, and its sockets with it.
      } finally {
        over.abort();
        give();
        requests.destroy();
        answers.destroy();
      }
    },
  };
}

async function* linesOf(requests: Duplex): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of requests) {
    const lines = `${rest}${String(chunk)}`.split('\n');
    rest = (lines.pop() ?? '').slice(0, MAX_LINE_BYTES);
    yield* lines;
  }
}

/** git passes the value to a shell if it has other characters. */
function shellWord(path: string): string {
  return /^[\w./+@-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
