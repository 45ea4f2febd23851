import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { listReferences, ReferencesFixture, showReference } from '#testkit/repositories/references-fixture';

const fixture = await ReferencesFixture.start();
after(() => fixture.close());

test('random repositories are listed as git lists them, whatever is asked for', async () => {
  const component = fc.stringMatching(/^[a-c%é-]{1,3}$/);
  const name = fc
    .array(component, { minLength: 1, maxLength: 3 })
    .map((parts) => `refs/heads/${parts.join('/')}`);
  const change = fc.tuple(name, fc.nat(2), fc.constantFrom('update', 'pack', 'delete', 'tag', 'symbolic'));
  const pattern = fc.constantFrom(
    'refs/',
    'refs/heads',
    'refs/heads/a',
    'refs/heads/a*',
    'refs/heads/**/b',
    'refs/heads/[a-b]*',
    'refs/tags/',
  );

  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 5, maxLength: 25 }),
      fc.uniqueArray(pattern, { minLength: 1, maxLength: 3 }),
      async (changes, patterns) => {
        const made = fixture.createRepository();
        const attempt = (...args: string[]): void => {
          try {
            made.run(...args);
          } catch {
            // A file at the place of a required directory, or a missing reference: git refuses, and
            // nothing changes.
          }
        };
        for (const [index, [ref, commit, how]] of changes.entries()) {
          const oid = made.commits[commit] ?? '';
          if (how === 'delete') attempt('update-ref', '-d', ref);
          else if (how === 'tag') attempt('tag', '-a', '-m', 'x', `t${index}`, oid);
          else if (how === 'symbolic') attempt('symbolic-ref', ref, changes[commit]?.[0] ?? ref);
          else attempt('update-ref', ref, oid);
          if (how === 'pack') attempt('pack-refs', '--all');
        }

        await fixture.check(made, patterns);
      },
    ),
    { numRuns: 12 },
  );
});

test('damaged packed-refs give what git gives, or its error, and never a hang', async () => {
  const made = fixture.createRepository();
  const { commits, path, run } = made;
  for (let index = 0; index < 30; index++)
    run('update-ref', `refs/heads/b${index}`, commits[index % 3] ?? '');
  run('tag', '-a', '-m', 'x', 'annotated', commits[0] ?? '');
  run('pack-refs', '--all');
  const good = readFileSync(join(path, 'packed-refs'));
  const edit = fc.tuple(
    fc.nat(good.length - 1),
    fc.oneof(fc.nat(255), fc.constantFrom(0, 10, 13, 32, 46, 47, 94, 126)),
  );
  // Most edits and cuts are errors for git. Another id at a line is none.
  const moved = fc.tuple(fc.nat(29), fc.constantFrom(...commits));
  // The random ones may all be damaged.
  const undamaged = (oid: string): [[number, number][], [number, string][], undefined] => [
    [],
    [[0, oid]],
    undefined,
  ];
  const [, ...starts] = lineStarts(good);
  let compared = 0;
  const check = async (bad: Buffer, edits: readonly (readonly [number, number])[]): Promise<void> => {
    // The first line declares the format of the rest; with another one git is used anyway.
    for (const [at, byte] of edits) if (at > 60 && at < bad.length) bad[at] = byte;
    writeFileSync(join(path, 'packed-refs'), bad);

    const expected = await attempt(() => fixture.askGit(made, ['refs/']));
    const found = await attempt(async () =>
      (await listReferences(made, { patterns: ['refs/'] })).map((ref) => showReference(ref)),
    );

    // git sorts its result; this code trusts the declared order and does not check it here.
    if (expected === undefined || !isSorted(bad)) return;
    compared++;
    assert.deepEqual(found, expected);
  };

  await fc.assert(
    fc.asyncProperty(
      fc.array(edit, { maxLength: 2 }),
      fc.array(moved, { maxLength: 5 }),
      fc.option(fc.nat(good.length), { nil: undefined, freq: 1 }),
      async (edits, moves, length) => {
        const bad = Buffer.from(good);
        for (const [line, oid] of moves) bad.write(oid, starts[line] ?? 0, 'latin1');
        await check(bad.subarray(0, length), edits);
      },
    ),
    { numRuns: 80, examples: commits.map(undamaged) },
  );
  assert.ok(compared > commits.length, `${compared} results of git`);
});

/** Returns the positions of the lines that have an id and a name. */
function lineStarts(packedRefs: Buffer): number[] {
  const starts = [0];
  for (let at = packedRefs.indexOf('\n'); at !== -1; at = packedRefs.indexOf('\n', at + 1))
    starts.push(at + 1);
  return starts.filter((at) => at < packedRefs.length && packedRefs[at] !== 0x5e);
}

async function attempt<T>(run: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch {
    return undefined;
  }
}

function isSorted(packedRefs: Buffer): boolean {
  const lines = packedRefs
    .toString('latin1')
    .split('\n')
    .filter((line) => /^[^#^]/.test(line));
  return lines.every((line, index) => index === 0 || (lines[index - 1] ?? '').slice(41) < line.slice(41));
}
