import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { ListedReferences } from './listed-references.ts';

const OID = '1'.repeat(40);
const line = (name: string): string => `${OID} ${name}\n`;

async function listed(...lines: string[]): Promise<ListedReferences> {
  const references = new ListedReferences();
  const source = async function* () {
    for (const text of lines) yield Buffer.from(text);
  };
  for await (const _ of references.pass(source()));
  return references;
}

test('a header is compared with a list, however it is split, HEAD apart', async () => {
  const list = await listed(line('HEAD'), line('refs/heads/main') + line('refs/tags/t'));
  const lines = line('refs/heads/main') + line('refs/tags/t');
  const check = (header: string, sizes: readonly number[]): string => {
    const headerCheck = list.headerCheck();
    let rest = Buffer.from(`${header}PACK\n\n# no header`);
    let state = 'reading';
    for (const size of [...sizes, rest.length]) {
      state = headerCheck.add(rest.subarray(0, size));
      rest = rest.subarray(size);
    }
    return state;
  };

  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 60 })), (sizes) => {
      for (const start of ['# v2 git bundle\n', '# v3 git bundle\n@object-format=sha1\n']) {
        assert.equal(check(`${start}${lines}${line('HEAD')}\n`, sizes), 'equal');
        assert.equal(check(`${start}${lines}\n`, sizes), 'equal');
        assert.equal(check(`${start}${line('refs/heads/main')}\n`, sizes), 'different');
        assert.equal(check(`${start}${lines}${line('refs/tags/u')}\n`, sizes), 'different');
        assert.equal(check(`${start}\n`, sizes), 'different');
      }
    }),
  );
});

test('a list is empty without lines, and a line without an end is no header', async () => {
  assert.deepEqual([(await listed()).isEmpty, (await listed(line('HEAD'))).isEmpty], [true, false]);
  assert.notEqual((await listed()).digest, (await listed(line('HEAD'))).digest);

  const check = (await listed()).headerCheck();
  assert.equal(check.add(Buffer.from('# v2 git bundle\n')), 'reading');
  assert.equal(check.add(Buffer.alloc(70_000, 'x')), 'different');
});
