import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { countTurns } from '#testkit/measure/loop-turns';
import { assertLinearTime } from '#testkit/measure/time-growth';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { Mailmap } from './mailmap.ts';
import { MailmapCache } from './mailmap-cache.ts';

const directory = makeScratchDirectory('mailmap');
outputSync('git', ['init', '--quiet', '--bare', directory]);
after(() => rmSync(directory, { recursive: true }));

/** Returns people as mapped by git. */
function askGit(mailmap: Buffer, people: readonly Buffer[]): string[] {
  writeFileSync(join(directory, 'map'), mailmap);
  const options = {
    cwd: directory,
    input: Buffer.concat(people.flatMap((person) => [person, Buffer.from('\n')])),
  };
  const output = outputSync('git', ['-c', 'mailmap.file=map', 'check-mailmap', '--stdin'], options);
  return output.toString('latin1').split('\n').slice(0, -1);
}

test('every form of a line works as documented', async () => {
  const mailmap = await Mailmap.parse(
    Buffer.from(
      '# comment\nProper One <one@x>\n<two@proper> <two@x>\nProper Three <three@proper> <three@x>\n' +
        'Proper Four <four@proper> Four <four@x>\n\nnonsense\n<>\n',
    ),
  );
  const map = (person: string): string => mailmap.mapIdent(Buffer.from(person)).toString();

  assert.equal(map('Any <ONE@x> 1 +0000'), 'Proper One <ONE@x> 1 +0000');
  assert.equal(map('Two   <two@x> 1 +0000'), 'Two <two@proper> 1 +0000');
  assert.equal(map('Three <three@x> 1 +0000'), 'Proper Three <three@proper> 1 +0000');
  assert.equal(map('four <four@x> 1 +0000'), 'Proper Four <four@proper> 1 +0000');
  assert.equal(map('Other <four@x> 1 +0000'), 'Other <four@x> 1 +0000');
  assert.equal(map('no address'), 'no address');
});

test('random mailmaps change random people as git changes them', async () => {
  const name = fc.constantFrom('A', 'a', 'A B', 'B', 'Bé', ' C ', '');
  const email = fc.constantFrom('a@x', 'A@X', 'b@x', 'c@x', '');
  const person = fc.tuple(name, email).map(([who, where]) => `${who} <${where}>`);
  const line = fc.oneof(
    person,
    fc.tuple(person, person).map((people) => people.join(' ')),
    fc.constantFrom('# A <a@x>', '', 'A <a@x', 'nonsense', '<a@x> <b@x>\r'),
  );
  const someone = fc.tuple(
    fc.constantFrom('A', 'a', 'A B', 'Bé', 'D'),
    fc.constantFrom('a@x', 'A@X', 'b@x', 'c@x', 'd@x'),
  );

  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 12 }),
      fc.array(someone, { minLength: 5, maxLength: 10 }),
      async (lines, people) => {
        const text = Buffer.from(lines.map((each) => `${each}\n`).join(''));
        const asked = people.map(([who, where]) => Buffer.from(`${who} <${where}>`));

        const mailmap = await Mailmap.parse(text);

        assert.deepEqual(
          asked.map((each) => mailmap.mapIdent(each).toString('latin1')),
          askGit(text, asked),
        );
      },
    ),
    { numRuns: 60 },
  );
});

// A file with a line of 200 KB of spaces made every other call wait for 18 seconds.
test('long runs of spaces take a linear time, in a file and in a name', async () => {
  const mailmap = await Mailmap.parse(Buffer.from('A <a@x> <b@x>\n'));

  for (const space of [' ', '\t', '\r']) {
    await assertLinearTime((size) => Mailmap.parse(Buffer.from(`a${space.repeat(size)}b <c@x>\n`)));
    await assertLinearTime((size) => mailmap.mapIdent(Buffer.from(`a${space.repeat(size)}b <b@x> 1 +0000`)));
  }
});

test('vertical tabs and form feeds belong to a name, as in git', async () => {
  const lines = Buffer.from('A\v <a@x>\nB <b@x> \fC <b@x>\n\t D \r <d@x>\n');
  const people = ['X <a@x>', 'C <b@x>', '\fC <b@x>', 'Y <d@x>'];

  const mailmap = await Mailmap.parse(lines);
  const mapped = people.map((person) => mailmap.mapIdent(Buffer.from(person)).toString('latin1'));

  assert.deepEqual(
    mapped,
    askGit(
      lines,
      people.map((person) => Buffer.from(person)),
    ),
  );
});

// Symptom: a pushed mailmap of 1 MiB blocked all calls for half a second, for each of its readers,
// and took some 40 MiB.
test('a large mailmap is parsed in slices of the event loop, once for all its readers', async () => {
  const lines = Array.from({ length: 100_000 }, (_, index) => `A<${index.toString(36)}>\n`);
  const data = Buffer.from(lines.join(''));
  const cache = new MailmapCache();
  using turns = countTurns();

  const mailmaps = await Promise.all([cache.add('id', data), cache.add('id', data)]);

  assert.ok(turns.count > 1);
  assert.equal(mailmaps[0], mailmaps[1]);
  assert.equal(cache.get('id'), mailmaps[0], 'it fits into the cache');
  assert.equal(mailmaps[0]?.mapIdent(Buffer.from('B <a> 1 +0000')).toString(), 'A <a> 1 +0000');
});

test('lines that replace nothing take no memory', async () => {
  const mailmap = await Mailmap.parse(Buffer.from('<a@x>\n<b@x>\nB <b@x>\n'));

  assert.equal(mailmap.size, 1);
});
