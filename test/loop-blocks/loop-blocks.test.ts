import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, suite, type TestContext, test } from 'node:test';
import { extent } from '#testkit/soak';
import { startGitalyProcess } from '#testkit/start-gitaly-process';
import type { LongestBlock } from './delay-monitor.ts';
import { createRepository } from './fast-import.ts';

/**
 * Longest CPU time between two turns of the event loop. A computation's slice is 5 ms; the rest is
 * for a slow machine and the garbage collector. Unlike the delay, it does not depend on what else
 * runs on the machine.
 */
const LIMIT_MS = 20;
/** The least one counts: garbage is not collected, and code not compiled, each time. */
const attempts = [0, 1, 2];
/** Limit of FindLicense for a file. */
const LICENSE_BYTES = 256 << 10;
/** FindLicense reads a hundred. */
const LICENSE_FILES = extent('LICENSE_FILES', { short: 2, long: 100 });

/** Texts of which files of licenses consist. */
const LICENSES: Readonly<Record<string, string>> = {
  'short words': 'a b c d e f g h i j k l ',
  'different words': Array.from({ length: 1 << 14 }, (_, index) => index.toString(36)).join(' '),
  'carriage returns': '-\r',
  'line feeds': '-\n',
  'notices of owners': '(c)\r',
  'years without owners': '123 ',
  addresses: `://${'a'.repeat(200)} `,
};

suite('the event loop of a server is not blocked', async () => {
  const gitaly = await startGitalyProcess({ preload: join(import.meta.dirname, 'delay-monitor.ts') });
  after(() => gitaly[Symbol.asyncDispose]());
  const connection = await gitaly.connect();

  const create = (relativePath: string, branches: Parameters<typeof createRepository>[1]) => ({
    repository: { storageName: 'default', relativePath },
    oids: createRepository(join(gitaly.directory, 'default', relativePath), branches),
  });

  /** Asserts that a call blocks the event loop only shortly. */
  async function assertTurns(t: TestContext, call: (attempt: number) => Promise<unknown>): Promise<void> {
    let least: LongestBlock | undefined;
    for (const attempt of attempts) {
      await gitaly.ask({});
      await call(attempt);
      // Sent by delay-monitor.ts.
      const longest = (await gitaly.ask({})) as LongestBlock;
      if (least === undefined || longest.cpuMs < least.cpuMs) least = longest;
    }
    const { delayMs = 0, cpuMs = 0 } = least ?? {};
    const shown = `${Math.round(cpuMs)} ms of CPU time, ${Math.round(delayMs)} ms`;
    t.diagnostic(shown);
    assert.ok(cpuMs > 0 && cpuMs < LIMIT_MS, shown);
  }

  // Each file blocked it for 25 to 70 ms.
  for (const [name, piece] of Object.entries(LICENSES))
    test(`by licenses of ${name}`, async (t) => {
      const names = Array.from({ length: LICENSE_FILES }, (_, index) => `LICENSE-${index}`);
      const files = Object.fromEntries(
        names.map((file, index) => [file, Buffer.alloc(LICENSE_BYTES, `${index} `).fill(piece, 8)]),
      );
      const main = { name: 'main', files };
      const repositories = attempts.map((attempt) => create(`${name} ${attempt}.git`, [main]).repository);

      // The result is remembered for each repository.
      await assertTurns(t, (attempt) =>
        connection.repository.findLicense({ repository: repositories[attempt] }),
      );
    });
});
